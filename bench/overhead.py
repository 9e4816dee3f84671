# SPDX-License-Identifier: BSD-3-Clause
"""What a call costs besides its arithmetic: `python -m bench.overhead`, layers of one 2×2 map, in turns.

On one thread, then on as many as torch takes: for which torch's convolution wakes the others even here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

import dash_kernels as dk

from .tasks import K2, D
from .timing import median

ROUNDS = 300


def steps() -> dict[str, Callable[[], object]]:
    """One forward, or forward and backward, of each contestant."""
    x, grad = torch.randn(1, 4, 2, 2, requires_grad=True), torch.randn(1, 4, 2, 2)
    mixed = dk.MixedConv2d(4, 4, kernel_sizes=K2, dilations=D)
    plain = nn.Conv2d(4, 4, 3, padding=1)
    ours = dk.Conv2d(4, 4, 3, padding=1, engine="direct")
    layers = {"MixedConv2d": mixed, "nn.Conv2d k=3": plain, 'dk.Conv2d k=3, engine="direct"': ours}
    found: dict[str, Callable[[], object]] = {}
    for name, layer in layers.items():
        found[f"{name}, forward"] = partial(layer, x)
        found[f"{name}, forward and backward"] = partial(forward_and_backward, layer, x, grad)
    return found


def forward_and_backward(layer: nn.Module, x: Tensor, grad: Tensor) -> None:
    layer(x).backward(grad)


def main() -> None:
    for threads in dict.fromkeys((1, torch.get_num_threads())):
        torch.set_num_threads(threads)
        contestants = steps()
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(ROUNDS):
            for name, step in contestants.items():
                start = time.perf_counter()
                step()
                seconds[name].append(time.perf_counter() - start)
        print(f"threads: {threads}")
        for name, taken in seconds.items():
            print(f"  {name}: {median(taken) * 1e6:.0f} µs")


if __name__ == "__main__":
    main()
