# SPDX-License-Identifier: BSD-3-Clause
"""The convolution family: schemas, fake kernels and derivatives of tap_conv and of its two adjoints.

With <g, tap_conv(x, w)> = F(g, x, w) linear in each of the three, the operators are F's derivatives in g, x and w, so
the gradient of each is given by the other two, to any order. A bias is added to that, and its gradient is a sum of g.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..engines import Engine
from ..formats import in_format, memory_format
from ..reference import bias_grad
from ._choice import Fields, conv_fields, engine_for
from ._register import plain, register

Size = Sequence[int]


def _describe_tap_conv(
    x: Tensor, taps: Tensor, offsets: Size, out_size: Size, stride: Size, groups: int, circular: bool, *_: Any
) -> Fields:
    size, out = tuple(x.shape[2:]), tuple(out_size)
    channels, filters = x.shape[1], taps.shape[0]
    return conv_fields("tap_conv", x, channels, filters, groups, size, out, tuple(stride), tuple(offsets), circular)


def _describe_input_grad(
    grad: Tensor, taps: Tensor, offsets: Size, input_size: Size, stride: Size, groups: int, circular: bool, engine: str
) -> Fields:
    size, out = tuple(input_size), tuple(grad.shape[2:])
    channels, filters, name = taps.shape[1] * groups, grad.shape[1], "tap_conv_input_grad"
    return conv_fields(name, grad, channels, filters, groups, size, out, tuple(stride), tuple(offsets), circular)


def _describe_weight_grad(
    grad: Tensor, x: Tensor, offsets: Size, stride: Size, groups: int, circular: bool, engine: str
) -> Fields:
    size, out = tuple(x.shape[2:]), tuple(grad.shape[2:])
    channels, filters, name = x.shape[1], grad.shape[1], "tap_conv_weight_grad"
    return conv_fields(name, x, channels, filters, groups, size, out, tuple(stride), tuple(offsets), circular)


def _empty_like(maps: Tensor, channels: int, size: Size) -> Tensor:
    """Maps of as many samples and of the same memory format."""
    shape = maps.shape[0], channels, *size
    return torch.empty(shape, dtype=maps.dtype, device=maps.device, memory_format=memory_format(maps))


def _fake_tap_conv(x: Tensor, taps: Tensor, offsets: Size, out_size: Size, *_: Any) -> Tensor:
    return _empty_like(x, taps.shape[0], out_size)


def _fake_input_grad(
    grad: Tensor, taps: Tensor, offsets: Size, input_size: Size, stride: Size, groups: int, *_: Any
) -> Tensor:
    return _empty_like(grad, taps.shape[1] * groups, input_size)


def _fake_weight_grad(grad: Tensor, x: Tensor, offsets: Size, stride: Size, groups: int, *_: Any) -> Tensor:
    return x.new_empty((grad.shape[1], x.shape[1] // groups, len(offsets) // (x.dim() - 2)))


# Each derivative saves an operand only if the other one needs a gradient.


def _save_tap_conv(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, taps, ctx.offsets, _, *ctx.rest, bias, engine = inputs
    ctx.rest.append(engine)
    ctx.input_size, ctx.format = x.shape[2:], memory_format(x)
    ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, taps if ctx.needs_input_grad[0] else None)


def _differentiate_tap_conv(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, taps = ctx.saved_tensors
    grad_x = grad_taps = grad_bias = None
    of_x, of_taps, *_, of_bias, _ = ctx.needs_input_grad
    if of_taps and (of_x or of_bias) and plain(grad, x):
        stride, groups, circular, wanted = ctx.rest
        of_weight = engine_for(_describe_weight_grad(grad, x, ctx.offsets, *ctx.rest), wanted)
        of_input = None
        if of_x:
            of_input = engine_for(_describe_input_grad(grad, taps, ctx.offsets, ctx.input_size, *ctx.rest), wanted)
        call = grad, taps, x, ctx.offsets, stride, groups, circular
        grad_x, grad_taps, grad_bias = gradients(of_input, of_weight, *call, of_bias)
        return grad_x, grad_taps, None, None, None, None, None, grad_bias, None
    if of_x:
        grad_x = in_format(tap_conv_input_grad(grad, taps, ctx.offsets, ctx.input_size, *ctx.rest), ctx.format)
    if of_taps:
        grad_taps = tap_conv_weight_grad(grad, x, ctx.offsets, *ctx.rest)
    if of_bias:
        grad_bias = bias_grad(grad)
    return grad_x, grad_taps, None, None, None, None, None, grad_bias, None


def gradients(
    of_input: Engine | None,
    of_weight: Engine,
    grad: Tensor,
    taps: Tensor,
    x: Tensor,
    offsets: Size,
    stride: Size,
    groups: int,
    circular: bool,
    bias: bool,
) -> tuple[Tensor | None, Tensor, Tensor | None]:
    """Gradients of x (None without an engine for it), of the taps, and of a bias if asked for: numbers, no graph."""
    rest = stride, groups, circular
    if of_input is of_weight:
        return of_weight.tap_conv_grads(grad, taps, x, offsets, *rest, bias)
    of_x = None
    if of_input is not None:
        of_x = of_input.tap_conv_input_grad(grad, taps, offsets, x.shape[2:], *rest)
    if bias:
        return of_x, *of_weight.tap_conv_weight_bias_grad(grad, x, offsets, *rest)
    return of_x, of_weight.tap_conv_weight_grad(grad, x, offsets, *rest), None


def _save_input_grad(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    grad, taps, ctx.offsets, _, *ctx.rest = inputs
    ctx.out_size = grad.shape[2:]
    ctx.save_for_backward(grad if ctx.needs_input_grad[1] else None, taps if ctx.needs_input_grad[0] else None)


def _differentiate_input_grad(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    grad, taps = ctx.saved_tensors
    grad_grad = grad_taps = None
    if ctx.needs_input_grad[0]:
        grad_grad = tap_conv(upstream, taps, ctx.offsets, ctx.out_size, *ctx.rest[:-1], None, ctx.rest[-1])
    if ctx.needs_input_grad[1]:
        grad_taps = tap_conv_weight_grad(grad, upstream, ctx.offsets, *ctx.rest)
    return grad_grad, grad_taps, None, None, None, None, None, None


def _save_weight_grad(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    grad, x, ctx.offsets, *ctx.rest = inputs
    ctx.out_size, ctx.input_size = grad.shape[2:], x.shape[2:]
    ctx.save_for_backward(grad if ctx.needs_input_grad[1] else None, x if ctx.needs_input_grad[0] else None)


def _differentiate_weight_grad(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    grad, x = ctx.saved_tensors
    grad_grad = grad_x = None
    if ctx.needs_input_grad[0]:
        grad_grad = tap_conv(x, upstream, ctx.offsets, ctx.out_size, *ctx.rest[:-1], None, ctx.rest[-1])
    if ctx.needs_input_grad[1]:
        grad_x = tap_conv_input_grad(grad, upstream, ctx.offsets, ctx.input_size, *ctx.rest)
    return grad_grad, grad_x, None, None, None, None, None


_TAIL = "int[] stride, int groups, bool circular, str engine) -> Tensor"
tap_conv = register(
    "tap_conv(Tensor x, Tensor taps, int[] offsets, SymInt[] out_size, int[] stride, int groups, bool circular, "
    "Tensor? bias, str engine) -> Tensor",
    _describe_tap_conv, _fake_tap_conv, _save_tap_conv, _differentiate_tap_conv,
)  # fmt: skip
tap_conv_input_grad = register(
    f"tap_conv_input_grad(Tensor grad, Tensor taps, int[] offsets, SymInt[] input_size, {_TAIL}",
    _describe_input_grad, _fake_input_grad, _save_input_grad, _differentiate_input_grad,
)  # fmt: skip
tap_conv_weight_grad = register(
    f"tap_conv_weight_grad(Tensor grad, Tensor x, int[] offsets, {_TAIL}",
    _describe_weight_grad, _fake_weight_grad, _save_weight_grad, _differentiate_weight_grad,
)  # fmt: skip
