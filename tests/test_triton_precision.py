# SPDX-License-Identifier: BSD-3-Clause
"""How exact the Triton engine is at the precisions of a GPU's matrix units, by the model in triton_model.py."""

from __future__ import annotations

import pytest
import torch
from accuracy import assert_as_good_as_torch, relative_error, torch_tap_conv
from cases import CASES, Case
from torch import Tensor
from triton_model import model, tf32

import dash_kernels as dk
from dash_kernels import reference
from dash_kernels.engines.triton.convolution import Convolution
from dash_kernels.engines.triton.launch import PRECISIONS

SPACE_2D = dk.TapLattice.of(dk.SearchSpace((3, 5, 7, 9), (1, 3, 7, 15)).candidates(2)).offsets
SPACE_1D = dk.TapLattice.of(dk.SearchSpace((3, 7, 11, 15, 19), (1, 3, 7, 15)).candidates(1)).offsets
LAYERS = [
    Case("images", (32, 32), SPACE_2D, batch=4, channels=(8, 8)),
    Case("small maps", (8, 8), SPACE_2D, batch=8, channels=(16, 16)),
    Case("large maps", (60, 60), SPACE_2D, batch=1, channels=(4, 4)),
    Case("series", (1000,), SPACE_1D, batch=8, channels=(8, 8)),
    Case("short series", (46,), SPACE_1D, batch=16, channels=(32, 32)),
    Case("depthwise", (32, 32), SPACE_2D, batch=4, channels=(8, 8), groups=8),
]


def computed(monkeypatch: pytest.MonkeyPatch, precision: str, case: Case, tensors: tuple[Tensor, ...]) -> list[Tensor]:
    """Result and both gradients."""
    x, taps, grad = tensors

    def convolution(like: Tensor, results: int) -> Convolution:
        rest = case.flat, case.size, case.outputs, case.steps, case.groups, case.circular
        return model(monkeypatch, precision, Convolution.of(like, results, *rest))

    return [
        convolution(x, grad.numel()).forward(x, taps, None),
        convolution(grad, x.numel()).input_grad(grad, taps),
        convolution(grad, taps.numel()).weight_grad(grad, x),
    ]


def expected(case: Case, tensors: tuple[Tensor, ...]) -> list[Tensor]:
    x, taps, grad = (tensor.double() for tensor in tensors)
    rest = case.steps, case.groups, case.circular
    return [
        reference.tap_conv(x, taps, case.flat, case.outputs, *rest),
        reference.tap_conv_input_grad(grad, taps, case.flat, case.size, *rest),
        reference.tap_conv_weight_grad(grad, x, case.flat, *rest),
    ]


def by_torch(case: Case, tensors: tuple[Tensor, ...]) -> list[Tensor]:
    x, taps, grad = (tensor.detach().requires_grad_() for tensor in tensors)
    y = torch_tap_conv(x, taps, case.offsets, case.outputs, case.steps, case.groups, case.circular)
    return [y.detach(), *torch.autograd.grad(y, (x, taps), grad)]


def test_tf32_rounds_to_eleven_bits() -> None:
    values = torch.tensor([1.0, 1 + 2**-10, 1 + 2**-11, 1 + 2**-12, -1 - 2**-11, 3.14159265])
    assert tf32(values).tolist() == [1, 1 + 2**-10, 1 + 2**-10, 1, -1 - 2**-10, 3.140625]


@pytest.mark.parametrize("precision", ["tf32x3", "ieee"])
@pytest.mark.parametrize("case", [c for c in CASES if c.batch] + LAYERS, ids=lambda case: case.name)
def test_full_precision_is_as_good_as_torch(case: Case, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = case.tensors(torch.float32)
    got = computed(monkeypatch, precision, case, tensors)
    rows = zip(got, by_torch(case, tensors), expected(case, tensors), ("y", "grad x", "grad taps"), strict=True)
    for ours, plain, exact, what in rows:
        assert_as_good_as_torch(ours, plain, exact, what=f"{what}, {precision}")


@pytest.mark.parametrize(("precision", "bar"), [("tf32", 2e-3), ("bf16x3", 1e-4), ("bfloat16", 1.5e-2)])
@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_options_round_as_they_say(case: Case, precision: str, bar: float, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = case.tensors(torch.float32)
    errors = [
        relative_error(ours, exact)
        for ours, exact in zip(computed(monkeypatch, precision, case, tensors), expected(case, tensors), strict=True)
    ]
    assert bar / 30 < max(errors) < bar


def test_the_default_precision_of_every_vendor_is_full() -> None:
    assert PRECISIONS["highest"] == {"cuda": "tf32x3", "hip": "ieee"}
    assert set(PRECISIONS) == {"highest", "high", "medium"}
