# SPDX-License-Identifier: BSD-3-Clause
"""The Triton engine's arithmetic in plain torch, with operands of products rounded as a GPU's matrix units round them.

Triton's interpreter multiplies at full precision whatever it is asked for, so it proves the indices and not the
rounding; this proves the rounding. Sums are torch's own in float32: how a matrix unit rounds within its sums is
not published, so that is left to a device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dash_kernels.engines.triton import convolution, mixing, tables
from dash_kernels.engines.triton.convolution import Convolution
from dash_kernels.engines.triton.plan import Grid
from dash_kernels.engines.triton.transforms import Transform


def tf32(x: Tensor) -> Tensor:
    """Float32 rounded to 10 bits behind the point, ties away from zero, as ``cvt.rna.tf32`` does."""
    return ((x.view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


def bfloat16(x: Tensor) -> Tensor:
    return x.bfloat16().float()


def parts(x: Tensor, rounding: Callable[[Tensor], Tensor], count: int) -> list[Tensor]:
    """x as a sum of so many rounded parts, largest first."""
    found = []
    for _ in range(count):
        found.append(rounding(x))
        x = x - found[-1]
    return found


SPLITS: dict[str, tuple[Callable[[Tensor], Tensor], int, int]] = {
    "tf32": (tf32, 1, 1),
    "tf32x3": (tf32, 2, 3),
    "bfloat16": (bfloat16, 1, 1),
    "bf16x3": (bfloat16, 2, 3),
}
"""Rounding, parts per operand, and products of parts that are summed: those with the largest factors."""


def contraction(precision: str) -> Callable[[str, Tensor, Tensor], Tensor]:
    """``torch.einsum`` of two operands at that precision."""

    def contract(equation: str, a: Tensor, b: Tensor) -> Tensor:
        if precision == "ieee" or a.dtype == torch.float64:
            return torch.einsum(equation, a, b)
        rounding, count, products = SPLITS[precision]
        pairs = [(i, j) for i in range(count) for j in range(count)]
        chosen = sorted(pairs, key=sum)[:products]
        first, second = parts(a, rounding, count), parts(b, rounding, count)
        terms = [torch.einsum(equation, first[i], second[j]) for i, j in reversed(chosen)]  # the small ones first
        return torch.stack(terms).cumsum(0)[-1] if len(terms) > 1 else terms[0]

    return contract


class ModelTransform(Transform):
    """Transforms by einsum over the engine's own tables."""

    precision = "ieee"

    def _analyse_direct(self, values: Tensor, table: Tensor) -> Tensor:
        contract = contraction(self.precision)
        return torch.stack([contract("rp,pf->rf", values.to(table.dtype), part) for part in table])

    def _synthesise_direct(self, spectrum: Tensor, table: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
        contract = contraction(self.precision)
        counted = spectrum * tables.share(self.plan, True, self.where)
        values = sum(contract("rf,pf->rp", part, entries) for part, entries in zip(counted, table, strict=True))
        return _with_bias(values, bias, dtype)

    def _analyse_factored(self, values: Tensor, grid: Grid) -> Tensor:
        contract = contraction(self.precision)
        table = tables.factored(self.plan, grid, self.where)
        planes = _planes(values.to(self.where.dtype), table)
        real, imaginary = (contract("rjp,pk->rjk", planes, part) for part in table.right)
        if table.twiddle is not None:
            c, s = table.twiddle
            real, imaginary = real * c - imaginary * s, real * s + imaginary * c
        left = table.left

        def by(part: int, operand: Tensor) -> Tensor:
            return contract("kj,rjm->rkm", left[part], operand)

        return torch.stack([by(0, real) - by(1, imaginary), by(0, imaginary) + by(1, real)]).flatten(2)

    def _synthesise_factored(self, spectrum: Tensor, grid: Grid, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
        contract = contraction(self.precision)
        table = tables.factored(self.plan, grid, self.where)
        z = spectrum.unflatten(-1, self.plan.shape)

        def by(part: int, operand: Tensor) -> Tensor:
            return contract("kj,rkm->rjm", table.left[part], operand)

        real, imaginary = by(0, z[0]) + by(1, z[1]), by(0, z[1]) - by(1, z[0])
        if table.twiddle is not None:
            c, s = table.twiddle
            real, imaginary = real * c + imaginary * s, imaginary * c - real * s
        share = tables.share(self.plan, False, self.where)
        planes = contract("rjk,pk->rjp", real * share, table.right[0])
        planes = planes + contract("rjk,pk->rjp", imaginary * share, table.right[1])
        if table.twiddle is not None:
            planes = planes.transpose(1, 2)
        count = 1
        for axis in grid:
            count *= len(axis)
        return _with_bias(planes.flatten(1)[:, :count], bias, dtype)


def model(monkeypatch: pytest.MonkeyPatch, precision: str, conv: Convolution) -> Convolution:
    """``conv`` computed by the model."""

    def product(a: Tensor, b: Tensor, result: Tensor, *, conjugate: str = "", accumulate: bool = False) -> None:
        contract = contraction(precision)
        sign_a, sign_b = (-1 if conjugate == "a" else 1), (-1 if conjugate == "b" else 1)
        (ar, ai), (br, bi) = (a[0], sign_a * a[1]), (b[0], sign_b * b[1])

        def by(x: Tensor, y: Tensor) -> Tensor:
            return contract("gimf,gmjf->gijf", x, y)

        found = torch.stack([by(ar, br) - by(ai, bi), by(ar, bi) + by(ai, br)])
        result.copy_(result + found if accumulate else found)

    def scatter(taps: Tensor, place: Sequence[int], cells: int) -> Tensor:
        at = torch.tensor(place) + 1
        return taps.new_zeros((len(taps), cells + 1)).index_add_(1, at, taps)[:, 1:].contiguous()

    def gather(cells: Tensor, place: Sequence[int]) -> Tensor:
        return torch.nn.functional.pad(cells, (1, 0))[:, torch.tensor(place) + 1]

    monkeypatch.setattr(convolution, "_product", product)
    monkeypatch.setattr(mixing, "scatter", scatter)
    monkeypatch.setattr(mixing, "gather", gather)
    monkeypatch.setattr(ModelTransform, "precision", precision)
    return replace(conv, transform=ModelTransform(conv.transform.plan, conv.transform.where))


def _planes(values: Tensor, table: tables.Factored) -> Tensor:
    """(rows, j1, j2) of values (rows, count): a map row by row, a series residue by residue."""
    size1, size2 = table.left.shape[2], table.right.shape[1]
    padded = torch.nn.functional.pad(values, (0, size1 * size2 - values.shape[1]))
    return padded.view(-1, size1, size2) if table.twiddle is None else padded.view(-1, size2, size1).transpose(1, 2)


def _with_bias(values: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    values = values.to(dtype)
    return values if bias is None else values + bias.repeat(len(values) // len(bias))[:, None]
