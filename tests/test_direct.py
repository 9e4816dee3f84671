# SPDX-License-Identifier: BSD-3-Clause
"""How exact the direct engine is on layers of the size it is made for, what it refuses, and what bad input does."""

from __future__ import annotations

import itertools
import random

import pytest
import torch
from accuracy import assert_as_good_as_torch, assert_layer_is_exact, relative_error, torch_tap_conv

import dash_kernels as dk
from dash_kernels import _load, reference
from dash_kernels.engines.direct import MOST_ROW_TAPS, DirectEngine
from dash_kernels.engines.problem import Problem

if _load.LOAD.error is not None:
    pytest.skip(_load.LOAD.error, allow_module_level=True)

SPACE_2D = dk.SearchSpace((3, 5, 7, 9), (1, 3, 7, 15))
SPACE_1D = dk.SearchSpace((3, 7, 11, 15, 19), (1, 3, 7, 15))
ONE = dk.SearchSpace((3,), (1,))
ENGINE = DirectEngine()

LAYERS = [
    pytest.param(SPACE_2D, 20, 64, 64, (8, 8), 64, 1, id="tiny maps, depthwise"),
    pytest.param(SPACE_2D, 8, 32, 32, (16, 16), 32, 2, id="depthwise, stride 2"),
    pytest.param(SPACE_2D, 10, 3, 16, (32, 32), 1, 1, id="stem of three channels"),
    pytest.param(SPACE_1D, 16, 1, 4, (1000,), 1, 1, id="stem of one channel"),
    pytest.param(SPACE_1D, 16, 64, 64, (46,), 64, 1, id="series, depthwise"),
    pytest.param(ONE, 8, 32, 48, (17, 17), 1, 1, id="few taps"),
    pytest.param(ONE, 8, 24, 40, (18, 18), 1, 2, id="few taps, stride 2"),
    pytest.param(dk.SearchSpace((1,), (1,)), 8, 96, 33, (9, 9), 1, 1, id="one tap"),
    pytest.param(ONE, 3, 6, 8, (5, 6, 19), 2, 1, id="volumes, grouped"),
]


@pytest.mark.parametrize(("space", "batch", "inside", "outside", "size", "groups", "stride"), LAYERS)
def test_layers_are_exact(
    space: dk.SearchSpace, batch: int, inside: int, outside: int, size: tuple[int, ...], groups: int, stride: int
) -> None:
    assert_layer_is_exact(ENGINE, space, batch, inside, outside, size, groups, stride)


@pytest.mark.parametrize("depth", [64, 1000])
def test_sums_over_many_channels_are_exact(depth: int) -> None:
    """Sums carried in runs: the error must not grow as that of one long sum."""
    x, taps = torch.randn(2, depth, 20), torch.randn(8, depth, 31)
    offsets = tuple(range(-15, 16))
    exact = torch_tap_conv(x.double(), taps.double(), [(o,) for o in offsets], (20,), (1,), 1, False)
    got = ENGINE.tap_conv(x, taps, offsets, (20,), (1,), 1, False)
    assert relative_error(got, exact) <= 4 * torch.finfo(torch.float32).eps


