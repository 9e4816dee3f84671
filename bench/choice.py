# SPDX-License-Identifier: BSD-3-Clause
"""`python -m bench.choice [SEED]`: what dk.Conv's choice between torch and the engines costs beside the better one.

Two minutes of drawn convolutions, half of them layers of the ten tasks with a kernel of their search space, half of any
shape. Each takes training steps in turns on torch and on engines, whatever the model says to it.
"""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import dash_kernels as dk

from .layers import all_layers
from .rivals import CONVS, DK_CONVS
from .timing import geometric_mean, median

SECONDS = 120.0
MOST = 3e9
"""Additions and multiplications of a forward pass by direct sums: larger ones get a smaller batch."""


@dataclass(frozen=True)
class Drawn:
    """A convolution; kernel size, dilation and stride are the same on all axes."""

    batch: int
    channels: tuple[int, int]
    groups: int
    size: tuple[int, ...]
    stride: int
    kernel_size: int
    dilation: int

    @property
    def flops(self) -> float:
        """Of one sample's forward pass by direct sums."""
        pairs = self.channels[0] * self.channels[1] // self.groups
        return 2 * pairs * math.prod(self.size) * (self.kernel_size / self.stride) ** len(self.size)

    def module(self, classes: dict[int, Any]) -> Any:
        padding = self.dilation * (self.kernel_size - 1) // 2
        return classes[len(self.size)](
            *self.channels, self.kernel_size, self.stride, padding, self.dilation, self.groups
        )


@dataclass(frozen=True)
class Outcome:
    """Seconds of a step on engines and on torch, and whether engines were chosen."""

    drawn: Drawn
    engines: float
    torch: float
    chosen: bool

    @property
    def loss(self) -> float:
        """The time of the choice by that of the better one."""
        return (self.engines if self.chosen else self.torch) / min(self.engines, self.torch)


def draw(pick: random.Random) -> Drawn:
    if pick.random() < 0.5:
        layer = pick.choice(all_layers())
        batch = max(1, layer.batch // pick.choice((1, 2, 4)))
        kernel = pick.choice(layer.kernel_sizes), pick.choice(layer.dilations)
        drawn = Drawn(batch, layer.channels, layer.groups, layer.size, layer.stride, *kernel)
    else:
        ndim = pick.choice((1, 2, 2, 2, 3))
        longest = {1: (30, 46, 100, 256, 500, 1000, 2048), 2: (5, 8, 13, 28, 46, 64, 128), 3: (4, 8, 10, 16, 20)}[ndim]
        inside = pick.choice((1, 2, 3, 4, 8, 12, 16, 24, 32, 64, 96, 128))
        outside = pick.choice((1, 4, 8, 16, 24, 32, 64, 100, 128))
        depthwise = pick.random() < 0.35
        drawn = Drawn(
            batch=pick.choice((1, 2, 4, 8, 16, 32, 64)),
            channels=(inside, inside if depthwise else outside),
            groups=inside if depthwise else 1,
            size=tuple(pick.choice(longest) for _ in range(ndim)),
            stride=pick.choice((1, 1, 1, 2)),
            kernel_size=pick.choice({1: (3, 5, 7, 11, 19), 2: (3, 3, 5, 7, 9, 15), 3: (3, 3, 5)}[ndim]),
            dilation=pick.choice((1, 1, 2, 3, 7, 15)),
        )
    affordable = int(MOST // drawn.flops)
    return Drawn(max(1, min(drawn.batch, affordable)), *list(vars(drawn).values())[1:])


def step(module: nn.Module, x: Tensor, upstream: Tensor) -> float:
    for tensor in (x, *module.parameters()):
        tensor.grad = None
    start = time.perf_counter()
    module(x).backward(upstream)
    return time.perf_counter() - start


def measure(drawn: Drawn) -> Outcome:
    plain, ours = drawn.module({**CONVS, 3: nn.Conv3d}), drawn.module({**DK_CONVS, 3: dk.Conv3d})
    x = torch.randn(drawn.batch, drawn.channels[0], *drawn.size, requires_grad=True)
    upstream = torch.randn_like(plain(x))
    chosen = ours._wants_engine(x)
    ours._wants_engine = lambda input: True
    first = max(step(ours, x, upstream), step(plain, x, upstream))
    turns = 3 if first > 0.1 else 7 if first > 0.01 else 25
    engines, torchs = zip(*((step(ours, x, upstream), step(plain, x, upstream)) for _ in range(turns)), strict=True)
    return Outcome(drawn, median(engines), median(torchs), chosen)


def outcomes(seed: int, seconds: float) -> Iterator[Outcome]:
    pick, end = random.Random(seed), time.monotonic() + seconds
    while time.monotonic() < end:
        drawn = draw(pick)
        if drawn.flops <= MOST:
            yield measure(drawn)


def report(found: list[Outcome]) -> str:
    losses = [outcome.loss for outcome in found]
    better = [min(outcome.engines, outcome.torch) for outcome in found]
    always = {
        "engines always": [outcome.engines / best for outcome, best in zip(found, better, strict=True)],
        "torch always": [outcome.torch / best for outcome, best in zip(found, better, strict=True)],
    }
    lines = [
        f"{len(found)} convolutions on {torch.get_num_threads()} threads; times that of the better one:",
        f"  the choice: {geometric_mean(losses):.3f} in geometric mean, {max(losses):.2f} at worst, above 1.3 in "
        f"{sum(loss > 1.3 for loss in losses)}; it took engines in {sum(outcome.chosen for outcome in found)}",
        *(f"  {name}: {geometric_mean(ratios):.3f}, {max(ratios):.2f}" for name, ratios in always.items()),
        "worst:",
    ]
    for outcome in sorted(found, key=lambda outcome: -outcome.loss)[:5]:
        times = f"engines {1e3 * outcome.engines:.3g} ms, torch {1e3 * outcome.torch:.3g} ms"
        lines.append(f"  {outcome.loss:.2f}: {outcome.drawn}, {times}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(report(list(outcomes(int(sys.argv[1]) if sys.argv[1:] else 0, SECONDS))))
