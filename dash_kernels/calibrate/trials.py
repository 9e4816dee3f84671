# SPDX-License-Identifier: BSD-3-Clause
"""One call of an operator, and how long each engine and torch took for it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch

from ..engines.direct import DirectEngine
from ..engines.fourier import FourierEngine
from ..engines.problem import Problem
from ..engines.trial import engine_call, in_turns, torch_call
from ..space import SearchSpace
from ..taps import TapLattice, reaching, same_size

FOURIER, DIRECT = FourierEngine(), DirectEngine()
OPERATORS = ("tap_conv", "tap_conv_input_grad", "tap_conv_weight_grad")


@dataclass(frozen=True)
class Trial:
    """Milliseconds of processor time of one call on one thread, the least of some, and what was called.

    Attributes:
        operator: One of :data:`OPERATORS`.
        batch, in_channels, out_channels, groups: Of the layer.
        size: Pixels per axis of its input.
        stride: The same on every axis.
        kernel_sizes, dilations: The candidates, whose taps that reach a pixel are summed.
        fourier, direct, torch: The times; 0 of who cannot: "fourier" in 3-D, torch more than one candidate.
    """

    operator: str
    batch: int
    in_channels: int
    out_channels: int
    groups: int
    size: tuple[int, ...]
    stride: int
    kernel_sizes: tuple[int, ...]
    dilations: tuple[int, ...]
    fourier: float = 0.0
    direct: float = 0.0
    torch: float = 0.0

    @property
    def layer(self) -> tuple[object, ...]:
        """What was called but for the operator: the same of all passes of a layer."""
        channels = self.in_channels, self.out_channels, self.groups
        return self.batch, *channels, self.size, self.stride, self.kernel_sizes, self.dilations

    @property
    def regular(self) -> bool:
        """Whether there is one candidate, so that torch computes it too."""
        return len(self.kernel_sizes) * len(self.dilations) == 1

    @property
    def problem(self) -> Problem:
        """What the engines are given: without the taps that reach no pixel, unless torch computes it too."""
        ndim = len(self.size)
        strides, out = (self.stride,) * ndim, tuple(same_size(n, self.stride) for n in self.size)
        space = SearchSpace(kernel_sizes=self.kernel_sizes, dilations=self.dilations)
        lattice = TapLattice.of(space.candidates(ndim))
        taps = lattice.flat
        if not self.regular:
            taps, _ = reaching(lattice.flat, lattice.index, self.size, out, strides)
        channels = self.in_channels, self.out_channels, self.groups
        return Problem(self.operator, "cpu", torch.float32, self.batch, *channels, self.size, out, strides, taps, False)


def measured(trial: Trial) -> Trial:
    """The trial with its times. Call it where torch has one thread."""
    problem = trial.problem
    able = [engine for engine in (FOURIER, DIRECT) if engine.can_run(problem) is None]
    calls = {engine.name: engine_call(engine, problem) for engine in able}
    if trial.regular:
        calls["torch"] = torch_call(problem)
    seconds = dict(zip(calls, in_turns(list(calls.values()), time.process_time), strict=True))
    fourier, direct, torchs = (round(1e3 * seconds.get(name, 0.0), 4) for name in ("fourier", "direct", "torch"))
    return replace(trial, fourier=fourier, direct=direct, torch=torchs)
