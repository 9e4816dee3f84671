# SPDX-License-Identifier: BSD-3-Clause
"""The operators: values and gradients of every engine against the truth, derivatives of higher order, registration."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accuracy import assert_as_good_as_torch, relative_error, torch_tap_conv
from cases import CASES, SMALL, Case
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from dash_kernels import SearchSpace, TapLattice, ops, reference
from dash_kernels.engines import ENGINES, Problem
from dash_kernels.formats import memory_format
from dash_kernels.ops._register import _autocasts

NAMESPACE = torch.ops.dash_kernels


def skip_where_refused(engine: str, case: Case, dtype: torch.dtype) -> None:
    chosen = next(e for e in ENGINES if e.name == engine)
    problem = Problem(
        "tap_conv", "cpu", dtype, case.batch, *case.channels, case.groups, case.size, case.outputs, case.steps,
        case.flat, case.circular,
    )  # fmt: skip
    reason = chosen.can_run(problem)
    if reason is not None:
        pytest.skip(f"{engine} cannot: {reason}")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_values_and_gradients(case: Case, dtype: torch.dtype, engine: str) -> None:
    skip_where_refused(engine, case, dtype)
    x, taps, grad = case.tensors(dtype)
    tail = (case.steps, case.groups, case.circular)
    y = ops.tap_conv(x, taps, case.flat, case.outputs, *tail, None, engine)
    grad_x = ops.tap_conv_input_grad(grad, taps, case.flat, case.size, *tail, engine)
    grad_taps = ops.tap_conv_weight_grad(grad, x, case.flat, *tail, engine)
    assert y.is_contiguous(memory_format=memory_format(x)) and grad_x.is_contiguous(memory_format=memory_format(grad))
    assert grad_taps.is_contiguous()

    wide_x, wide_taps, wide_grad = x.double(), taps.double(), grad.double()
    exact = reference.tap_conv(wide_x, wide_taps, case.flat, case.outputs, *tail)
    exact_x = reference.tap_conv_input_grad(wide_grad, wide_taps, case.flat, case.size, *tail)
    exact_taps = reference.tap_conv_weight_grad(wide_grad, wide_x, case.flat, *tail)
    plain, plain_x, plain_taps = None, None, None
    if dtype == torch.float32:
        plain, plain_x, plain_taps = torch_values_and_gradients(case, x, taps, grad)
    floor = 16 if engine == "reference" else 4  # the reference says what is meant; nobody tunes its rounding
    assert_as_good_as_torch(y, plain, exact, floor=floor, what="output")
    assert_as_good_as_torch(grad_x, plain_x, exact_x, floor=floor, what="input gradient")
    assert_as_good_as_torch(grad_taps, plain_taps, exact_taps, floor=floor, what="weight gradient")


def torch_values_and_gradients(case: Case, x: Tensor, taps: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x, taps = x.clone().requires_grad_(), taps.clone().requires_grad_()
    y = torch_tap_conv(x, taps, case.offsets, case.outputs, case.steps, case.groups, case.circular)
    return y.detach(), *torch.autograd.grad(y, (x, taps), grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_mixing_and_its_adjoints(ndim: int, dtype: torch.dtype, engine: str) -> None:
    lattice = TapLattice.of(SearchSpace((3, 5), (1, 2, 3)).candidates(ndim))
    tail = (lattice.index, lattice.counts)
    weight = torch.randn(3, 17, lattice.num_packed, dtype=dtype)
    mixture = torch.randn(6, dtype=dtype)
    grad = torch.randn(17, 3, len(lattice), dtype=dtype).transpose(0, 1)
    wide = weight.double(), mixture.double(), grad.double()
    pairs = [
        (
            ops.mix_taps(weight, mixture, *tail, len(lattice), engine),
            reference.mix_taps(*wide[:2], *tail, len(lattice)),
        ),
        (ops.gather_taps(grad, mixture, *tail, engine), reference.gather_taps(wide[2], wide[1], *tail)),
        (ops.mixture_grad(grad, weight, *tail, engine), reference.mixture_grad(wide[2], wide[0], *tail)),
    ]
    for (got, exact), what in zip(pairs, ("mix_taps", "gather_taps", "mixture_grad"), strict=True):
        assert got.is_contiguous()
        assert_as_good_as_torch(got, exact.to(dtype), exact, what=what)


def operands(case: Case) -> dict[str, tuple[tuple[Tensor, Tensor], tuple[Any, ...]]]:
    """Every operator with float64 operands that need gradients, and the rest of its arguments without the engine."""
    x, taps, grad = (t.requires_grad_() for t in case.tensors(torch.float64))
    tail = (case.steps, case.groups, case.circular)
    lattice = TapLattice.of(SearchSpace((1, 3), (1, 2)).candidates(1))
    weight, upstream = torch.randn(1, 2, lattice.num_packed).double(), torch.randn(1, 2, len(lattice)).double()
    mixture = torch.randn(4, dtype=torch.float64)
    weight, upstream, mixture = (t.requires_grad_() for t in (weight, upstream, mixture))
    mixing = (lattice.index, lattice.counts)
    return {
        "tap_conv": ((x, taps), (case.flat, case.outputs, *tail, None)),
        "tap_conv_input_grad": ((grad, taps), (case.flat, case.size, *tail)),
        "tap_conv_weight_grad": ((grad, x), (case.flat, *tail)),
        "mix_taps": ((weight, mixture), (*mixing, len(lattice))),
        "gather_taps": ((upstream, mixture), mixing),
        "mixture_grad": ((upstream, weight), mixing),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bias(case: Case, dtype: torch.dtype, engine: str) -> None:
    """It is added to the result; the gradients of taps and bias come from one call, those of the taps as without."""
    skip_where_refused(engine, case, dtype)
    x, taps, grad = case.tensors(dtype)
    bias = torch.randn(case.channels[1], dtype=dtype)
    tail = (case.steps, case.groups, case.circular)
    without = ops.tap_conv(x, taps, case.flat, case.outputs, *tail, None, engine)
    y = ops.tap_conv(x, taps, case.flat, case.outputs, *tail, bias, engine)
    plain = without + reference.per_channel(bias, y.dim())
    exact = reference.tap_conv(x.double(), taps.double(), case.flat, case.outputs, *tail, bias.double())
    assert y.is_contiguous(memory_format=memory_format(x)) and y.dtype == dtype
    assert_as_good_as_torch(y, plain, exact, floor=16 if engine == "reference" else 4, what="output")

    taps.requires_grad_(), bias.requires_grad_()
    y = ops.tap_conv(x, taps, case.flat, case.outputs, *tail, bias, engine)
    grad_taps, grad_bias = torch.autograd.grad(y, (taps, bias), grad)
    (alone,) = torch.autograd.grad(ops.tap_conv(x, taps, case.flat, case.outputs, *tail, None, engine), taps, grad)
    assert torch.equal(grad_taps, alone)
    (plain,) = torch.autograd.grad(
        ops.tap_conv(x, taps.detach(), case.flat, case.outputs, *tail, bias, engine), bias, grad
    )
    exact = reference.bias_grad(grad.double())
    for found in (grad_bias, plain):
        assert_as_good_as_torch(found, grad.sum((0, *range(2, grad.dim()))), exact, what="bias gradient")


@pytest.mark.parametrize(
    "shape", [(3, 4, 5), (64, 16, 31, 33), (2, 3, 40_000), (0, 2, 3), (300, 7, 1), (1, 1, 13)], ids=str
)
def test_sums_of_the_bias_gradient_are_exact(shape: tuple[int, ...], engine: str) -> None:
    """To 4 eps of the truth (16 in double precision) even where large numbers cancel."""
    if engine == "reference":
        pytest.skip("it sums as torch does")
    chosen = next(e for e in ENGINES if e.name == engine)
    for dtype in (torch.float32, torch.float64):
        grad = torch.randn(shape, dtype=dtype)
        grad[..., 1::2] -= grad[..., : grad.shape[-1] // 2 * 2 : 2] * (1 - 1e-3)
        x, offsets = torch.randn(shape[0], 1, *shape[2:], dtype=dtype), (0,) * (len(shape) - 2)
        found = chosen.tap_conv_weight_bias_grad(grad, x, offsets, (1,) * len(offsets), 1, False)[1]
        exact = [math.fsum(channel.flatten().tolist()) for channel in grad.transpose(0, 1)]
        bar = (4 if dtype == torch.float32 else 16) * torch.finfo(dtype).eps
        assert found.dtype == dtype and relative_error(found, torch.tensor(exact, dtype=torch.float64)) <= bar


OPERATORS = ("tap_conv", "tap_conv_input_grad", "tap_conv_weight_grad", "mix_taps", "gather_taps", "mixture_grad")
TINY = dataclasses.replace(SMALL[0], size=(5,), batch=1, channels=(2, 1), stride=(2,))


@pytest.mark.parametrize("name", OPERATORS)
def test_gradients_of_first_and_second_order(name: str, engine: str) -> None:
    tensors, rest = operands(TINY)[name]
    call: Callable[..., Tensor] = getattr(ops, name)
    assert torch.autograd.gradcheck(lambda a, b: call(a, b, *rest, engine), tensors)
    assert torch.autograd.gradgradcheck(lambda a, b: call(a, b, *rest, engine), tensors)


@pytest.mark.parametrize("name", OPERATORS)
def test_registration(name: str, engine: str) -> None:
    tensors, rest = operands(TINY)[name]
    torch.library.opcheck(getattr(NAMESPACE, name).default, (*tensors, *rest, engine))


@pytest.mark.parametrize("name", OPERATORS)
def test_fake_kernels_on_a_device_that_is_not_here(name: str) -> None:
    """What a compiler on a GPU is told of a result: shape, strides and dtype are those of the real one."""
    tensors, rest = operands(TINY)[name]
    operator = getattr(NAMESPACE, name).default
    real = operator(*(tensor.detach() for tensor in tensors), *rest, "reference")
    with FakeTensorMode():
        fake = operator(*(torch.empty(t.shape, dtype=t.dtype, device="cuda") for t in tensors), *rest, "auto")
    assert fake.device.type == "cuda" and fake.dtype == real.dtype
    assert fake.shape == real.shape and fake.stride() == real.stride()


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")  # torch's own, at the first dual tensor
def test_derivatives_of_the_bias(engine: str) -> None:
    (x, taps), (*rest, _) = operands(TINY)["tap_conv"]
    bias = torch.randn(1, dtype=torch.float64, requires_grad=True)
    tensors = x, taps, bias
    for call in (ops.tap_conv, NAMESPACE.tap_conv.default):
        assert torch.autograd.gradcheck(lambda x, w, b, f=call: f(x, w, *rest, b, engine), tensors)
        assert torch.autograd.gradgradcheck(lambda x, w, b, f=call: f(x, w, *rest, b, engine), tensors)
    torch.library.opcheck(NAMESPACE.tap_conv.default, (x, taps, *rest, bias, engine))
    frozen = x.detach(), taps.detach()
    assert torch.autograd.gradcheck(lambda b: ops.tap_conv(*frozen, *rest, b, engine), (bias,), check_forward_ad=True)


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_the_dispatcher_and_the_short_way_agree(case: Case, engine: str) -> None:
    """Values and gradients of first and second order are bit for bit those of ``torch.ops``."""
    for name, (tensors, rest) in list(operands(case).items())[: 6 if case is SMALL[0] else 3]:
        results = []
        for call in (getattr(ops, name), getattr(NAMESPACE, name)):
            torch.manual_seed(1)
            value = call(*tensors, *rest, engine)
            upstream = torch.randn_like(value, requires_grad=True)
            grads = torch.autograd.grad(value, tensors, upstream, create_graph=True)
            second = torch.autograd.grad(grads, (*tensors, upstream), [torch.randn_like(g) for g in grads])
            results.append((value, *grads, *second))
        for short, dispatched in zip(*results, strict=True):
            assert torch.equal(short, dispatched), name


def test_gradients_of_third_order(engine: str) -> None:
    """The result is a product of x and taps, so d3/dx dtaps dx vanishes and x^2 taps has 2."""
    x = torch.randn(1, 1, 4, dtype=torch.float64, requires_grad=True)
    taps = torch.randn(1, 1, 3, dtype=torch.float64, requires_grad=True)

    def energy(x: Tensor, taps: Tensor) -> Tensor:
        y = ops.tap_conv(x, taps, (-1, 0, 1), (4,), (1,), 1, False, None, engine)
        return (y**3).sum()

    (first,) = torch.autograd.grad(energy(x, taps), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), taps, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), x)
    step, direction = 1e-5, torch.ones_like(x)

    def slope(x: Tensor) -> Tensor:
        (g,) = torch.autograd.grad(energy(x, taps), x, create_graph=True)
        (h,) = torch.autograd.grad(g.sum(), taps)
        return h.sum()

    numeric = (slope(x + step * direction) - slope(x - step * direction)) / (2 * step)
    torch.testing.assert_close(third.sum(), numeric, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("wanted", [0, 1])
def test_gradients_nobody_needs_are_not_computed(name: str, wanted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one operand frozen, backward calls one operator, and only the frozen operand is kept for it."""
    tensors, rest = operands(TINY)[name]
    tensors[1 - wanted].requires_grad_(False)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        value = getattr(ops, name)(*tensors, *rest, "reference")
    assert [t.data_ptr() for t in kept] == [tensors[1 - wanted].data_ptr()]
    calls: list[str] = []

    def spy(adjoint: str) -> Callable[..., Tensor]:
        return lambda *args: calls.append(adjoint) or getattr(reference, adjoint)(*args)

    for adjoint in OPERATORS:
        monkeypatch.setattr(ENGINES[-1], adjoint, spy(adjoint))
    value.backward(torch.randn_like(value))
    assert len(calls) == 1 and tensors[wanted].grad is not None


