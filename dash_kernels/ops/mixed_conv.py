# SPDX-License-Identifier: BSD-3-Clause
"""A whole layer, perhaps a softmax, then mix_taps and tap_conv, as one node of eager autograd.

It computes what the two operators and their derivatives compute, on the engines that they would choose. But those are
looked up once per layer and shape, and one node costs less than two. Wherever more than numbers is wanted, a graph of
the backward pass above all, it calls the operators.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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

    def mix_grads_engine(self, taps: Tensor, weight: Tensor, mixture: Tensor) -> Engine | None:
        """The engine of both gradients of the mixing, if it is one. Taps and their gradient describe it alike."""
        engine = self.engine_of("gather_taps", taps, mixture, *self.candidates)
        return engine if engine is self.engine_of("mixture_grad", taps, weight, *self.candidates) else None

    def input_grad(self, grad: Tensor, taps: Tensor) -> tuple[Any, ...]:
        """The arguments of ``tap_conv_input_grad``."""
        return grad, taps, self.offsets, self.input_size, *self.rest

    def compute(self, operator: str, *args: Any) -> Tensor:
        """The operator's result."""
        result: Tensor = getattr(self.engine_of(operator, *args), operator)(*args)
        return result


def mixed_conv(
    x: Tensor, weight: Tensor, given: Tensor, bias: Tensor | None, layer: Layer, softmax: Softmax | None
) -> Tensor:
    """y (batch, out, *out_size) of plain tensors in eager mode; see :func:`dash_kernels.functional.mixed_conv`.

    Given is the mixture (candidates,) or, if there is a softmax, the logits that it makes one of.
    """
    needed = x.requires_grad or weight.requires_grad or given.requires_grad
    if torch.is_grad_enabled() and (needed or (bias is not None and bias.requires_grad)):
        y: Tensor = _MixedConv.apply(x, weight, given, bias, layer, softmax)  # type: ignore[no-untyped-call]
        return y
    return _forward(x, weight, given, bias, layer, softmax)[0]


def _forward(
    x: Tensor, weight: Tensor, given: Tensor, bias: Tensor | None, layer: Layer, softmax: Softmax | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The result, the mixed taps, and the mixture."""
    geometry = layer.offsets, layer.out_size, *layer.rest, bias
    mixing = layer.engine_of("mix_taps", weight, given, *layer.candidates, layer.lattice_size)
    engine = layer.engine_of("tap_conv", x, weight, *geometry)  # weights stand for taps, of as many channels
    mixture = given if softmax is None else mixing.mixture(given, softmax)
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
        of_x, of_weight, of_given, *_ = ctx.needs_input_grad
        of_logits = of_given and softmax is not None
        ctx.layer, ctx.softmax, ctx.format = layer, softmax, memory_format(x)
        # the taps serve the gradient of x; its own derivatives are those of what the taps are made of
        ctx.save_for_backward(
            x if of_weight or of_given else None,
            weight if of_given or (of_x and of_weight) else None,
            mixture if of_weight or (of_x and of_given) or of_logits else None,
            taps if of_x else None,
            given if of_logits else None,
        )
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        back = _Backward(ctx.layer, ctx.softmax, ctx.format, ctx.needs_input_grad[:4], grad, *ctx.saved_tensors)
        return *(_numbers if plain(grad) else _graph)(back), None, None


Grads = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]
"""Of x, weight, what was given and bias."""


class _Backward(NamedTuple):
    """What gradients are computed from: those ``needed`` of x, weight, what was given and bias, in this order.

    Tensors that none of them is computed from are None.
    """

    layer: Layer
    softmax: Softmax | None
    format: torch.memory_format
    needed: tuple[bool, ...]
    grad: Tensor
    x: Tensor
    weight: Tensor
    mixture: Tensor
    taps: Tensor
    logits: Tensor | None


def _numbers(back: _Backward) -> Grads:
    """The gradients, on the engines: in one call where one of them computes all, and all are asked for."""
    layer, softmax, wanted, (of_x, of_weight, of_given, of_bias), grad, x, weight, mixture, taps, _ = back
    geometry = layer.offsets, *layer.rest
    grad_x = grad_weight = grad_given = grad_bias = None
    if of_weight or of_given:
        engine = layer.engine_of("tap_conv_weight_grad", grad, x, *geometry)
        of_input = layer.engine_of("tap_conv_input_grad", *layer.input_grad(grad, taps)) if of_x else None
        if of_weight and of_given and of_input is engine is layer.mix_grads_engine(taps, weight, mixture):
            everything = *layer.candidates, *geometry, of_bias
            grads = engine.mixed_conv_grads(grad, taps, x, weight, mixture, *everything)
            grad_x, grad_weight, grad_given, grad_bias = grads
        else:
            grad_x, grad_taps, grad_bias = gradients(of_input, engine, grad, taps, x, *geometry, of_bias)
            grad_weight, grad_given = _of_mixing(layer, of_weight, of_given, grad_taps, weight, mixture)
    else:
        grad_x = layer.compute("tap_conv_input_grad", *layer.input_grad(grad, taps)) if of_x else None
        grad_bias = bias_grad(grad) if of_bias else None
    if softmax is not None and grad_given is not None:
        mixing = layer.engine_of("mix_taps", weight, mixture, *layer.candidates, layer.lattice_size)
        grad_given = mixing.logits_grad(grad_given, mixture, softmax)
    return None if grad_x is None else in_format(grad_x, wanted), grad_weight, grad_given, grad_bias


def _of_mixing(
    layer: Layer, of_weight: bool, of_mixture: bool, grad_taps: Tensor, weight: Tensor, mixture: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of weight and mixture that are asked for, from that of the taps."""
    if of_weight and of_mixture:
        mixing = layer.mix_grads_engine(grad_taps, weight, mixture)
        if mixing is not None:
            return mixing.mix_grads(grad_taps, weight, mixture, *layer.candidates)
    grad_weight = layer.compute("gather_taps", grad_taps, mixture, *layer.candidates) if of_weight else None
    return grad_weight, layer.compute("mixture_grad", grad_taps, weight, *layer.candidates) if of_mixture else None


def _graph(back: _Backward) -> Grads:
    """The gradients as functions of all that they depend on, by the differentiable operators."""
    layer, softmax, wanted, (of_x, of_weight, of_given, of_bias), grad, x, weight, mixture, taps, logits = back
    grad_x = grad_weight = grad_given = None
    if softmax is not None and logits is not None:
        mixture = softmax.mixture(logits)
    if of_x:
        if of_weight or of_given:
            taps = mix_taps(weight, mixture, *layer.candidates, layer.lattice_size, layer.engine)
        grad_x = tap_conv_input_grad(grad, taps, layer.offsets, layer.input_size, *layer.rest, layer.engine)
        grad_x = in_format(grad_x, wanted)
    if of_weight or of_given:
        grad_taps = tap_conv_weight_grad(grad, x, layer.offsets, *layer.rest, layer.engine)
        if of_weight:
            grad_weight = gather_taps(grad_taps, mixture, *layer.candidates, layer.engine)
        if of_given:
            grad_given = mixture_grad(grad_taps, weight, *layer.candidates, layer.engine)
            grad_given = grad_given if softmax is None else softmax.logits_grad(grad_given, mixture)
    return grad_x, grad_weight, grad_given, bias_grad(grad) if of_bias else None
