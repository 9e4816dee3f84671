# SPDX-License-Identifier: BSD-3-Clause
"""Runs an engine on a problem with random tensors, and times it as a layer between other layers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from .engine import Engine
from .problem import MixProblem, Problem
from .torch_cost import kernel

# Where a call takes long, few of them are as good as many, and where very long, one.
TURNS, SLOW_TURNS = 7, 3
SLOW, VERY_SLOW = 0.06, 1.0

SWEPT = 48 * 2**20
"""Bytes that are written before a call is timed: they take the place of its tensors in the caches."""

Clock = Callable[[], float]
Call = Callable[[], object]


@dataclass(frozen=True)
class TimedCall:
    """What :func:`in_turns` times.

    Attributes:
        call: The call, with operands drawn once.
        small: The same for a single sample or row.
    """

    call: Call
    small: Call


def engine_call(engine: Engine, problem: Problem | MixProblem) -> TimedCall:
    """The engine's operator for ``problem``."""
    call = _engine_call(engine, problem)
    if isinstance(problem, MixProblem):
        return TimedCall(call, _engine_call(engine, replace(problem, rows=1)) if problem.rows > 1 else call)
    return TimedCall(call, _engine_call(engine, replace(problem, batch=1)) if problem.batch > 1 else call)


def torch_call(problem: Problem) -> TimedCall:
    """torch's own convolution for a problem with the taps of a regular kernel, padded alike and not wrapping around."""
    call = _torch_call(problem)
    return TimedCall(call, _torch_call(replace(problem, batch=1)) if problem.batch > 1 else call)


def _engine_call(engine: Engine, problem: Problem | MixProblem) -> Call:
    options: Any = {"dtype": problem.dtype, "device": problem.device}
    if isinstance(problem, MixProblem):
        weight = torch.randn(1, problem.rows, problem.packed, **options)
        grad = torch.randn(1, problem.rows, problem.lattice, **options)
        mixture = torch.randn(problem.candidates, **options)
        index = tuple(tap % problem.lattice for tap in range(problem.packed))
        share, more = divmod(problem.packed, problem.candidates)
        counts = tuple(share + (candidate < more) for candidate in range(problem.candidates))
        return {
            "mix_taps": lambda: engine.mix_taps(weight, mixture, index, counts, problem.lattice),
            "gather_taps": lambda: engine.gather_taps(grad, mixture, index, counts),
            "mixture_grad": lambda: engine.mixture_grad(grad, weight, index, counts),
        }[problem.operator]
    p = problem
    x = torch.randn(p.batch, p.in_channels, *p.input_size, **options)
    y = torch.randn(p.batch, p.out_channels, *p.out_size, **options)
    taps = torch.randn(p.out_channels, p.in_channels // p.groups, p.num_taps, **options)
    return {
        "tap_conv": lambda: engine.tap_conv(x, taps, p.offsets, p.out_size, p.stride, p.groups, p.circular),
        "tap_conv_input_grad": lambda: engine.tap_conv_input_grad(
            y, taps, p.offsets, p.input_size, p.stride, p.groups, p.circular
        ),
        "tap_conv_weight_grad": lambda: engine.tap_conv_weight_grad(y, x, p.offsets, p.stride, p.groups, p.circular),
    }[problem.operator]


def _torch_call(problem: Problem) -> Call:
    p, shape = problem, kernel(problem.offsets, problem.ndim)
    assert shape is not None and not p.circular
    options: Any = {"dtype": p.dtype, "device": p.device}
    x = torch.randn(p.batch, p.in_channels, *p.input_size, **options)
    weight = torch.randn(p.out_channels, p.in_channels // p.groups, *shape.size, **options)
    rest = p.stride, shape.before, shape.dilation, False, (0,) * p.ndim, p.groups
    if p.operator == "tap_conv":
        return lambda: torch.ops.aten.convolution(x, weight, None, *rest)
    y = torch.randn(p.batch, p.out_channels, *p.out_size, **options)
    mask = (p.operator == "tap_conv_input_grad", p.operator == "tap_conv_weight_grad", False)
    return lambda: torch.ops.aten.convolution_backward(y, x, weight, None, *rest, mask)


def in_turns(calls: Sequence[TimedCall], clock: Clock = time.perf_counter) -> list[float]:
    """The shortest time of each call, in seconds of ``clock``, the calls taking turns after one round that warms up.

    Each takes nearer to what it takes between other layers than in a loop of its own: its small call came just before,
    so that code and plan are in the caches, and tensors and workspace are not. Of a GPU no cache is emptied.
    """
    swept = torch.zeros(SWEPT, dtype=torch.uint8, device="cpu")
    least = [_seconds(call, swept, clock) for call in calls]
    if max(least) > VERY_SLOW:
        return least
    count = SLOW_TURNS if max(least) > SLOW else TURNS
    turns = [[_seconds(call, swept, clock) for call in calls] for _ in range(count)]
    return [min(times) for times in zip(*turns, strict=True)]


def _seconds(timed: TimedCall, swept: torch.Tensor, clock: Clock) -> float:
    _empty_caches(swept)
    timed.small()
    _wait()
    start = clock()
    timed.call()
    _wait()
    return clock() - start


def _empty_caches(swept: torch.Tensor) -> None:
    swept.add_(1)


def _wait() -> None:
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()  # a call there returns before the work is done
