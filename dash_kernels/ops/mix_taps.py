# SPDX-License-Identifier: BSD-3-Clause
"""The mixing family: schemas, fake kernels and derivatives of mix_taps and of its two adjoints.

mix_taps, gather_taps and mixture_grad are the derivatives of one form, linear in each of lattice gradient, packed
weight and mixture, so the gradient of each is given by the other two, to any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ._choice import Fields, engine_for, mix_fields
from ._register import plain, register

Numbers = Sequence[int]


def _describe_mix_taps(
    weight: Tensor, mixture: Tensor, index: Numbers, counts: Numbers, lattice_size: int, engine: str
) -> Fields:
    return mix_fields("mix_taps", weight, len(index), lattice_size, len(counts))


def _describe_gather_taps(grad: Tensor, mixture: Tensor, index: Numbers, counts: Numbers, engine: str) -> Fields:
    return mix_fields("gather_taps", grad, len(index), grad.shape[2], len(counts))


def _describe_mixture_grad(grad: Tensor, weight: Tensor, index: Numbers, counts: Numbers, engine: str) -> Fields:
    return mix_fields("mixture_grad", grad, len(index), grad.shape[2], len(counts))


def _fake_mix_taps(
    weight: Tensor, mixture: Tensor, index: Numbers, counts: Numbers, lattice_size: int, engine: str
) -> Tensor:
    return weight.new_empty((*weight.shape[:2], lattice_size))


def _fake_gather_taps(grad: Tensor, mixture: Tensor, index: Numbers, *_: Any) -> Tensor:
    return grad.new_empty((*grad.shape[:2], len(index)))


def _fake_mixture_grad(grad: Tensor, weight: Tensor, index: Numbers, counts: Numbers, engine: str) -> Tensor:
    return grad.new_empty((len(counts),))


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keeps each operand only if the other one needs a gradient."""
    first, second, ctx.index, ctx.counts, *_, ctx.engine = inputs
    ctx.save_for_backward(first if ctx.needs_input_grad[1] else None, second if ctx.needs_input_grad[0] else None)


def _save_adjoint(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.lattice_size = inputs[0].shape[2]
    _save(ctx, inputs, output)


def _differentiate_mix_taps(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    weight, mixture = ctx.saved_tensors
    grad_weight = grad_mixture = None
    if ctx.needs_input_grad[0] and ctx.needs_input_grad[1] and plain(upstream, weight, mixture):
        engine = engine_for(_describe_gather_taps(upstream, mixture, ctx.index, ctx.counts, ctx.engine), ctx.engine)
        other = engine_for(_describe_mixture_grad(upstream, weight, ctx.index, ctx.counts, ctx.engine), ctx.engine)
        if engine is other:
            return *engine.mix_grads(upstream, weight, mixture, ctx.index, ctx.counts), None, None, None, None
    if ctx.needs_input_grad[0]:
        grad_weight = gather_taps(upstream, mixture, ctx.index, ctx.counts, ctx.engine)
    if ctx.needs_input_grad[1]:
        grad_mixture = mixture_grad(upstream, weight, ctx.index, ctx.counts, ctx.engine)
    return grad_weight, grad_mixture, None, None, None, None


def _differentiate_gather_taps(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    grad, mixture = ctx.saved_tensors
    grad_grad = grad_mixture = None
    if ctx.needs_input_grad[0]:
        grad_grad = mix_taps(upstream, mixture, ctx.index, ctx.counts, ctx.lattice_size, ctx.engine)
    if ctx.needs_input_grad[1]:
        grad_mixture = mixture_grad(grad, upstream, ctx.index, ctx.counts, ctx.engine)
    return grad_grad, grad_mixture, None, None, None


def _differentiate_mixture_grad(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    grad, weight = ctx.saved_tensors
    grad_grad = grad_weight = None
    if ctx.needs_input_grad[0]:
        grad_grad = mix_taps(weight, upstream, ctx.index, ctx.counts, ctx.lattice_size, ctx.engine)
    if ctx.needs_input_grad[1]:
        grad_weight = gather_taps(grad, upstream, ctx.index, ctx.counts, ctx.engine)
    return grad_grad, grad_weight, None, None, None


_TAIL = "int[] index, int[] counts, str engine) -> Tensor"
mix_taps = register(
    "mix_taps(Tensor weight, Tensor mixture, int[] index, int[] counts, int lattice_size, str engine) -> Tensor",
    _describe_mix_taps, _fake_mix_taps, _save, _differentiate_mix_taps,
)  # fmt: skip
gather_taps = register(
    f"gather_taps(Tensor grad, Tensor mixture, {_TAIL}",
    _describe_gather_taps, _fake_gather_taps, _save_adjoint, _differentiate_gather_taps,
)  # fmt: skip
mixture_grad = register(
    f"mixture_grad(Tensor grad, Tensor weight, {_TAIL}",
    _describe_mixture_grad, _fake_mixture_grad, _save_adjoint, _differentiate_mixture_grad,
)  # fmt: skip
