# SPDX-License-Identifier: BSD-3-Clause
"""Every way to transform computes the shared cases, also those that a plan would send another way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from accuracy import assert_as_good_as_torch, torch_tap_conv
from cases import CASES, SMALL, Case
from torch import Tensor

from dash_kernels import reference
from dash_kernels.engines import Problem, named
from dash_kernels.engines.triton import convolution, plan
from dash_kernels.engines.triton.engine import TritonEngine
from dash_kernels.formats import memory_format

ENGINE = TritonEngine()
# Many planes take the interpreter long and prove nothing that few do not; the shared tests have them.
FEWER = [case for case in CASES if case.batch * max(case.channels) <= 16]
NAMES = "y", "grad x", "grad taps", "grad bias"


@pytest.fixture
def forced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Bounds under which plans take the named route wherever it is open."""
    route = str(request.param)
    if route != "direct":
        monkeypatch.setattr(plan, "MOST_DIRECT", 0)
    if route == "torch":
        monkeypatch.setattr(plan, "LONGEST_FACTOR", 0)
    plan.plan.cache_clear()
    yield route
    plan.plan.cache_clear()


def problem(case: Case, dtype: torch.dtype) -> Problem:
    where = torch.get_default_device().type
    shape = case.batch, *case.channels, case.groups, case.size, case.outputs, case.steps
    return Problem("tap_conv", where, dtype, *shape, case.flat, case.circular)


def check(case: Case, dtype: torch.dtype) -> None:
    """Result and gradients against sums in double."""
    x, taps, grad = case.tensors(dtype)
    bias = torch.randn(case.channels[1], dtype=dtype)
    rest = case.steps, case.groups, case.circular
    y = ENGINE.tap_conv(x, taps, case.flat, case.outputs, *rest, bias)
    dx = ENGINE.tap_conv_input_grad(grad, taps, case.flat, case.size, *rest)
    dtaps, dbias = ENGINE.tap_conv_weight_bias_grad(grad, x, case.flat, *rest)
    wide_x, wide_taps, wide_grad = x.double(), taps.double(), grad.double()
    exact = (
        reference.tap_conv(wide_x, wide_taps, case.flat, case.outputs, *rest, bias.double()),
        reference.tap_conv_input_grad(wide_grad, wide_taps, case.flat, case.size, *rest),
        reference.tap_conv_weight_grad(wide_grad, wide_x, case.flat, *rest),
        reference.bias_grad(wide_grad),
    )
    leaves = [tensor.detach().requires_grad_() for tensor in (x, taps, bias)]
    by_torch = torch_tap_conv(leaves[0], leaves[1], case.offsets, case.outputs, *rest)
    by_torch = by_torch + reference.per_channel(leaves[2], by_torch.dim())
    plain = by_torch.detach(), *torch.autograd.grad(by_torch, leaves, grad)
    assert y.is_contiguous(memory_format=memory_format(x)) and dx.is_contiguous(memory_format=memory_format(grad))
    assert dtaps.is_contiguous() and dbias.is_contiguous()
    for what, ours, theirs, truth in zip(NAMES, (y, dx, dtaps, dbias), plain, exact, strict=True):
        assert ours.dtype == dtype
        assert_as_good_as_torch(ours, theirs, truth, what=what)


@pytest.mark.parametrize("forced", ["factored", "torch"], indirect=True)
@pytest.mark.parametrize("case", FEWER, ids=lambda case: case.name)
def test_values_and_gradients(case: Case, forced: str) -> None:
    refused = ENGINE.can_run(problem(case, torch.float32))
    if refused is not None:
        assert forced == "torch" and case.circular and "more than once" in refused
        return
    check(case, torch.float32)


@pytest.mark.parametrize("forced", ["direct", "factored", "torch"], indirect=True)
@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cases_that_touch_every_argument(case: Case, dtype: torch.dtype, forced: str) -> None:
    if ENGINE.can_run(problem(case, dtype)) is None:
        check(case, dtype)


def test_the_forced_routes_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the cases above all three are, for maps and for taps."""
    taken = set()
    for most, longest in ((plan.MOST_DIRECT, 160), (0, 160), (0, 0)):
        monkeypatch.setattr(plan, "MOST_DIRECT", most)
        monkeypatch.setattr(plan, "LONGEST_FACTOR", longest)
        plan.plan.cache_clear()
        for case in CASES:
            how = plan.plan(case.flat, case.size, case.outputs, case.steps, case.circular)
            taken.add((len(case.size), how.route, how.tap_route))
    plan.plan.cache_clear()
    assert taken == {
        (1, "direct", "direct"), (1, "factored", "direct"), (1, "torch", "direct"),
        (2, "direct", "direct"), (2, "factored", "factored"), (2, "torch", "factored"),
        (3, "direct", "direct"), (3, "torch", "torch"),
    }  # fmt: skip


@pytest.mark.parametrize("room", [2**27, 3_000])
@pytest.mark.parametrize("forced", ["direct", "factored", "torch"], indirect=True)
def test_all_gradients_at_once_are_those_one_by_one(forced: str, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, with the taps' spectrum in one part or in several; where it is one, grad is transformed once."""
    monkeypatch.setattr(convolution, "PART_BYTES", room)
    offsets = tuple(o for row in range(-3, 4) for column in range(-3, 3) for o in (row, column))
    x, taps, grad = torch.randn(1, 4, 6, 6), torch.randn(4, 2, 42), torch.randn(1, 4, 6, 6)
    rest = offsets, (1, 1), 2, False
    apart = (
        ENGINE.tap_conv_input_grad(grad, taps, rest[0], (6, 6), *rest[1:]),
        ENGINE.tap_conv_weight_grad(grad, x, *rest),
    )
    transformed = []
    maps = convolution.Convolution._maps
    monkeypatch.setattr(
        convolution.Convolution, "_maps", lambda self, *args: transformed.append(args) or maps(self, *args)
    )
    *together, of_bias = ENGINE.tap_conv_grads(grad, taps, x, *rest, True)
    assert all(map(torch.equal, together, apart))
    assert of_bias is not None and torch.equal(of_bias, ENGINE.tap_conv_weight_bias_grad(grad, x, *rest)[1])
    if room == 2**27:
        assert len(transformed) == 4  # two of them by the bias's call


@pytest.mark.parametrize("forced", ["direct", "factored", "torch"], indirect=True)
def test_parts_of_batch_filters_and_channels(forced: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for two spectra at a time everything is computed in many parts, and added up where it must be."""
    monkeypatch.setattr(convolution, "PART_BYTES", 20_000)
    taps = (0, 1), (2, -3), (-5, 0)
    check(Case("parts", (14, 9), taps, batch=5, channels=(6, 4), groups=2), torch.float32)


@pytest.mark.parametrize("bias", [torch.randn(4, 2)[:, 0], torch.randn(1).expand(4)], ids=["strided", "expanded"])
@pytest.mark.parametrize("forced", ["direct", "factored", "torch"], indirect=True)
def test_a_bias_of_any_strides(forced: str, bias: Tensor) -> None:
    x, taps, rest = torch.randn(2, 3, 7, 5), torch.randn(4, 3, 2), ((0, 0, 1, -1), (7, 5), (1, 1), 1, False)
    torch.testing.assert_close(ENGINE.tap_conv(x, taps, *rest, bias), reference.tap_conv(x, taps, *rest, bias))


def test_the_registry_knows_it() -> None:
    assert isinstance(named("triton"), TritonEngine)