def test_both_gradients_of_mixing_in_one_pass(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where numbers alone are wanted; they are those of the separate operators, which are called where a graph is."""
    (weight, mixture), rest = operands(TINY)["mix_taps"]
    chosen = next(e for e in ENGINES if e.name == engine)
    calls: list[str] = []

    def spy(name: str) -> Callable[..., Any]:
        compute = getattr(chosen, name)
        return lambda *args: calls.append(name) or compute(*args)

    for name in ("mix_grads", "gather_taps", "mixture_grad"):
        monkeypatch.setattr(chosen, name, spy(name))
    value = ops.mix_taps(weight, mixture, *rest, engine)
    upstream = torch.randn_like(value)
    apart = torch.autograd.grad(value, (weight, mixture), upstream, create_graph=True)
    assert calls == ["gather_taps", "mixture_grad"]
    calls.clear()
    together = torch.autograd.grad(value, (weight, mixture), upstream)
    assert calls[0] == "mix_grads"
    assert all(g.is_contiguous() and torch.equal(g, a) for g, a in zip(together, apart, strict=True))


@pytest.mark.parametrize("kind", ["cpu", "cuda", "mps", "xpu"])
def test_autocast_is_seen_on_every_kind_of_device(kind: str) -> None:
    operand: Any = SimpleNamespace(is_cpu=kind == "cpu", is_cuda=kind == "cuda", device=torch.device(kind))
    assert not _autocasts(operand)
    torch.set_autocast_enabled(kind, True)
    try:
        assert _autocasts(operand)
    finally:
        torch.set_autocast_enabled(kind, False)


@pytest.mark.parametrize("name", OPERATORS)
def test_autocast_computes_in_float32(name: str) -> None:
    tensors, rest = operands(TINY)[name]
    half = [t.detach().to(torch.bfloat16) for t in tensors]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert getattr(ops, name)(*half, *rest, "reference").dtype == torch.float32
