# SPDX-License-Identifier: BSD-3-Clause
"""Engine "triton": kernels in Triton on a GPU, or interpreted on the CPU. It imports Triton when it first runs."""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ... import _env
from ...formats import in_format_of
from ...reference import per_channel
from ..engine import Engine
from ..problem import MixProblem, Problem
from .plan import plan

Ints = Sequence[int]

LEAST_CAPABILITY = (8, 0)
"""The first whose matrix units multiply in TF32."""


class TritonEngine(Engine):
    """One to three axes, float32 and float64, on CUDA and ROCm devices.

    Results of one device are the same from run to run; in deterministic mode from process to process, since then no
    kernel's block sizes are chosen by measurement. Products of float32 follow ``torch.set_float32_matmul_precision``:
    by default ("highest") they are as exact as float32, "high" and "medium" round operands to fewer bits.
    """

    name = "triton"

    def available(self, device_type: str | None = None) -> str | None:
        return _missing(device_type, _env.triton_interpret())

    def can_run(self, problem: Problem | MixProblem) -> str | None:
        if problem.dtype not in (torch.float32, torch.float64):
            return f"it computes float32 and float64, not {problem.dtype}"
        if isinstance(problem, MixProblem):
            return None
        if problem.ndim > 3:
            return f"it computes 1-D, 2-D and 3-D convolutions, not {problem.ndim}-D"
        how = plan(problem.offsets, problem.input_size, problem.out_size, problem.stride, problem.circular)
        if how.route == "torch" and any(
            step * (m - 1) >= n for step, m, n in zip(problem.stride, problem.out_size, how.lengths, strict=True)
        ):
            return "its transforms by torch.fft cannot give an output that goes round a circular map more than once"
        return None

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
        results = x.shape[0] * taps.shape[0] * math.prod(out_size)
        if not (results and x.numel() and taps.numel()):
            return in_format_of(x, _only_bias(x.new_zeros((x.shape[0], taps.shape[0], *out_size)), bias))
        from .convolution import Convolution

        how = Convolution.of(x, results, offsets, x.shape[2:], out_size, stride, groups, circular)
        return in_format_of(x, how.forward(x, taps, bias))

    def tap_conv_input_grad(
        self, grad: Tensor, taps: Tensor, offsets: Ints, input_size: Ints, stride: Ints, groups: int, circular: bool
    ) -> Tensor:
        shape = grad.shape[0], taps.shape[1] * groups, *input_size
        if not (math.prod(shape) and grad.numel() and taps.numel()):
            return in_format_of(grad, grad.new_zeros(shape))
        from .convolution import Convolution

        call = math.prod(shape), offsets, input_size, grad.shape[2:], stride, groups, circular
        return in_format_of(grad, Convolution.of(grad, *call).input_grad(grad, taps))

    def tap_conv_weight_grad(
        self, grad: Tensor, x: Tensor, offsets: Ints, stride: Ints, groups: int, circular: bool
    ) -> Tensor:
        shape = grad.shape[1], x.shape[1] // groups, len(offsets) // len(stride)
        if not (math.prod(shape) and grad.numel() and x.numel()):
            return grad.new_zeros(shape)
        from .convolution import Convolution

        call = math.prod(shape), offsets, x.shape[2:], grad.shape[2:], stride, groups, circular
        return Convolution.of(grad, *call).weight_grad(grad, x)

    def tap_conv_weight_bias_grad(
        self, grad: Tensor, x: Tensor, offsets: Ints, stride: Ints, groups: int, circular: bool
    ) -> tuple[Tensor, Tensor]:
        return self.tap_conv_weight_grad(grad, x, offsets, stride, groups, circular), _bias_grad(grad)

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
        if x.numel() and grad.numel() and taps.numel():
            from .convolution import Convolution

            call = offsets, x.shape[2:], grad.shape[2:], stride, groups, circular
            of_input, of_weight = (Convolution.of(grad, results, *call) for results in (x.numel(), taps.numel()))
            if of_input == of_weight:  # else one of them is computed in double
                of_x, of_taps = of_weight.gradients(grad, taps, x)
                return in_format_of(x, of_x), of_taps, _bias_grad(grad) if bias else None
        return super().tap_conv_grads(grad, taps, x, offsets, stride, groups, circular, bias)

    def mix_taps(self, weight: Tensor, mixture: Tensor, index: Ints, counts: Ints, lattice_size: int) -> Tensor:
        from . import mixing

        return mixing.mix_taps(weight, mixture, index, counts, lattice_size)

    def gather_taps(self, grad: Tensor, mixture: Tensor, index: Ints, counts: Ints) -> Tensor:
        from . import mixing

        return mixing.gather_taps(grad, mixture, index, counts)

    def mixture_grad(self, grad: Tensor, weight: Tensor, index: Ints, counts: Ints) -> Tensor:
        from . import mixing

        return mixing.mixture_grad(grad, weight, index, counts)

    def mix_grads(
        self, grad: Tensor, weight: Tensor, mixture: Tensor, index: Ints, counts: Ints
    ) -> tuple[Tensor, Tensor]:
        from . import mixing

        return mixing.mix_grads(grad, weight, mixture, index, counts)


def _bias_grad(grad: Tensor) -> Tensor:
    # a whole batch of pixels may cancel; torch widens as it reads, so double costs no memory
    return grad.sum((0, *range(2, grad.dim())), dtype=torch.float64).to(grad.dtype)


def _only_bias(zeros: Tensor, bias: Tensor | None) -> Tensor:
    return zeros if bias is None else zeros + per_channel(bias, zeros.dim())


@functools.cache
def _missing(device_type: str | None, interpreted: bool) -> str | None:
    """Why it cannot run on such devices."""
    if importlib.util.find_spec("triton") is None:
        return "the package triton is not installed: pip install triton"
    if interpreted:
        return (
            None
            if device_type in (None, "cpu")
            else f"TRITON_INTERPRET=1 interprets it on the CPU, not on {device_type}"
        )
    if device_type not in (None, "cuda"):
        return f"it runs on GPUs (and under TRITON_INTERPRET=1 on the CPU), not on {device_type}"
    if not torch.cuda.is_available():
        return "torch finds no GPU here"
    if torch.version.hip is None and torch.cuda.get_device_capability() < LEAST_CAPABILITY:
        return f"the GPU has compute capability {torch.cuda.get_device_capability()}, below {LEAST_CAPABILITY}"
    return None
