# SPDX-License-Identifier: BSD-3-Clause
"""Laws that hold for every shape, checked on shapes drawn at random."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from accuracy import assert_as_good_as_torch, torch_tap_conv
from cases import Case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dash_kernels import Candidate, SearchSpace, ops, reference
from dash_kernels.functional import mixed_conv
from dash_kernels.taps import tap_offsets

# Fixtures only choose the engine and poison memory: nothing a drawn example could spoil for the next.
quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@st.composite
def cases(draw: Any) -> Case:
    """Any small call of ``tap_conv`` in one or two axes."""
    ndim = draw(st.integers(1, 2))

    def per_axis(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, most)) for _ in range(ndim))

    size = per_axis(1, 40 if ndim == 1 else 14)
    if draw(st.booleans()):
        kernel = Candidate(per_axis(1, 6), per_axis(1, 4))
        offsets = tap_offsets(kernel, draw(st.booleans()))
    else:
        offsets = tuple(per_axis(-12, 12) for _ in range(draw(st.integers(1, 8))))
    groups = draw(st.integers(1, 3))
    channels = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    return Case(
        "drawn", size, offsets, batch=draw(st.integers(0, 3)), channels=channels, groups=groups,
        stride=per_axis(1, 3), circular=draw(st.booleans()),
    )  # fmt: skip


@quick
@given(case=cases())
def test_values_and_gradients(case: Case, engine: str) -> None:
    x, taps, grad = case.tensors(torch.float32)
    tail = (case.steps, case.groups, case.circular)
    got = (
        ops.tap_conv(x, taps, case.flat, case.outputs, *tail, None, engine),
        ops.tap_conv_input_grad(grad, taps, case.flat, case.size, *tail, engine),
        ops.tap_conv_weight_grad(grad, x, case.flat, *tail, engine),
    )
    wide_x, wide_taps, wide_grad = x.double(), taps.double(), grad.double()
    exact = (
        reference.tap_conv(wide_x, wide_taps, case.flat, case.outputs, *tail),
        reference.tap_conv_input_grad(wide_grad, wide_taps, case.flat, case.size, *tail),
        reference.tap_conv_weight_grad(wide_grad, wide_x, case.flat, *tail),
    )
    y = torch_tap_conv(x.requires_grad_(), taps.requires_grad_(), case.offsets, case.outputs, *tail)
    plain = (y.detach(), *torch.autograd.grad(y, (x, taps), grad))
    floor = 16 if engine == "reference" else 4
    for ours, by_torch, truth in zip(got, plain, exact, strict=True):
        assert_as_good_as_torch(ours, by_torch, truth, floor=floor, what=str(case))


@quick
@given(case=cases())
def test_the_gradients_are_adjoints(case: Case, engine: str) -> None:
    """<grad, conv(x, taps)> is the same number from all three operators."""
    x, taps, grad = case.tensors(torch.float64)
    tail = (case.steps, case.groups, case.circular)
    sums = [
        (grad * ops.tap_conv(x, taps, case.flat, case.outputs, *tail, None, engine)).sum(),
        (x * ops.tap_conv_input_grad(grad, taps, case.flat, case.size, *tail, engine)).sum(),
        (taps * ops.tap_conv_weight_grad(grad, x, case.flat, *tail, engine)).sum(),
    ]
    torch.testing.assert_close(sums[1], sums[0], rtol=1e-10, atol=1e-8)
    torch.testing.assert_close(sums[2], sums[0], rtol=1e-10, atol=1e-8)


@quick
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    dilations=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    n=st.integers(1, 30),
    ndim=st.integers(1, 2),
    causal=st.booleans(),
)
def test_any_space_mixes_like_its_candidates(
    sizes: list[int], dilations: list[int], n: int, ndim: int, causal: bool, engine: str
) -> None:
    space = SearchSpace(sizes, dilations)
    candidates = space.candidates(ndim)
    x = torch.randn(2, 2, *(n, 5)[:ndim], dtype=torch.float64)
    weight = torch.randn(3, 2, sum(c.taps for c in candidates), dtype=torch.float64)
    mixture = torch.randn(len(candidates), dtype=torch.float64)
    y = mixed_conv(x, weight, mixture, space, engine=engine, causal=causal, ndim=ndim)
    expected = reference.mixed_results(x, weight, mixture, candidates, causal=causal)
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("operator", ["tap_conv", "mix_taps"])
def test_results_are_the_same_every_time(operator: str, engine: str) -> None:
    case = Case("again", (17, 9), tap_offsets(Candidate((3, 5), (2, 1))), channels=(6, 10))
    x, taps, _ = case.tensors(torch.float32)
    if operator == "tap_conv":
        results = [ops.tap_conv(x, taps, case.flat, case.outputs, case.steps, 1, False, None, engine) for _ in range(3)]
    else:
        results = [ops.mix_taps(taps, torch.ones(1), tuple(range(15)), (15,), 15, engine) for _ in range(3)]
    assert all(torch.equal(result, results[0]) for result in results)
