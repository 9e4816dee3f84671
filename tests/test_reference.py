# SPDX-License-Identifier: BSD-3-Clause
"""The truth itself: against its formula by brute force, and against sums of torch's convolutions, in float64."""

from __future__ import annotations

import itertools

import pytest
import torch
from accuracy import torch_tap_conv
from cases import CASES, Case
from torch import Tensor

from dash_kernels import SearchSpace, TapLattice, functional, reference


def brute_force(case: Case, x: Tensor, taps: Tensor) -> Tensor:
    """The formula, one product at a time."""
    y = torch.zeros(case.batch, case.channels[1], *case.outputs, dtype=torch.float64)
    inputs, outputs = case.channels[0] // case.groups, case.channels[1] // case.groups
    for b, o, c in itertools.product(range(case.batch), range(case.channels[1]), range(inputs)):
        channel = o // outputs * inputs + c
        for p in itertools.product(*map(range, case.outputs)):
            for t, offset in enumerate(case.offsets):
                at = tuple(s * q + d for s, q, d in zip(case.steps, p, offset, strict=True))
                if case.circular:
                    at = tuple(i % n for i, n in zip(at, case.size, strict=True))
                if all(0 <= i < n for i, n in zip(at, case.size, strict=True)):
                    y[(b, o, *p)] += taps[o, c, t] * x[(b, channel, *at)]
    return y


BRUTE = [
    Case("asymmetric", (4, 5), ((0, 0), (2, -1), (-3, 3), (1, 7)), batch=1, channels=(2, 2)),
    Case("strided, grouped", (5, 4), ((0, 1), (-1, 0), (0, 1)), batch=1, channels=(4, 2), groups=2, stride=(2, 3)),
    Case("circular, wraps often", (3, 4), ((-7, 9), (2, 2), (5, -4)), channels=(1, 2), stride=(2, 1), circular=True),
    Case("longer output", (3,), ((-4,), (0,), (2,)), channels=(2, 1), out_size=(8,)),
    Case("3d", (2, 3, 2), ((0, 1, 0), (-1, 0, 1)), batch=1, channels=(1, 2)),
]


@pytest.mark.parametrize("case", BRUTE, ids=lambda case: case.name)
def test_formula(case: Case) -> None:
    x, taps, _ = case.tensors(torch.float64)
    y = reference.tap_conv(x, taps, case.flat, case.outputs, case.steps, case.groups, case.circular)
    torch.testing.assert_close(y, brute_force(case, x, taps), rtol=1e-13, atol=1e-13)


QUICK = [case for case in CASES if case.name not in ("2d mixture", "2d mixture, tiny map")]  # torch takes seconds


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_all_three_operators_against_torch(case: Case) -> None:
    x, taps, grad = case.tensors(torch.float64)
    tail = (case.steps, case.groups, case.circular)
    leaf_x, leaf_taps = x.clone().requires_grad_(), taps.clone().requires_grad_()
    expected = torch_tap_conv(leaf_x, leaf_taps, case.offsets, case.outputs, *tail)
    expected_x, expected_taps = torch.autograd.grad(expected, (leaf_x, leaf_taps), grad)
    results = {
        "output": (reference.tap_conv(x, taps, case.flat, case.outputs, *tail), expected.detach()),
        "input": (reference.tap_conv_input_grad(grad, taps, case.flat, case.size, *tail), expected_x),
        "weight": (reference.tap_conv_weight_grad(grad, x, case.flat, *tail), expected_taps),
    }
    for what, (got, wanted) in results.items():
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12, msg=lambda m, w=what: f"{w}: {m}")


def test_mixing() -> None:
    """By the formula: every packed weight times its candidate's share, added at its place in the lattice."""
    lattice = TapLattice.of(SearchSpace((1, 3, 4), (1, 2)).candidates(2))
    weight = torch.randn(2, 3, lattice.num_packed, dtype=torch.float64)
    mixture, grad = torch.randn(6).double(), torch.randn(2, 3, len(lattice)).double()
    owner = [i for i, count in enumerate(lattice.counts) for _ in range(count)]
    taps, gathered, shares = torch.zeros_like(grad), torch.zeros_like(weight), torch.zeros_like(mixture)
    for p, (place, i) in enumerate(zip(lattice.index, owner, strict=True)):
        taps[..., place] += weight[..., p] * mixture[i]
        gathered[..., p] = grad[..., place] * mixture[i]
        shares[i] += (grad[..., place] * weight[..., p]).sum()
    tail = (lattice.index, lattice.counts)
    torch.testing.assert_close(reference.mix_taps(weight, mixture, *tail, len(lattice)), taps)
    torch.testing.assert_close(reference.gather_taps(grad, mixture, *tail), gathered)
    torch.testing.assert_close(reference.mixture_grad(grad, weight, *tail), shares)


def test_mixing_leaves_out_weights_without_a_tap() -> None:
    """Index -1: as if these weights were zero."""
    weight, mixture, grad = torch.randn(2, 3, 4).double(), torch.randn(2).double(), torch.randn(2, 3, 3).double()
    index, counts = (2, -1, 0, -1), (3, 1)
    zeroed = weight * torch.tensor([1.0, 0.0, 1.0, 0.0]).double()
    taps = reference.mix_taps(weight, mixture, index, counts, 3)
    torch.testing.assert_close(taps, reference.mix_taps(zeroed, mixture, (2, 0, 0, 0), counts, 3))
    gathered = reference.gather_taps(grad, mixture, index, counts)
    assert gathered[..., 1].eq(0).all() and gathered[..., 3].eq(0).all()
    torch.testing.assert_close(gathered[..., 0], grad[..., 2] * mixture[0])
    scores = reference.mixture_grad(grad, weight, index, counts)
    torch.testing.assert_close(scores, reference.mixture_grad(grad, zeroed, (2, 0, 0, 0), counts))


@pytest.mark.parametrize("causal", [False, True], ids=["centred", "causal"])
@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 2), (3, 4)])
@pytest.mark.parametrize("padding_mode", functional.PADDING_MODES)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_the_three_ways_to_mix_agree(ndim: int, padding_mode: str, stride: int, groups: int, causal: bool) -> None:
    """Sum of every candidate's convolution, one summed kernel, and tap_conv: values and all gradients."""
    space = SearchSpace((1, 3) if ndim == 3 else (3, 5), (1, 2))
    candidates = space.candidates(ndim)
    size = ((13,), (11, 9), (7, 6, 5))[ndim - 1]
    leaves = (
        torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True),
        torch.randn(8, 4 // groups, sum(c.taps for c in candidates), dtype=torch.float64, requires_grad=True),
        torch.randn(len(candidates), dtype=torch.float64, requires_grad=True),
        torch.randn(8, dtype=torch.float64, requires_grad=True),
    )
    x, weight, mixture, bias = leaves
    rest = (bias, stride, groups, padding_mode)
    ways = [
        reference.mixed_results(x, weight, mixture, candidates, *rest, causal=causal),
        reference.mixed_weights(x, weight, mixture, candidates, *rest, causal=causal),
        functional.mixed_conv(x, weight, mixture, space, *rest, engine="reference", causal=causal),
    ]
    grad = torch.randn_like(ways[0])
    expected = (ways[0], *torch.autograd.grad(ways[0], leaves, grad))
    for way in ways[1:]:
        for got, wanted in zip((way, *torch.autograd.grad(way, leaves, grad)), expected, strict=True):
            torch.testing.assert_close(got, wanted, rtol=1e-11, atol=1e-11)
