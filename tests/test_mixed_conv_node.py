# SPDX-License-Identifier: BSD-3-Clause
"""A layer as one node of autograd: it computes what the operators compute, and keeps no more than they need."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from watching import Watching

import dash_kernels as dk
from dash_kernels.functional import PADDING_MODES, mixed_conv
from dash_kernels.ops.mixed_conv import _MixedConv

SPACE = dk.SearchSpace((3, 5), (1, 2))
SUBSETS = [needed for needed in itertools.product((False, True), repeat=4) if any(needed)]


def leaves(needed: tuple[bool, ...]) -> list[Tensor]:
    """x, weight, mixture and bias."""
    torch.manual_seed(1)
    shapes = (2, 4, 9, 8), (6, 2, 2 * (9 + 25)), (4,), (6,)
    return [torch.randn(shape).double().requires_grad_(need) for shape, need in zip(shapes, needed, strict=True)]


def layer(x: Tensor, weight: Tensor, mixture: Tensor, bias: Tensor, engine: str, mode: str = "zeros") -> Tensor:
    return mixed_conv(x, weight, mixture, SPACE, bias, 2, 2, mode, engine)


@pytest.mark.parametrize("mode", PADDING_MODES)
@pytest.mark.parametrize("needed", SUBSETS, ids=str)
def test_it_computes_what_the_operators_compute(needed: tuple[bool, ...], mode: str, engine: str) -> None:
    """Bit for bit, to second order, whichever operands need gradients."""
    results = []
    for watched in (False, True):
        operands = leaves(needed)
        wanted = [t for t in operands if t.requires_grad]
        if watched:
            with Watching():
                y = layer(*operands, engine, mode)
        else:
            y = layer(*operands, engine, mode)
        assert (type(y.grad_fn).__name__ == "_MixedConvBackward") is not watched
        torch.manual_seed(2)
        upstream = torch.randn_like(y, requires_grad=True)
        plain = torch.autograd.grad(y, wanted, upstream.detach(), retain_graph=True)
        grads = torch.autograd.grad(y, wanted, upstream, create_graph=True)
        second = torch.autograd.grad(
            grads, (*wanted, upstream), [torch.randn_like(g) for g in grads], allow_unused=True
        )
        results.append([y, *plain, *grads, *(torch.zeros(()) if g is None else g for g in second)])
    for one, apart in zip(*results, strict=True):
        assert torch.equal(one, apart)


@pytest.mark.parametrize("needed", SUBSETS, ids=str)
def test_it_keeps_what_some_gradient_needs(needed: tuple[bool, ...]) -> None:
    """Taps serve the gradient of x; weight and mixture each other's, and where x needs one, its derivatives in them."""
    operands = leaves(needed)
    x, weight, mixture, taps, logits = layer(*operands, "reference").grad_fn.saved_tensors  # type: ignore[union-attr]
    of_x, of_weight, of_mixture, _ = needed
    assert (x is not None) == (of_weight or of_mixture)
    assert (weight is not None) == (of_mixture or (of_x and of_weight))
    assert (mixture is not None) == (of_weight or (of_x and of_mixture))
    assert (taps is not None) == of_x and logits is None


def test_without_gradients_there_is_no_node(engine: str) -> None:
    operands = leaves((True,) * 4)
    with torch.no_grad():
        assert layer(*operands, engine).grad_fn is None
    expected = layer(*operands, engine)
    assert expected.grad_fn is not None and isinstance(expected.grad_fn, _MixedConv._backward_cls)
    assert torch.equal(layer(*(t.detach() for t in operands), engine), expected)


def test_its_engines_are_those_in_force_in_the_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of the gradients, and also in later calls of the same layer."""
    if len(dk.engines()) < 2 or dk.engines()["fourier"] is not None:
        pytest.skip("no engine but the reference can run here")
    operands = leaves((True,) * 4)
    with dk.use_engine("fourier"):
        y = layer(*operands, "auto")
    expected = torch.autograd.grad(y, operands, torch.ones_like(y), retain_graph=True)
    with dk.use_engine("reference"):
        inside = torch.autograd.grad(y, operands, torch.ones_like(y))
    assert all(torch.equal(a, b) for a, b in zip(inside, expected, strict=True))
    with dk.use_engine("reference"):
        other = layer(*operands, "auto")
    assert not torch.equal(other, y) and torch.equal(other, layer(*operands, "reference"))
