# SPDX-License-Identifier: BSD-3-Clause
"""How the fourier engine plans, and how exact it is on layers of the size it is made for."""

from __future__ import annotations

import itertools

import pytest
import torch
from accuracy import assert_layer_is_exact, relative_error

import dash_kernels as dk
from dash_kernels.engines.fourier import FourierEngine, plan
from dash_kernels.engines.problem import Problem
from dash_kernels.taps import fast_length, transform_length

SPACE_2D = dk.SearchSpace((3, 5, 7, 9), (1, 3, 7, 15))
SPACE_1D = dk.SearchSpace((3, 7, 11, 15, 19), (1, 3, 7, 15))


def factors(n: int) -> set[int]:
    return {p for p in range(2, n + 1) if n % p == 0 and all(p % q for q in range(2, p))}


@pytest.mark.parametrize("multiple", [1, 2, 3, 4, 7])
def test_fast_length_is_the_shortest(multiple: int) -> None:
    for least in range(1, 200):
        length = fast_length(least, multiple)
        fitting = (n for n in itertools.count(least) if n % multiple == 0 and factors(n // multiple) <= {2, 3, 5})
        assert length == next(fitting)


@pytest.mark.parametrize(("size", "reach", "length"), [(32, 60, 64), (60, 45, 108), (8, 60, 15), (128, 60, 192)])
def test_lengths_of_centred_same_layers_are_short(size: int, reach: int, length: int) -> None:
    """n + min(reach, n - 1), rounded up to a fast length, where padding both sides would take n + 2 reach."""
    near = min(reach, size - 1)
    assert transform_length(-near, near, size, size, 1, last_axis=False) == length


def test_the_length_is_exact_and_no_shorter_one_is() -> None:
    """Positions read that lie outside the input must land outside it modulo the length too."""
    for size, stride, lowest, highest in itertools.product(range(1, 7), (1, 2), (-5, -1, 0), (0, 2, 4)):
        out = -(-size // stride)
        least = max(size, stride * (out - 1) + highest + 1, size - lowest, stride * out)
        read = range(lowest, stride * (out - 1) + highest + 1)
        outside = [q for q in read if not 0 <= q < size]
        exact = [n for n in range(size, least + 1) if all(q % n >= size for q in outside)]
        assert least in exact
        length = transform_length(lowest, highest, size, out, stride, last_axis=True)
        assert length >= least and (length // stride) % 2 == 0


@pytest.mark.parametrize(
    ("size", "stride", "native"),
    [
        ((20,), (1,), True),
        ((21,), (1,), False),
        ((14,), (1,), False),
        ((9, 16), (3, 2), True),
        ((7, 16), (1, 1), False),
    ],
)
def test_circular_maps_use_the_transforms_own_period_where_it_is_fast(
    size: tuple[int, ...], stride: tuple[int, ...], native: bool
) -> None:
    out = tuple(-(-n // s) for n, s in zip(size, stride, strict=True))
    how = plan((5,) * len(size), size, out, stride, True)
    assert how.circular == native and (how.wrapped is None) == native


def test_a_stride_that_divides_no_fast_length_computes_every_pixel() -> None:
    how = plan((0, 0), (30, 30), (5, 15), (7, 2), False)
    assert (how.stride, how.keep, how.out) == ((1, 2), (7, 1), (29, 15))


def test_what_it_cannot_run_it_says() -> None:
    engine = FourierEngine()
    problem = Problem("tap_conv", "cpu", torch.float16, 1, 1, 1, 1, (4,), (4,), (1,), (0,), False)
    assert "float16" in str(engine.can_run(problem))
    volume = Problem("tap_conv", "cpu", torch.float32, 1, 1, 1, 1, (4,) * 3, (4,) * 3, (1,) * 3, (0,) * 3, False)
    assert "3-D" in str(engine.can_run(volume))
    bare = Problem("tap_conv", "cpu", torch.float32, 1, 0, 1, 1, (4,), (4,), (1,), (0,), False)
    assert "channels on both sides" in str(engine.can_run(bare))
    assert "cuda" in str(engine.available("cuda"))


LAYERS = [
    pytest.param(SPACE_2D, 16, 4, 16, (24, 24), 1, 1, id="images"),
    pytest.param(SPACE_2D, 8, 32, 32, (8, 8), 1, 1, id="small maps"),
    pytest.param(SPACE_2D, 3, 8, 16, (45, 45), 1, 1, id="small batch"),
    pytest.param(SPACE_2D, 4, 16, 16, (32, 32), 16, 2, id="depthwise, stride 2"),
    pytest.param(SPACE_1D, 32, 8, 8, (1000,), 1, 1, id="series"),
    pytest.param(SPACE_1D, 16, 64, 64, (46,), 64, 1, id="series, depthwise"),
    pytest.param(SPACE_2D, 35, 4, 4, (9, 9), 1, 1, id="odd batch"),
    pytest.param(SPACE_1D, 1100, 1, 1, (1000,), 1, 1, id="batch in parts"),
]


@pytest.mark.parametrize(("space", "batch", "inside", "outside", "size", "groups", "stride"), LAYERS)
def test_layers_of_the_tasks_are_exact(
    space: dk.SearchSpace, batch: int, inside: int, outside: int, size: tuple[int, ...], groups: int, stride: int
) -> None:
    assert_layer_is_exact(FourierEngine(), space, batch, inside, outside, size, groups, stride)


@pytest.mark.parametrize(("n", "groups"), [(4000, 1), (16001, 1), (16000, 4), (65536, 1)])
def test_long_series_are_exact(n: int, groups: int) -> None:
    """The sum over frequencies behind a weight gradient must not round as one long sum does."""
    errors = [long_series_error(n, groups) for _ in range(4)]
    assert sum(errors) / len(errors) <= 4 * torch.finfo(torch.float32).eps


def long_series_error(n: int, groups: int) -> float:
    offsets = tuple(range(-4, 5))
    x, grad = torch.randn(1, 4, n), torch.randn(1, 4, n)
    exact = torch.zeros(4, 4 // groups, 9, dtype=torch.float64)
    padded = torch.nn.functional.pad(x.double(), (4, 4))
    for t in range(9):
        shifted = padded[0, :, t : t + n].split(1000, dim=-1)
        products = [
            g[0] @ v.T if groups == 1 else (g[0] * v).sum(-1, keepdim=True)
            for g, v in zip(grad.double().split(1000, dim=-1), shifted, strict=True)
        ]
        exact[:, :, t] = torch.stack(products).sum(0)
    return relative_error(FourierEngine().tap_conv_weight_grad(grad, x, offsets, (1,), groups, False), exact)


def test_the_default_device_does_not_reach_the_engine() -> None:
    layer, x = dk.MixedConv1d(2, 2, kernel_sizes=(3, 5), dilations=(1, 6)), torch.randn(1, 2, 31)
    with torch.device("meta"):
        assert layer(x).device.type == "cpu"
    assert layer(x).device.type == "cpu"


def test_a_stride_beyond_the_input_costs_no_long_transform() -> None:
    assert plan((0, 1, 2), (1000,), (1,), (10**6,), False).lengths[0] <= 2000
