# SPDX-License-Identifier: BSD-3-Clause
"""Engine "direct": compiled C++ on the CPU; direct sums over the taps that reach a pixel."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from ..formats import in_format_of
from ..taps import FARTHEST
from . import cost
from .calibration import constants
from .compiled import CompiledEngine, Ints, convolve, convolve_tuple
from .numbers import numbers
from .problem import MixProblem, Problem

# What csrc/core/direct_plan.h calls kMostRowTaps: all result rows together read so many source rows at most.
MOST_ROW_TAPS = 2**25
# Norm-wise, so few sums may be far smaller than what they sum. Of 23,000 drawn shapes (as tests/test_properties.py
# draws them) seven missed the bar in single precision, all with at most four results.
FEW_RESULTS = 16


class DirectEngine(CompiledEngine):
    """One to three axes, float32 and float64. Cost grows with the taps that reach a pixel, not with the map's size.

    Rounding is that of a sum in blocks, pixel by pixel. The weight gradient is summed in an order that depends on the
    number of threads alone.
    """

    name = "direct"

    def can_run(self, problem: Problem | MixProblem) -> str | None:
        if isinstance(problem, Problem):
            if problem.ndim > 3:
                return f"it computes 1-D, 2-D and 3-D convolutions, not {problem.ndim}-D"
            if max(*problem.input_size, *problem.out_size) > FARTHEST:
                return f"an axis has more than {FARTHEST} pixels"
            pairs = _row_taps(problem.offsets, problem.input_size, problem.out_size)
            if pairs > MOST_ROW_TAPS:
                return f"its table of rows would have {pairs} entries, more than {MOST_ROW_TAPS}"
        return super().can_run(problem)

    def predict(self, problem: Problem | MixProblem) -> float | None:
        return None if isinstance(problem, MixProblem) else cost.seconds(cost.direct_work(problem), constants("DIRECT"))

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
        in_double = _in_double(x, x.shape[0] * taps.shape[0] * math.prod(out_size))
        rest = (numbers(offsets).tensor, out_size, stride, groups, circular, bias)
        return in_format_of(x, convolve("direct_tap_conv", in_double, x, taps, *rest))

    def tap_conv_input_grad(
        self, grad: Tensor, taps: Tensor, offsets: Ints, input_size: Ints, stride: Ints, groups: int, circular: bool
    ) -> Tensor:
        upstream = grad
        if circular:
            upstream, stride = _wrapped(grad, input_size, stride), (1,) * len(stride)
        in_double = _in_double(grad, grad.shape[0] * taps.shape[1] * groups * math.prod(input_size))
        rest = (numbers(offsets).tensor, input_size, stride, groups, circular)
        return in_format_of(grad, convolve("direct_tap_conv_input_grad", in_double, upstream, taps, *rest))

    def tap_conv_weight_grad(
        self, grad: Tensor, x: Tensor, offsets: Ints, stride: Ints, groups: int, circular: bool
    ) -> Tensor:
        in_double = _in_double(grad, grad.shape[1] * x.shape[1] // groups * (len(offsets) // len(stride)))
        rest = (numbers(offsets).tensor, stride, groups, circular)
        return convolve("direct_tap_conv_weight_grad", in_double, grad, x, *rest)

    def tap_conv_weight_bias_grad(
        self, grad: Tensor, x: Tensor, offsets: Ints, stride: Ints, groups: int, circular: bool
    ) -> tuple[Tensor, Tensor]:
        in_double = _in_double(grad, grad.shape[1] * x.shape[1] // groups * (len(offsets) // len(stride)))
        rest = (numbers(offsets).tensor, stride, groups, circular)
        of_taps, of_bias = convolve_tuple("direct_tap_conv_weight_bias_grad", in_double, grad, x, *rest)
        return of_taps, of_bias


def _in_double(operand: Tensor, results: int) -> bool:
    """Whether it is a handful of results, which may all cancel."""
    return operand.dtype == torch.float32 and results <= FEW_RESULTS


@functools.lru_cache(maxsize=1024)
def _row_taps(offsets: tuple[int, ...], size: tuple[int, ...], out: tuple[int, ...]) -> int:
    """No fewer than the pairs of result row and source row that the compiled plan lists, whatever the direction."""
    ndim = len(size)
    groups = len({offsets[t : t + ndim - 1] for t in range(0, len(offsets), ndim)})
    return max(math.prod(size[:-1]), math.prod(out[:-1])) * groups


def _wrapped(grad: Tensor, input_size: Ints, stride: Ints) -> Tensor:
    """The gradient of the output of stride 1 that is as large as the input: gradients of one pixel's copies add up."""
    for axis, (n, step) in enumerate(zip(input_size, stride, strict=True), start=2):
        m = grad.shape[axis]
        if m == n and step == 1:
            continue
        pixels = torch.arange(m, device="cpu") * step % n
        wide = grad.new_zeros((*grad.shape[:axis], n, *grad.shape[axis + 1 :]))
        grad = wide.index_add_(axis, pixels, grad)
    return grad
