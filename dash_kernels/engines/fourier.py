# SPDX-License-Identifier: BSD-3-Clause
"""Engine "fourier": compiled C++ on the CPU; one product in the frequency domain, whatever the number of taps."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..formats import in_format_of, memory_format
from ..taps import fast_length, is_smooth, transform_length
from . import cost
from .calibration import constants
from .compiled import CompiledEngine, Ints, compiled_tuple, convolve, convolve_tuple
from .numbers import Interned, numbers
from .problem import MixProblem, Problem
from .rounding import in_double, share_reached


@dataclass(frozen=True)
class Plan:
    """How the compiled operators are to compute a convolution.

    Attributes:
        taps: Offsets, flat.
        out: Pixels per axis that the compiled operator computes.
        stride: Its step. One with a prime factor above 5 divides no fast length: there every pixel is computed.
        keep: Step between the computed pixels that are wanted: 1, but for such strides.
        lengths: Transform length per axis.
        circular: Whether the transform's own period does the wrapping.
        wrapped: Per axis, the positions that are laid side by side, modulo size, before a plain convolution, where no
            even, smooth transform is as long as the input and can wrap by itself. Else None.
        reach: Share of the outputs that a tap reads an input pixel for, on average over the taps that reach any.
    """

    taps: Interned
    out: tuple[int, ...]
    stride: tuple[int, ...]
    keep: tuple[int, ...]
    lengths: tuple[int, ...]
    circular: bool
    wrapped: tuple[range, ...] | None
    reach: float

    def in_double(self, dtype: torch.dtype, results: int) -> bool:
        """Whether single precision would round so many results too much."""
        return in_double(dtype, self.reach, results)

    @functools.cached_property
    def is_whole(self) -> bool:
        """Whether maps are not wrapped before the compiled operators, nor thinned behind: these keep memory formats."""
        return self.wrapped is None and max(self.keep) == 1


@functools.lru_cache(maxsize=1024)
def plan(
    offsets: tuple[int, ...], size: tuple[int, ...], out: tuple[int, ...], stride: tuple[int, ...], circular: bool
) -> Plan:
    """The plan for one geometry; ``offsets`` flat, the rest per axis."""
    stride = tuple(step if m > 1 else 1 for step, m in zip(stride, out, strict=True))  # the only output is at 0
    keep = tuple(1 if is_smooth(step) else step for step in stride)
    out = tuple(skip * (m - 1) + 1 for m, skip in zip(out, keep, strict=True))
    stride = tuple(step // skip for step, skip in zip(stride, keep, strict=True))
    ndim = len(size)
    rows = [offsets[t : t + ndim] for t in range(0, len(offsets), ndim)]
    if not circular:
        reach = share_reached(rows, size, out, stride)
        return Plan(numbers(offsets), out, stride, keep, _lengths(rows, size, out, stride), False, None, reach)
    multiples = [step * (2 if axis == ndim - 1 else 1) for axis, step in enumerate(stride)]
    if all(
        fast_length(n, multiple) == n and step * m <= n
        for n, m, step, multiple in zip(size, out, stride, multiples, strict=True)
    ):
        return Plan(numbers(offsets), out, stride, keep, size, True, None, 1.0)
    near = [tuple((o + n // 2) % n - n // 2 for o, n in zip(row, size, strict=True)) for row in rows]
    lowest = [min(axis) for axis in zip(*near, strict=True)]
    highest = [max(axis) for axis in zip(*near, strict=True)]
    wrapped = tuple(
        range(lo, step * (m - 1) + hi + 1) for lo, hi, m, step in zip(lowest, highest, out, stride, strict=True)
    )
    moved = [tuple(o - lo for o, lo in zip(row, lowest, strict=True)) for row in near]
    lengths = _lengths(moved, tuple(map(len, wrapped)), out, stride)
    return Plan(numbers([o for row in moved for o in row]), out, stride, keep, lengths, False, wrapped, 1.0)


def _lengths(rows: Sequence[Ints], size: Ints, out: Ints, stride: Ints) -> tuple[int, ...]:
    reaching = [
        row
        for row in rows
        if all(o < n and o + step * (m - 1) >= 0 for o, n, m, step in zip(row, size, out, stride, strict=True))
    ]
    lengths = []
    for axis, (n, m, step) in enumerate(zip(size, out, stride, strict=True)):
        on_axis = [row[axis] for row in reaching] or [0]
        lengths.append(transform_length(min(on_axis), max(on_axis), n, m, step, axis == len(size) - 1))
    return tuple(lengths)


class FourierEngine(CompiledEngine):
    """One-dimensional and two-dimensional convolutions of float32 and float64 on the CPU, and the mixing of taps."""

    name = "fourier"

    def can_run(self, problem: Problem | MixProblem) -> str | None:
        if isinstance(problem, Problem):
            if problem.ndim > 2:
                return f"it computes 1-D and 2-D convolutions, not {problem.ndim}-D"
            if not (problem.in_channels and problem.out_channels):
                return "it computes convolutions with channels on both sides"
        return super().can_run(problem)

    def predict(self, problem: Problem | MixProblem) -> float | None:
        return None if isinstance(problem, MixProblem) else cost.seconds(self.work(problem), constants("FOURIER"))

    def work(self, problem: Problem) -> dict[str, float]:
        """How often it does each thing in ``cost.FOURIER``."""
        how = plan(problem.offsets, problem.input_size, problem.out_size, problem.stride, problem.circular)
        size = problem.input_size if how.wrapped is None else tuple(map(len, how.wrapped))
        computed = replace(problem, input_size=size, out_size=how.out, stride=how.stride, offsets=how.taps)
        in_double = how.in_double(problem.dtype, problem.results)
        return cost.fourier_work(computed, how.lengths, in_double)

    def tap_conv(
        self,
        x: Tensor,
        taps: Tensor,
        offsets: Ints,
        out_size: Ints,
        stride: Ints,
        groups: int,
        circular: bool,
        bias: Tensor | None = None,
    ) -> Tensor:
        how = plan(numbers(offsets), tuple(x.shape[2:]), tuple(out_size), tuple(stride), circular)
        in_double = how.in_double(x.dtype, x.shape[0] * taps.shape[0] * math.prod(out_size))
        rest = (how.taps.tensor, how.out, how.stride, how.lengths, groups, how.circular, bias)
        y = _thin(convolve("fourier_tap_conv", in_double, _wrap(x, how), taps, *rest), how)
        return y if how.is_whole else in_format_of(x, y)

    def tap_conv_input_grad(
        self, grad: Tensor, taps: Tensor, offsets: Ints, input_size: Ints, stride: Ints, groups: int, circular: bool
    ) -> Tensor:
        how = plan(numbers(offsets), tuple(input_size), tuple(grad.shape[2:]), tuple(stride), circular)
        size = input_size if how.wrapped is None else [len(positions) for positions in how.wrapped]
        in_double = how.in_double(grad.dtype, grad.shape[0] * taps.shape[1] * groups * math.prod(input_size))
        rest = (how.taps.tensor, size, how.stride, how.lengths, groups, how.circular)
        wide = convolve("fourier_tap_conv_input_grad", in_double, _spread(grad, how), taps, *rest)
        return wide if how.is_whole else in_format_of(grad, _unwrap(wide, how, input_size))

    def tap_conv_weight_grad(
        self, grad: Tensor, x: Tensor, offsets: Ints, stride: Ints, groups: int, circular: bool
    ) -> Tensor:
        return convolve("fourier_tap_conv_weight_grad", *_weight_grad(grad, x, offsets, stride, groups, circular))

    def tap_conv_weight_bias_grad(
        self, grad: Tensor, x: Tensor, offsets: Ints, stride: Ints, groups: int, circular: bool
    ) -> tuple[Tensor, Tensor]:
        call = _weight_grad(grad, x, offsets, stride, groups, circular)
        of_taps, of_bias = convolve_tuple("fourier_tap_conv_weight_bias_grad", *call)
        return of_taps, of_bias

    def tap_conv_grads(
        self,
        grad: Tensor,
        taps: Tensor,
        x: Tensor,
        offsets: Ints,
        stride: Ints,
        groups: int,
        circular: bool,
        bias: bool,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        size = tuple(x.shape[2:])
        how = plan(numbers(offsets), size, tuple(grad.shape[2:]), tuple(stride), circular)
        in_double = how.in_double(x.dtype, taps.numel())
        if how.in_double(x.dtype, x.numel()) != in_double:
            return super().tap_conv_grads(grad, taps, x, offsets, stride, groups, circular, bias)
        rest = (how.taps.tensor, how.stride, how.lengths, groups, how.circular)
        wide, of_taps, of_bias = convolve_tuple(
            "fourier_tap_conv_grads", in_double, _spread(grad, how), taps, _wrap(x, how), *rest
        )
        of_x = wide if how.is_whole else in_format_of(x, _unwrap(wide, how, size))
        return of_x, of_taps, of_bias if bias else None

    def mixed_conv(
        self,
        x: Tensor,
        weight: Tensor,
        mixture: Tensor,
        index: Ints,
        counts: Ints,
        offsets: Ints,
        out_size: Ints,
        stride: Ints,
        groups: int,
        circular: bool,
        bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        how = plan(numbers(offsets), tuple(x.shape[2:]), tuple(out_size), tuple(stride), circular)
        results = x.shape[0] * weight.shape[0] * math.prod(out_size)
        if not how.is_whole or not results or how.in_double(x.dtype, results):
            rest = (offsets, out_size, stride, groups, circular, bias)
            return super().mixed_conv(x, weight, mixture, index, counts, *rest)
        mixed = (weight, mixture, numbers(index).tensor, counts)
        call = (how.taps.tensor, how.out, how.stride, how.lengths, groups, how.circular, bias)
        y, taps = compiled_tuple("fourier_mixed_conv")(x, *mixed, *call)
        return y, taps

    def mixed_conv_grads(
        self,
        grad: Tensor,
        taps: Tensor,
        x: Tensor,
        weight: Tensor,
        mixture: Tensor,
        index: Ints,
        counts: Ints,
        offsets: Ints,
        stride: Ints,
        groups: int,
        circular: bool,
        bias: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        how = plan(numbers(offsets), tuple(x.shape[2:]), tuple(grad.shape[2:]), tuple(stride), circular)
        results = min(x.numel(), taps.numel())
        if not how.is_whole or not results or how.in_double(x.dtype, results):
            rest = (offsets, stride, groups, circular, bias)
            return super().mixed_conv_grads(grad, taps, x, weight, mixture, index, counts, *rest)
        mixed = (weight, mixture, numbers(index).tensor, counts)
        call = (how.taps.tensor, how.stride, how.lengths, groups, how.circular)
        of_x, of_weight, of_mixture, of_bias = compiled_tuple("fourier_mixed_conv_grads")(grad, taps, x, *mixed, *call)
        return of_x, of_weight, of_mixture, of_bias if bias else None


def _weight_grad(
    grad: Tensor, x: Tensor, offsets: Ints, stride: Ints, groups: int, circular: bool
) -> tuple[bool, Tensor, Tensor, Tensor, Ints, Ints, int, bool]:
    """Whether to compute it in double, and the arguments of the compiled operator."""
    how = plan(numbers(offsets), tuple(x.shape[2:]), tuple(grad.shape[2:]), tuple(stride), circular)
    in_double = how.in_double(grad.dtype, grad.shape[1] * x.shape[1] // groups * (len(offsets) // len(stride)))
    rest = (how.taps.tensor, how.stride, how.lengths, groups, how.circular)
    return in_double, _spread(grad, how), _wrap(x, how), *rest


def _wrap(x: Tensor, how: Plan) -> Tensor:
    for axis, positions in enumerate(how.wrapped or (), start=2):
        x = x.index_select(axis, _modulo(positions, x.shape[axis]))
    return x


def _unwrap(wide: Tensor, how: Plan, input_size: Ints) -> Tensor:
    """The adjoint of :func:`_wrap`: gradients of copies of one pixel add up."""
    for axis, positions in enumerate(how.wrapped or (), start=2):
        size = input_size[axis - 2]
        narrow = wide.new_zeros((*wide.shape[:axis], size, *wide.shape[axis + 1 :]))
        wide = narrow.index_add_(axis, _modulo(positions, size), wide)
    return wide


def _modulo(positions: range, size: int) -> Tensor:
    return torch.arange(positions.start, positions.stop, device="cpu") % size


def _thin(y: Tensor, how: Plan) -> Tensor:
    """The pixels of ``y`` that are wanted."""
    return y if max(how.keep) == 1 else _kept(y, how).clone(memory_format=memory_format(y))


def _spread(grad: Tensor, how: Plan) -> Tensor:
    """The adjoint of :func:`_thin`."""
    if max(how.keep) == 1:
        return grad
    wide = grad.new_zeros((*grad.shape[:2], *how.out))
    _kept(wide, how).copy_(grad)
    return wide


def _kept(wide: Tensor, how: Plan) -> Tensor:
    for axis, skip in enumerate(how.keep, start=2):
        wide = wide[(slice(None),) * axis + (slice(None, None, skip),)]
    return wide
