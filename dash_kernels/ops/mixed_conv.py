# SPDX-License-Identifier: BSD-3-Clause
"""A whole layer, mix_taps and then tap_conv, as one node of eager autograd.

It computes what the two operators and their derivatives compute, on the engines that they would choose. But those are
looked up once per layer and shape, and one node costs less than two. Wherever more than numbers is wanted, a graph of
the backward pass above all, it calls the operators.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..engines import Engine, numbers
from ..engines.reference import ReferenceEngine
from ..formats import in_format, memory_format
from ..reference import bias_grad
from ..softmax import Softmax
from ._choice import remembered
from ._register import DESCRIBE, plain
from .mix_taps import gather_taps, mix_taps, mixture_grad
from .tap_conv import gradients, tap_conv_input_grad, tap_conv_weight_grad

Numbers = tuple[int, ...]


class Layer:
    """All of a call but its tensors: the numbers that the operators take, and the engines of its passes.

    Args:
        index, counts: As in ``mix_taps``.
        offsets, input_size, out_size, stride, groups, circular: As in ``tap_conv``.
        engine: Name of the one in force, or "auto".
    """

    def __init__(
        self,
        index: Numbers,
        counts: Numbers,
        offsets: Numbers,
        input_size: Numbers,
        out_size: Numbers,
        stride: Numbers,
        groups: int,
        circular: bool,
        engine: str,
    ) -> None:
        self.candidates = numbers(index), counts
        self.lattice_size = len(offsets) // len(stride)
        self.offsets, self.input_size, self.out_size = numbers(offsets), input_size, out_size
        self.rest = stride, groups, circular
        self.engine = engine
        self._chosen: dict[str, Engine] = {}

    def engine_of(self, operator: str, *args: Any) -> Engine:
        """The engine that computes this operator of the layer: ``args`` without ``engine`` are always alike."""
        found = self._chosen.get(operator)
        if found is None:
            describe = DESCRIBE[getattr(torch.ops.dash_kernels, operator).default]
            found = remembered(describe(*args, self.engine), self.engine)
            if found.name != ReferenceEngine.name:  # whether falling back is allowed is asked in every call
                self._chosen[operator] = found
        return found

    def input_grad(self, grad: Tensor, taps: Tensor) -> tuple[Any, ...]:
        """The arguments of ``tap_conv_input_grad``."""
        return grad, taps, self.offsets, self.input_size, *self.rest

    def compute(self, operator: str, *args: Any) -> Tensor:
        """The operator's result."""
        result: Tensor = getattr(self.engine_of(operator, *args), operator)(*args)
        return result


def mixed_conv(
    x: Tensor, weight: Tensor, mixture: Tensor, bias: Tensor | None, layer: Layer, softmax: Softmax | None
) -> Tensor:
    """y (batch, out, *out_size) of plain tensors in eager mode; see :func:`dash_kernels.functional.mixed_conv`.

    With a softmax, ``mixture`` holds the logits that it makes one of.
    """
    needed = x.requires_grad or weight.requires_grad or mixture.requires_grad
    if torch.is_grad_enabled() and (needed or (bias is not None and bias.requires_grad)):
        y: Tensor = _MixedConv.apply(x, weight, mixture, bias, layer, softmax)  # type: ignore[no-untyped-call]
        return y
    return _forward(x, weight, mixture, bias, layer, softmax)[0]


