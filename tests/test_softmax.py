# SPDX-License-Identifier: BSD-3-Clause
"""From logits to a mixture and back: in torch, and as the compiled engines and a layer's node compute it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from watching import Watching

import dash_kernels as dk
from dash_kernels import _load
from dash_kernels.engines.engine import Engine
from dash_kernels.engines.fourier import FourierEngine
from dash_kernels.engines.reference import ReferenceEngine
from dash_kernels.softmax import Softmax

ENGINES: list[Engine] = [ReferenceEngine(), *([FourierEngine()] if _load.LOAD.error is None else [])]
compiled = pytest.mark.skipif(_load.LOAD.error is not None, reason=str(_load.LOAD.error))


def drawn(count: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(count, dtype=dtype) * 3, torch.empty(count, dtype=dtype).exponential_()


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.3, 7.0])
def test_against_the_definition(engine: Engine, dtype: torch.dtype, noisy: bool, temperature: float) -> None:
    logits, noise = drawn(20, dtype)
    how = Softmax(temperature, noise if noisy else None)
    weights = ((logits.double() - (noise.double().log() if noisy else 0)) / temperature).exp()
    exact = weights / weights.sum()
    got = engine.mixture(logits, how)
    assert got.dtype == dtype
    torch.testing.assert_close(got.double(), exact, rtol=50 * torch.finfo(dtype).eps, atol=0)
    upstream = torch.randn(20, dtype=dtype)
    slope = exact * (upstream.double() - (exact * upstream).sum()) / temperature
    tolerance = 50 * torch.finfo(dtype).eps
    torch.testing.assert_close(
        engine.logits_grad(upstream, got, how).double(), slope, rtol=tolerance, atol=tolerance / temperature
    )


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_what_is_no_number_or_without_bound(engine: Engine) -> None:
    """As torch's softmax: NaN spreads, and a candidate ruled out has no share. A variate of 0 leaves all finite."""
    logits = torch.tensor([0.0, -torch.inf, 1.0])
    assert torch.equal(engine.mixture(logits, Softmax(1.0)) == 0, torch.tensor([False, True, False]))
    assert engine.mixture(torch.tensor([0.0, torch.nan]), Softmax(1.0)).isnan().all()
    assert engine.mixture(torch.tensor([torch.nan, 0.0]), Softmax(1.0)).isnan().all()
    mixture = engine.mixture(torch.zeros(3), Softmax(1.0, torch.tensor([0.0, 1.0, 2.0])))
    assert mixture.isfinite().all() and mixture[0] > 0.99
    assert engine.mixture(torch.full((3,), 1e30), Softmax(1e-3)).sum() == 1


