# SPDX-License-Identifier: BSD-3-Clause
"""Each kernel alone, at sizes around its blocks' edges, beside what torch says it means."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accuracy import relative_error
from torch import Tensor

from dash_kernels import reference
from dash_kernels.engines.triton import mixing
from dash_kernels.engines.triton.configurations import KERNELS
from dash_kernels.engines.triton.convolution import _product
from dash_kernels.engines.triton.launch import Configuration
from dash_kernels.engines.triton.plan import Plan, positions
from dash_kernels.engines.triton.tables import Where
from dash_kernels.engines.triton.transforms import Transform

DEVICE = torch.get_default_device()


def a_plan(route: str, lengths: tuple[int, ...], factors: tuple[int, int] | None = None) -> Plan:
    return Plan(route, route, lengths, factors, (), None, (), 1.0)


def spectrum_of(values: Tensor, lengths: tuple[int, ...], steps: tuple[int, ...]) -> Tensor:
    """By torch, of values (rows, *sizes) that are ``steps`` apart."""
    spread = torch.zeros(len(values), *lengths, dtype=values.dtype)
    spread[(slice(None), *(slice(0, n * s, s) for n, s in zip(values.shape[1:], steps, strict=True)))] = values
    return torch.fft.rfftn(spread, dim=tuple(range(1, spread.dim())))


MAPS = [
    ((16, 16), (31, 30), (1, 1)),
    ((17, 5), (33, 70), (1, 1)),
    ((1, 40), (3, 65), (1, 1)),
    ((9, 8), (20, 16), (2, 2)),
    ((17, 33), (66, 36), (1, 1)),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("route", ["direct", "factored", "torch"])
@pytest.mark.parametrize(("size", "lengths", "steps"), MAPS, ids=str)
def test_maps(
    route: str, size: tuple[int, ...], lengths: tuple[int, ...], steps: tuple[int, ...], dtype: torch.dtype
) -> None:
    factors = (lengths[0], lengths[1]) if route == "factored" else None
    transform, grid = Transform(a_plan(route, lengths, factors), Where(DEVICE, dtype)), positions(size, steps)
    values = torch.randn(3, *size, dtype=dtype)
    exact = spectrum_of(values.double(), lengths, steps)
    found = transform.analyse(values.flatten(1), grid)
    bar = 4 * torch.finfo(dtype).eps
    assert relative_error(torch.complex(found[0], found[1]).view(exact.shape).real, exact.real) < bar
    assert relative_error(torch.complex(found[0], found[1]).view(exact.shape).imag, exact.imag) < 2 * bar
    bias = torch.randn(3, dtype=dtype)
    again = transform.synthesise(found, grid, bias, dtype)
    assert relative_error(again, values.flatten(1).double() + bias.double()[:, None]) < bar


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("size", "factors", "step"), [(100, (16, 13), 1), (1000, (16, 71), 1), (40, (12, 10), 3), (33, (33, 2), 1)], ids=str
)
def test_series_in_two_stages(size: int, factors: tuple[int, int], step: int, dtype: torch.dtype) -> None:
    """Frequency k2 + n2 * k1 lies at (k1, k2): the others are conjugates."""
    n1, n2 = factors
    transform = Transform(a_plan("factored", (n1 * n2,), factors), Where(DEVICE, dtype))
    grid = positions((size,), (step,))
    values = torch.randn(2, size, dtype=dtype)
    spread = torch.zeros(2, n1 * n2, dtype=torch.float64)
    spread[:, : size * step : step] = values.double()
    k1, k2 = torch.arange(n1)[:, None], torch.arange(n2 // 2 + 1)
    exact = torch.fft.fft(spread)[:, (k2 + n2 * k1).flatten()]
    found = transform.analyse(values, grid)
    bar = 4 * torch.finfo(dtype).eps
    assert relative_error(found.movedim(0, -1).contiguous(), torch.view_as_real(exact)) < bar
    assert relative_error(transform.synthesise(found, grid, None, dtype), values.double()) < bar


SHAPES = [
    # groups, i, j, m, frequencies
    (1, 1, 1, 1, 1), (3, 4, 1, 1, 300), (2, 1, 2, 9, 257), (1, 17, 16, 15, 9), (2, 16, 33, 17, 8), (1, 40, 5, 64, 7),
]  # fmt: skip


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("conjugate", ["", "a", "b"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products(shape: tuple[int, ...], conjugate: str, accumulate: bool) -> None:
    groups, i, j, m, frequencies = shape
    a = torch.randn(groups, i, m, frequencies, 2, dtype=torch.float64)
    b = torch.randn(groups, j, m, frequencies, 2, dtype=torch.float64)
    before = torch.randn(groups, i, j, frequencies, 2, dtype=torch.float64)
    za, zb = torch.view_as_complex(a), torch.view_as_complex(b)
    za, zb = (za.conj() if conjugate == "a" else za), (zb.conj() if conjugate == "b" else zb)
    exact = torch.view_as_real(torch.einsum("gimf,gjmf->gijf", za, zb)) + (before if accumulate else 0)
    # one operand with parts of a number side by side, one with its axes exchanged, a result with gaps
    first, second = a.float().movedim(-1, 0), b.float().movedim(-1, 0).contiguous().transpose(2, 3)
    wide = torch.full((2, groups, i, j + 3, frequencies), torch.nan)
    result = wide[..., :j, :]
    result.copy_(before.float().movedim(-1, 0))
    _product(first, second, result, conjugate=conjugate, accumulate=accumulate)
    assert relative_error(result.movedim(0, -1).contiguous(), exact) < 4 * torch.finfo(torch.float32).eps
    assert wide[..., j:, :].isnan().all()


@pytest.mark.skipif(DEVICE.type != "cpu", reason="the numbers lie in a file with holes")
def test_products_of_more_than_two_to_the_31_numbers(tmp_path: Path) -> None:
    """Real and imaginary parts, channels and frequencies further apart than 32 bits count."""
    far = 2**31 + 16
    numbers = torch.from_file(str(tmp_path / "numbers"), shared=True, size=2 * far)
    for i, m in ((1, 3), (9, 3)):  # point by point, and as matrices
        a = numbers.as_strided((2, 1, i, m, 2), (far, 0, far // 16, 40, 1))
        a.copy_(torch.randn(a.shape))
        b, result = torch.randn(2, 1, m, 9, 2), torch.empty(2, 1, i, 9, 2)
        _product(a, b, result)
        exact = torch.einsum("gimf,gmjf->gijf", torch.complex(a[0], a[1]), torch.complex(b[0], b[1]))
        torch.testing.assert_close(torch.complex(result[0], result[1]), exact)


@pytest.mark.parametrize(("rows", "lattice"), [(1, 1), (15, 63), (16, 64), (17, 65), (33, 130)])
def test_mixing(rows: int, lattice: int) -> None:
    counts = (3, 50, 1, 20)
    index = torch.randint(-1, lattice, (sum(counts),)).tolist()
    weight, mixture = torch.randn(rows, 1, len(index)), torch.randn(len(counts))
    grad = torch.randn(rows, 1, lattice)
    wide = weight.double(), mixture.double()
    taps = mixing.mix_taps(weight, mixture, index, counts, lattice)
    found = taps, *mixing.mix_grads(grad, weight, mixture, index, counts)
    exact = (
        reference.mix_taps(*wide, index, counts, lattice),
        reference.gather_taps(grad.double(), wide[1], index, counts),
        reference.mixture_grad(grad.double(), wide[0], index, counts),
    )
    for ours, truth in zip(found, exact, strict=True):
        assert relative_error(ours, truth) < 4 * torch.finfo(torch.float32).eps


def test_blocks_are_no_larger_than_what_they_divide() -> None:
    configuration = Configuration((("BLOCK_I", 64), ("BLOCK_J", 64), ("BLOCK_M", 8)), 8)
    fitted = configuration.fitted({"BLOCK_I": 33, "BLOCK_J": 3, "BLOCK_M": 100})
    assert dict(fitted.blocks) == {"BLOCK_I": 64, "BLOCK_J": 16, "BLOCK_M": 8} and fitted.num_warps == 8


def test_every_kernel_of_the_folder_is_configured() -> None:
    names = {kernel.function.__name__ for kernel in KERNELS}
    assert len(names) == len(KERNELS) == 9