def _forward(
    x: Tensor, weight: Tensor, mixture: Tensor, bias: Tensor | None, layer: Layer, softmax: Softmax | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The result, the mixed taps, and the mixture."""
    geometry = layer.offsets, layer.out_size, *layer.rest, bias
    mixing = layer.engine_of("mix_taps", weight, mixture, *layer.candidates, layer.lattice_size)
    engine = layer.engine_of("tap_conv", x, weight, *geometry)  # it asks for channels, and taps have those of weights
    if softmax is not None:
        mixture = mixing.mixture(mixture, softmax)
    if engine is mixing:
        everything = *layer.candidates, *geometry
        return *engine.mixed_conv(x, weight, mixture, *everything), mixture
    taps = mixing.mix_taps(weight, mixture, *layer.candidates, layer.lattice_size)
    return engine.tap_conv(x, taps, *geometry), taps, mixture


class _MixedConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        given: Tensor,
        bias: Tensor | None,
        layer: Layer,
        softmax: Softmax | None,
    ) -> Tensor:
        y, taps, mixture = _forward(x, weight, given, bias, layer, softmax)
        of_x, of_weight, of_mixture, *_ = ctx.needs_input_grad
        ctx.layer, ctx.format, ctx.softmax = layer, memory_format(x), softmax
        kept = of_weight or (of_mixture and (of_x or softmax is not None))  # the gradient of logits needs their mixture
        # the taps serve the gradient of x; its own derivatives are those of what the taps are made of
        ctx.save_for_backward(
            x if of_weight or of_mixture else None,
            weight if of_mixture or (of_x and of_weight) else None,
            mixture if kept else None,
            taps if of_x else None,
            given if kept and softmax is not None else None,
        )
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        layer, softmax, needed = ctx.layer, ctx.softmax, ctx.needs_input_grad
        x, weight, mixture, taps, logits = ctx.saved_tensors
        numbers = plain(grad)
        if logits is not None and not numbers:
            mixture = softmax.mixture(logits)
        operands = layer, needed, grad, x, weight, mixture, taps
        grads = _together(*operands) if numbers else None
        grad_x, grad_weight, grad_mixture, grad_bias = grads or (_numbers if numbers else _graph)(*operands)
        if grads is None and grad_x is not None:
            grad_x = in_format(grad_x, ctx.format)
        if logits is not None and grad_mixture is not None:
            if numbers:
                mixing = layer.engine_of("mix_taps", weight, mixture, *layer.candidates, layer.lattice_size)
                grad_mixture = mixing.logits_grad(grad_mixture, mixture, softmax)
            else:
                grad_mixture = softmax.logits_grad(grad_mixture, mixture)
        return grad_x, grad_weight, grad_mixture, grad_bias, None, None


Grads = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]


def _together(
    layer: Layer, needed: tuple[bool, ...], grad: Tensor, x: Tensor, weight: Tensor, mixture: Tensor, taps: Tensor
) -> Grads | None:
    """All gradients, that of x in its memory format, where they are wanted and one engine computes them."""
    *of_operands, of_bias = needed[:4]
    if not all(of_operands):
        return None
    engine = layer.engine_of("tap_conv_weight_grad", grad, x, layer.offsets, *layer.rest)
    # taps and their gradient describe the same problem
    others = (
        layer.engine_of("tap_conv_input_grad", *layer.input_grad(grad, taps)),
        layer.engine_of("gather_taps", taps, mixture, *layer.candidates),
        layer.engine_of("mixture_grad", taps, weight, *layer.candidates),
    )
    if any(other is not engine for other in others):
        return None
    everything = *layer.candidates, layer.offsets, *layer.rest, of_bias
    return engine.mixed_conv_grads(grad, taps, x, weight, mixture, *everything)


def _numbers(
    layer: Layer, needed: tuple[bool, ...], grad: Tensor, x: Tensor, weight: Tensor, mixture: Tensor, taps: Tensor
) -> Grads:
    """The gradients, on the engines."""
    of_x, of_weight, of_mixture, of_bias, *_ = needed
    grad_x = grad_weight = grad_mixture = grad_bias = None
    if of_weight or of_mixture:
        engine = layer.engine_of("tap_conv_weight_grad", grad, x, layer.offsets, *layer.rest)
        of_input = layer.engine_of("tap_conv_input_grad", *layer.input_grad(grad, taps)) if of_x else None
        grad_x, grad_taps, grad_bias = gradients(of_input, engine, grad, taps, x, layer.offsets, *layer.rest, of_bias)
        gather, score = (grad_taps, mixture, *layer.candidates), (grad_taps, weight, *layer.candidates)
        if of_weight and of_mixture:
            engine = layer.engine_of("gather_taps", *gather)
            if engine is layer.engine_of("mixture_grad", *score):
                return grad_x, *engine.mix_grads(grad_taps, weight, mixture, *layer.candidates), grad_bias
        if of_weight:
            grad_weight = layer.compute("gather_taps", *gather)
        if of_mixture:
            grad_mixture = layer.compute("mixture_grad", *score)
    else:
        grad_x = layer.compute("tap_conv_input_grad", *layer.input_grad(grad, taps)) if of_x else None
        grad_bias = bias_grad(grad) if of_bias else None
    return grad_x, grad_weight, grad_mixture, grad_bias


def _graph(
    layer: Layer, needed: tuple[bool, ...], grad: Tensor, x: Tensor, weight: Tensor, mixture: Tensor, taps: Tensor
) -> Grads:
    """The gradients as functions of all that they depend on, by the differentiable operators."""
    of_x, of_weight, of_mixture, of_bias, *_ = needed
    grad_x = grad_weight = grad_mixture = None
    if of_x:
        if of_weight or of_mixture:
            taps = mix_taps(weight, mixture, *layer.candidates, layer.lattice_size, layer.engine)
        grad_x = tap_conv_input_grad(grad, taps, layer.offsets, layer.input_size, *layer.rest, layer.engine)
    if of_weight or of_mixture:
        grad_taps = tap_conv_weight_grad(grad, x, layer.offsets, *layer.rest, layer.engine)
        if of_weight:
            grad_weight = gather_taps(grad_taps, mixture, *layer.candidates, layer.engine)
        if of_mixture:
            grad_mixture = mixture_grad(grad_taps, weight, *layer.candidates, layer.engine)
    return grad_x, grad_weight, grad_mixture, bias_grad(grad) if of_bias else None
