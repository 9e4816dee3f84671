# SPDX-License-Identifier: BSD-3-Clause
"""torch's own convolution beside the engines: which is expected to be faster, forward and both gradients together.

One decision holds for all three passes, so that a layer rounds alike in all of them.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace

import torch

from . import cost
from .calibration import constants
from .problem import Problem
from .registry import survey
from .torch_cost import PASSES, torch_work

ENGINE_STEP = 175e-6
"""Seconds by which Python makes a training step longer on an engine than on torch: ``python -m bench.overhead``."""

TORCH_THREADS = 100e-6
"""Seconds for which torch's threads wait for each other in a training step, where there is more than one.

10 µs where waiting threads spin and have a core each, 250 µs where they sleep: ``python -m bench.overhead`` under each.
What is taken lies between.
"""


@dataclass(frozen=True)
class Convolution:
    """A call of a convolution layer, one kernel, everything per axis.

    Attributes:
        threaded: Whether torch uses more than one thread.
        device, dtype: As in :class:`Problem`.
        batch, in_channels, out_channels, groups: As in :class:`Problem`.
        size: Pixels of the input, not padded.
        kernel_size, dilation, stride: As in ``nn.ConvNd``.
        before, after: Pixels of padding.
        circular: Whether the padding wraps around; else it is zero.
    """

    threaded: bool
    device: str
    dtype: torch.dtype
    batch: int
    in_channels: int
    out_channels: int
    groups: int
    size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    dilation: tuple[int, ...]
    stride: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    circular: bool


@dataclass(frozen=True)
class Weighing:
    """What is expected of a convolution's forward and both gradients.

    Attributes:
        problems: The three as the engines get them.
        plain: The same as torch gets them, which is given a padded input where it cannot pad by itself.
        engines: Seconds of the fastest engines, None where nothing but the reference can.
        torch: Seconds of torch's own convolution; None off the CPU, or where the kernel is wider than the input.
    """

    problems: tuple[Problem, ...]
    plain: tuple[Problem, ...]
    engines: float | None
    torch: float | None

    @property
    def engine_is_faster(self) -> bool:
        """Whether to leave torch's own convolution for an engine."""
        return self.engines is not None and self.torch is not None and self.engines < self.torch


@functools.lru_cache(maxsize=4096)
def weigh(layer: Convolution) -> Weighing:
    """Adds up what the passes of ``layer`` are expected to take."""
    spans = [d * (k - 1) + 1 for k, d in zip(layer.kernel_size, layer.dilation, strict=True)]
    padded = tuple(n + b + a for n, b, a in zip(layer.size, layer.before, layer.after, strict=True))
    if any(n < span for n, span in zip(padded, spans, strict=True)):
        return Weighing((), (), None, None)
    out = tuple((n - span) // step + 1 for n, span, step in zip(padded, spans, layer.stride, strict=True))
    problems = _problems(layer, layer.size, out, layer.before, layer.circular)
    plain = problems
    if layer.circular or layer.before != layer.after:
        plain = _problems(layer, padded, out, (0,) * len(out), False)
    times = [min(survey(problem).seconds.values(), default=None) for problem in problems]
    known = [time for time in times if time is not None]
    engines = sum(known, ENGINE_STEP) if len(known) == len(times) else None
    waits = TORCH_THREADS if layer.threaded else 0.0
    plainly = sum(map(predict_torch, plain), waits) if layer.device == "cpu" else None
    return Weighing(problems, plain, engines, plainly)


def predict_torch(problem: Problem) -> float:
    """Seconds that torch's own convolution is expected to take on one thread."""
    return cost.seconds(torch_work(problem), constants("TORCH"))


def _problems(
    layer: Convolution, size: tuple[int, ...], out: tuple[int, ...], before: tuple[int, ...], circular: bool
) -> tuple[Problem, ...]:
    axes = [range(-b, d * k - b, d) for b, k, d in zip(before, layer.kernel_size, layer.dilation, strict=True)]
    offsets = tuple(itertools.chain.from_iterable(itertools.product(*axes)))
    channels = layer.in_channels, layer.out_channels, layer.groups
    forward = Problem(
        "tap_conv", layer.device, layer.dtype, layer.batch, *channels, size, out, layer.stride, offsets, circular
    )
    return tuple(replace(forward, operator=operator) for operator in PASSES)
