# SPDX-License-Identifier: BSD-3-Clause
"""Sorted taps and tables of direct sums are kept by geometry: no call may get another one's, nor go unchecked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

import dash_kernels as dk
from dash_kernels import _load
from dash_kernels.functional import mixed_conv, tap_conv

if _load.LOAD.error is not None:
    pytest.skip(_load.LOAD.error, allow_module_level=True)

ENGINES = ("fourier", "direct")
SPACE = dk.SearchSpace((3, 5), (1, 2))


def distinct(count: int) -> list[tuple[Tensor, Tensor, tuple[int, ...]]]:
    """Series that differ in offsets alone, or in size alone."""
    torch.manual_seed(0)
    taps = torch.randn(3, 2, 2, dtype=torch.float64)
    return [
        (torch.randn(2, 2, 8 + i % 7, dtype=torch.float64), taps, (-(i % 5), i // 5 % 9 - 4 + 10 * (i // 45)))
        for i in range(count)
    ]


def close(case: tuple[Tensor, Tensor, tuple[int, ...]], engine: str) -> bool:
    x, taps, offsets = case
    return torch.allclose(tap_conv(x, taps, offsets, engine=engine), tap_conv(x, taps, offsets, engine="reference"))


@pytest.mark.parametrize("engine", ENGINES)
def test_more_geometries_than_are_kept(engine: str) -> None:
    cases = distinct(400)
    for case in (*cases, *cases[:50]):
        assert close(case, engine), case


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_that_meet_geometries_at_once(engine: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda case: close(case, engine), distinct(60) * 4))


def differ(layer: dict[str, object], engine: str) -> bool:
    """Whether the layer's results differ from the reference's, in either direction."""
    torch.manual_seed(1)
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64, requires_grad=True)
    groups = int(str(layer.get("groups", 1)))
    weight = torch.randn(4, 4 // groups, 68, dtype=torch.float64, requires_grad=True)
    results = []
    for name in (engine, "reference"):
        y = mixed_conv(x, weight, torch.full((4,), 0.25).double(), SPACE, engine=name, **layer)  # type: ignore[arg-type]
        results.append([y, *torch.autograd.grad(y.square().sum(), (x, weight))])
    return not all(torch.allclose(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("engine", ENGINES)
def test_layers_of_one_size_that_differ_otherwise(engine: str) -> None:
    layers: list[dict[str, object]] = [
        {},
        {"stride": 2},
        {"padding_mode": "circular"},
        {"causal": True},
        {"groups": 2},
        {"groups": 4},
    ]
    for layer in layers * 2:
        assert not differ(layer, engine), layer


@pytest.mark.parametrize("engine", ENGINES)
def test_what_does_not_fit_is_refused_for_a_geometry_that_is_known(engine: str) -> None:
    operator = getattr(torch.ops.dash_kernels, f"{engine}_tap_conv")
    call = dict(x=torch.ones(2, 4, 6), taps=torch.ones(3, 4, 2), offsets=torch.tensor([0, 1]), out_size=[6], stride=[1])
    rest = dict(groups=1, circular=False, **({"length": [8]} if engine == "fourier" else {}))
    assert operator(**call, **rest).shape == (2, 3, 6)
    with pytest.raises((RuntimeError, ValueError), match="groups must divide"):
        operator(**(call | {"taps": torch.ones(3, 2, 2)}), **(rest | {"groups": 2}))