@compiled
@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("cpu_mixture", (torch.zeros(2, 2), None, 1.0), "1-D"),
        ("cpu_mixture", (torch.zeros(2), torch.zeros(3), 1.0), "one length"),
        ("cpu_mixture", (torch.zeros(2), torch.zeros(2).double(), 1.0), "one dtype"),
        ("cpu_mixture", (torch.zeros(2, dtype=torch.int64), None, 1.0), "float32 or float64"),
        ("cpu_mixture", (torch.zeros(2), None, 0.0), "positive"),
        ("cpu_mixture", (torch.zeros(2), None, float("nan")), "positive"),
        ("cpu_logits_grad", (torch.zeros(2), torch.zeros(2), -1.0), "positive"),
        ("cpu_logits_grad", (torch.zeros(2), torch.zeros(3), 1.0), "one length"),
        ("cpu_logits_grad", (torch.zeros(2), torch.zeros(2).double(), 1.0), "one dtype"),
    ],
)
def test_the_compiled_operators_refuse_bad_input(name: str, operands: tuple[object, ...], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        getattr(torch.ops.dash_kernels, name)(*operands)


def layer_of(engine: str, **options: object) -> tuple[dk.MixedConv2d, Tensor]:
    torch.manual_seed(1)
    layer = dk.MixedConv2d(2, 3, kernel_sizes=(1, 3), dilations=(1, 2), engine=engine, dtype=torch.float64, **options)  # type: ignore[arg-type]
    with torch.no_grad():
        layer.alpha.copy_(torch.randn(4))
    return layer, torch.randn(2, 2, 6, 5, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_a_layer_is_one_node_and_draws_as_its_operators_do(temperature: float, engine: str) -> None:
    """To second order, with the same noise."""
    layer, x = layer_of(engine, temperature=temperature)
    results = []
    for watched in (False, True):
        torch.manual_seed(2)
        if watched:
            with Watching():
                y = layer(x)
        else:
            y = layer(x)
        below = {type(node).__name__ for node, _ in y.grad_fn.next_functions if node is not None}
        assert (below == {"AccumulateGrad"}) is not watched
        wanted = (x, *layer.parameters())
        grads = torch.autograd.grad(y, wanted, torch.ones_like(y), retain_graph=True)
        graph = torch.autograd.grad(y, wanted, torch.ones_like(y), create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in graph), wanted, allow_unused=True)
        results.append([y, *grads, *graph, *(torch.zeros(()) if g is None else g for g in second)])
    for one, apart in zip(*results, strict=True):
        torch.testing.assert_close(one, apart, rtol=1e-10, atol=1e-12)


def test_gradients_of_noisy_logits(engine: str) -> None:
    layer, x = layer_of(engine, temperature=0.7)

    def forward(x: Tensor, alpha: Tensor) -> Tensor:
        torch.manual_seed(3)
        y: Tensor = torch.func.functional_call(layer, {"alpha": alpha}, (x,))
        return y

    alpha = layer.alpha.detach().requires_grad_()
    assert torch.autograd.gradcheck(forward, (x, alpha))
    assert torch.autograd.gradgradcheck(forward, (x, alpha))


@pytest.mark.parametrize("frozen", ["alpha", "weight", "x", "alpha weight", "x weight"])
def test_whichever_operands_need_gradients(frozen: str, engine: str) -> None:
    layer, x = layer_of(engine)
    torch.manual_seed(4)
    wanted = {"x": x, **dict(layer.named_parameters())}
    expected = dict(zip(wanted, torch.autograd.grad(layer(x).square().sum(), list(wanted.values())), strict=True))
    for name in frozen.split():
        wanted.pop(name).requires_grad_(False)
    torch.manual_seed(4)
    got = torch.autograd.grad(layer(x).square().sum(), list(wanted.values()))
    for name, one in zip(wanted, got, strict=True):
        torch.testing.assert_close(one, expected[name])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision(dtype: torch.dtype) -> None:
    """Logits are widened before they are made a mixture, whoever watches."""
    layer = dk.MixedConv1d(2, 2, kernel_sizes=(3,), dilations=(1, 2), dtype=dtype, mixture="softmax")
    x = torch.randn(2, 2, 9, dtype=dtype)
    with Watching():
        expected = layer(x)
    y = layer(x)
    assert y.dtype == dtype
    torch.testing.assert_close(y, expected, rtol=torch.finfo(dtype).eps, atol=0)
    y.float().sum().backward()
    assert layer.alpha.grad is not None and layer.alpha.grad.dtype == dtype and layer.alpha.grad.isfinite().all()


@pytest.mark.parametrize("trainable", [False, True])
def test_logits_that_change_before_the_backward_pass(trainable: bool, engine: str) -> None:
    """Torch's rule: what a gradient's own derivatives need must be as it was. Logits that are frozen are not needed."""
    layer, x = layer_of(engine)
    layer.alpha.requires_grad_(trainable)
    y = layer(x)
    with torch.no_grad():
        layer.alpha.add_(1)
    if trainable:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()
    else:
        y.sum().backward()
        assert x.grad is not None and layer.weight.grad is not None


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64], ids=str)
def test_logits_of_no_real_floating_dtype(dtype: torch.dtype) -> None:
    layer, x = layer_of("reference")
    with pytest.raises(TypeError, match="alpha is torch"):
        torch.func.functional_call(layer.eval(), {"alpha": torch.zeros(4, dtype=dtype)}, (x,))