@pytest.mark.parametrize(("n", "groups", "batch"), [(4000, 1, 1), (65536, 1, 1), (16000, 4, 3), (300, 1, 200)])
def test_weight_gradients_of_long_sums_are_exact(n: int, groups: int, batch: int) -> None:
    offsets = tuple(range(-4, 5))
    x, grad = torch.randn(batch, 4, n), torch.randn(batch, 4, n)
    padded = torch.nn.functional.pad(x.double(), (4, 4))
    exact = torch.zeros(4, 4 // groups, 9, dtype=torch.float64)
    for t in range(9):
        v, g = padded[..., t : t + n], grad.double()
        for part_g, part_v in zip(g.split(1000, dim=-1), v.split(1000, dim=-1), strict=True):
            all_pairs = torch.einsum("bon,bcn->oc", part_g, part_v)
            exact[:, :, t] += all_pairs if groups == 1 else all_pairs.diagonal().view(4, 1)
    got = ENGINE.tap_conv_weight_grad(grad, x, offsets, (1,), groups, False)
    assert relative_error(got, exact) <= 4 * torch.finfo(torch.float32).eps


@pytest.mark.parametrize("seed", range(8))
def test_volumes_drawn_at_random(seed: int) -> None:
    """Strides per axis, groups, wrapping and odd outputs, in three axes."""
    draw = random.Random(seed)
    size = tuple(draw.randint(1, 6) for _ in range(3))
    out, stride = tuple(draw.randint(1, 6) for _ in size), tuple(draw.randint(1, 3) for _ in size)
    offsets = [tuple(draw.randint(-7, 7) for _ in size) for _ in range(draw.randint(1, 9))]
    groups, circular = draw.randint(1, 3), draw.random() < 0.5
    flat = tuple(itertools.chain.from_iterable(offsets))
    x = torch.randn(2, 2 * groups, *size, requires_grad=True)
    taps = torch.randn(groups, 2, len(offsets), requires_grad=True)
    grad = torch.randn(2, groups, *out)
    plain = torch_tap_conv(x, taps, offsets, out, stride, groups, circular)
    plain_grads = torch.autograd.grad(plain, (x, taps), grad)
    x, taps, rest = x.detach(), taps.detach(), (stride, groups, circular)
    wide_x, wide_taps, wide_grad = x.double(), taps.double(), grad.double()
    pairs = (
        (ENGINE.tap_conv(x, taps, flat, out, *rest), reference.tap_conv(wide_x, wide_taps, flat, out, *rest)),
        (
            ENGINE.tap_conv_input_grad(grad, taps, flat, size, *rest),
            reference.tap_conv_input_grad(wide_grad, wide_taps, flat, size, *rest),
        ),
        (
            ENGINE.tap_conv_weight_grad(grad, x, flat, *rest),
            reference.tap_conv_weight_grad(wide_grad, wide_x, flat, *rest),
        ),
    )
    for (got, exact), by_torch in zip(pairs, (plain.detach(), *plain_grads), strict=True):
        assert_as_good_as_torch(got, by_torch, exact, what=f"{size} {out} {stride} {offsets} {groups} {circular}")


def test_what_it_cannot_run_it_says() -> None:
    problem = Problem("tap_conv", "cpu", torch.float16, 1, 1, 1, 1, (4,), (4,), (1,), (0,), False)
    assert "float16" in str(ENGINE.can_run(problem))
    assert "4-D" in str(ENGINE.can_run(Problem("tap_conv", "cpu", torch.float32, 1, 1, 1, 1, *[(4,) * 4] * 4, False)))
    assert "cuda" in str(ENGINE.available("cuda"))


def test_a_table_that_would_not_fit_is_refused() -> None:
    rows = 2**13
    offsets = tuple(itertools.chain.from_iterable((row, 0) for row in range(-rows // 2, rows // 2)))
    problem = Problem(
        "tap_conv", "cpu", torch.float32, 1, 1, 1, 1, (rows, 1), (rows, 1), (1, 1), offsets, False,
    )  # fmt: skip
    assert f"more than {MOST_ROW_TAPS}" in str(ENGINE.can_run(problem))


OPERATORS = torch.ops.dash_kernels
X, TAPS, OFFSETS = torch.ones(2, 4, 6), torch.ones(3, 4, 2), torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(groups=2), "shapes"),
        (dict(groups=0), "shapes"),
        (dict(taps=TAPS[..., :1]), "expected 1 offsets"),
        (dict(offsets=torch.tensor([0.0, 1.0])), "int64"),
        (dict(offsets=torch.zeros(2, 1, dtype=torch.int64)), "int64"),
        (dict(out_size=[6, 6]), "one entry per axis"),
        (dict(out_size=[]), "one entry per axis"),
        (dict(out_size=[0]), "at least 1"),
        (dict(stride=[0]), "at least 1"),
        (dict(stride=[2**40]), "below 2"),
        (dict(taps=TAPS.double()), "one dtype"),
        (dict(x=X.half(), taps=TAPS.half()), "float32 or float64"),
    ],
)
def test_the_compiled_operator_refuses_bad_input(change: dict[str, object], message: str) -> None:
    call: dict[str, object] = dict(x=X, taps=TAPS, offsets=OFFSETS, out_size=[6], stride=[1], groups=1, circular=False)
    with pytest.raises((RuntimeError, ValueError), match=message):
        OPERATORS.direct_tap_conv(**(call | change))


@pytest.mark.parametrize("offset", [2**63 - 1, -(2**63), 2**31, -(2**31)])
@pytest.mark.parametrize("circular", [False, True])
def test_offsets_of_any_size(offset: int, circular: bool) -> None:
    x, taps, grad = torch.randn(2, 1, 6), torch.randn(1, 1, 2), torch.randn(2, 1, 6)
    near = (offset % 6, 0) if circular else (7, 0)
    rest = ((1,), 1, circular)
    for far_result, near_result in zip(
        *(
            (
                ENGINE.tap_conv(x, taps, offsets, (6,), *rest),
                ENGINE.tap_conv_input_grad(grad, taps, offsets, (6,), *rest),
                ENGINE.tap_conv_weight_grad(grad, x, offsets, *rest),
            )
            for offsets in ((offset, 0), near)
        ),
        strict=True,
    ):
        assert torch.equal(far_result, near_result)


def test_a_stride_beyond_the_input_costs_no_memory() -> None:
    taps = torch.tensor([[[1.0, 2.0]]])
    y = ENGINE.tap_conv(torch.ones(1, 1, 1000), taps, (0, 999), (1,), (10**9,), 1, False)
    assert y.tolist() == [[[3.0]]]
    back = ENGINE.tap_conv_input_grad(torch.ones(1, 1, 3), taps, (0, -(10**9)), (5,), (10**9,), 1, False)
    assert back.tolist() == [[[3.0, 0.0, 0.0, 0.0, 0.0]]]
