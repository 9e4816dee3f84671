# SPDX-License-Identifier: BSD-3-Clause
"""What the engines of compiled C++ on the CPU share: where they run, and the mixing of taps."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .._load import LOAD
from ..softmax import Softmax
from .engine import Engine
from .numbers import numbers
from .problem import MixProblem, Problem

Ints = Sequence[int]


class CompiledEngine(Engine):
    """Float32 and float64 on the CPU. Mixing does not depend on how convolutions are computed: it is here."""

    def available(self, device_type: str | None = None) -> str | None:
        if LOAD.error is not None:
            return LOAD.error
        return None if device_type in (None, "cpu") else f"it runs on the CPU, not on {device_type}"

    def can_run(self, problem: Problem | MixProblem) -> str | None:
        if problem.dtype not in (torch.float32, torch.float64):
            return f"it computes float32 and float64, not {problem.dtype}"
        return None

    def mixture(self, logits: Tensor, softmax: Softmax) -> Tensor:
        noise = softmax.noise
        if noise is not None and noise.dtype != logits.dtype:
            noise = noise.to(logits.dtype)
        return compiled("cpu_mixture")(logits, noise, softmax.temperature)

    def logits_grad(self, grad: Tensor, mixture: Tensor, softmax: Softmax) -> Tensor:
        return compiled("cpu_logits_grad")(grad, mixture, softmax.temperature)

    def mix_taps(self, weight: Tensor, mixture: Tensor, index: Ints, counts: Ints, lattice_size: int) -> Tensor:
        return compiled("cpu_mix_taps")(weight, mixture, numbers(index).tensor, counts, lattice_size)

    def gather_taps(self, grad: Tensor, mixture: Tensor, index: Ints, counts: Ints) -> Tensor:
        return compiled("cpu_gather_taps")(grad, mixture, numbers(index).tensor, counts)

    def mixture_grad(self, grad: Tensor, weight: Tensor, index: Ints, counts: Ints) -> Tensor:
        return compiled("cpu_mixture_grad")(grad, weight, numbers(index).tensor, counts)

    def mix_grads(
        self, grad: Tensor, weight: Tensor, mixture: Tensor, index: Ints, counts: Ints
    ) -> tuple[Tensor, Tensor]:
        pair: tuple[Tensor, Tensor] = compiled_tuple("cpu_mix_grads")(
            grad, weight, mixture, numbers(index).tensor, counts
        )
        return pair


@functools.cache
def compiled(name: str) -> Callable[..., Tensor]:
    """The compiled operator of that name."""
    operator: Callable[..., Tensor] = getattr(torch.ops.dash_kernels, name).default
    return operator


@functools.cache
def compiled_tuple(name: str) -> Callable[..., Any]:
    """The compiled operator of that name, which returns several tensors."""
    operator: Callable[..., Any] = getattr(torch.ops.dash_kernels, name).default
    return operator


def convolve(name: str, in_double: bool, *arguments: Any) -> Tensor:
    """Runs the compiled operator of that name, in double where single precision would round too much."""
    return compiled(name)(*map(_wide, arguments)).float() if in_double else compiled(name)(*arguments)


def convolve_tuple(name: str, in_double: bool, *arguments: Any) -> tuple[Tensor, ...]:
    """The same, of an operator that returns several tensors."""
    if not in_double:
        return tuple(compiled_tuple(name)(*arguments))
    return tuple(result.float() for result in compiled_tuple(name)(*map(_wide, arguments)))


def _wide(argument: Any) -> Any:
    return argument.double() if isinstance(argument, Tensor) and argument.is_floating_point() else argument
