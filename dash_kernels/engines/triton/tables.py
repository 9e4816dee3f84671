# SPDX-License-Identifier: BSD-3-Clause
"""The numbers that transforms multiply by, worked out in double from exact fractions of a turn, and kept per device.

A table is (2, ...): cosines, then sines, of e^(-2 pi i phase). Frequency (k1, k2) of a factored series of n1 * n2
points is k2 + n2 * k1, and its position p is p1 + n1 * j2 with p1 < n1.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .plan import Grid, Plan

# Tables on a GPU are small beside the maps they transform; a network has few kinds of layer.
KEPT = 128


@dataclass(frozen=True)
class Where:
    """Device and dtype of a table."""

    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True)
class Factored:
    """Tables of a factored transform: left (2, k1, j1), right (2, j2, k2), twiddle (2, j1, k2) or None for maps."""

    left: Tensor
    right: Tensor
    twiddle: Tensor | None


@functools.lru_cache(maxsize=KEPT)
def direct(plan: Plan, grid: Grid | None, where: Where) -> Tensor:
    """(2, positions, frequencies); of the taps if ``grid`` is None, with zeros for taps without a place."""
    numbers = _numbers(plan)
    if grid is not None:
        at = torch.cartesian_prod(*(_integers(axis) for axis in grid)).view(-1, len(grid))
        return _turns(_phase(at, numbers, plan.lengths), where)
    at = torch.tensor([tap or (0,) * len(plan.lengths) for tap in plan.taps], dtype=torch.int64, device="cpu")
    placed = torch.tensor([tap is not None for tap in plan.taps], device="cpu")
    return _turns(_phase(at, numbers, plan.lengths), where, placed[:, None])


@functools.lru_cache(maxsize=KEPT)
def factored(plan: Plan, grid: Grid, where: Where) -> Factored:
    """The tables for values at ``grid``, whose step, of a series, divides n1."""
    n1, n2 = plan.factors or plan.lengths
    k1, k2 = _integers(range(plan.shape[0])), _integers(range(plan.shape[1]))
    if len(grid) == 2:
        p1, p2 = map(_integers, grid)
        left, right = _fraction(k1[:, None] * p1, n1), _fraction(p2[:, None] * k2, n2)
        return Factored(_turns(left, where), _turns(right, where), None)
    residues, multiples = series_layout(plan, grid)
    p1, p2 = _integers(residues), _integers(multiples)
    left, right = _fraction(k1[:, None] * p1, n1), _fraction(p2[:, None] * k2, n1 * n2)
    return Factored(_turns(left, where), _turns(right, where), _turns(_fraction(p1[:, None] * k2, n1 * n2), where))


def series_layout(plan: Plan, grid: Grid) -> tuple[range, range]:
    """A factored series as a plane: position = one of the residues modulo n1, plus one of the multiples of n1."""
    assert plan.factors is not None and isinstance(grid[0], range)
    n1, step = plan.factors[0], grid[0].step
    return range(0, n1, step), range(0, max(grid[0].stop, 1), n1)


@functools.lru_cache(maxsize=KEPT)
def share(plan: Plan, each: bool, where: Where) -> Tensor:
    """What a frequency counts when values are put together: one over all, twice if it stands for its conjugate too.

    Args:
        plan: The plan.
        each: For every frequency, or else for those of the last axis only.
        where: Device and dtype.
    """
    last = (plan.factors or plan.lengths)[-1]
    counts = torch.full((plan.shape[-1],), 2.0, dtype=torch.float64, device="cpu")
    counts[0] = 1
    if last % 2 == 0:
        counts[-1] = 1
    counts /= math.prod(plan.lengths)
    if each:
        counts = counts.repeat(plan.frequencies // len(counts))
    return counts.to(where.device, where.dtype)


@functools.lru_cache(maxsize=KEPT)
def points(plan: Plan, device: torch.device) -> Tensor:
    """The numbers of the circles' points that hold a tap, where torch transforms the taps."""
    assert plan.cells is not None
    return _integers(plan.cells[0]).to(device)


@functools.lru_cache(maxsize=KEPT)
def integers(values: tuple[int, ...], device: torch.device) -> Tensor:
    """As int32 on the device."""
    return torch.tensor(values, dtype=torch.int32, device="cpu").to(device)


def _numbers(plan: Plan) -> Tensor:
    """The frequencies (F, axes) that are kept, in the order of spectra."""
    if plan.factors is not None and len(plan.lengths) == 1:
        k1, k2 = _integers(range(plan.shape[0])), _integers(range(plan.shape[1]))
        return (plan.factors[1] * k1[:, None] + k2).view(-1, 1)
    return torch.cartesian_prod(*(_integers(range(n)) for n in plan.shape)).view(-1, len(plan.shape))


def _phase(at: Tensor, numbers: Tensor, lengths: Sequence[int]) -> Tensor:
    """The turns (positions, frequencies) of positions (P, axes) at frequencies (F, axes)."""
    axes = [_fraction(at[:, a, None] * numbers[:, a], n) for a, n in enumerate(lengths)]
    return torch.stack(axes).sum(0)


def _fraction(product: Tensor, length: int) -> Tensor:
    return (product % length).double() / length


def _turns(phase: Tensor, where: Where, mask: Tensor | None = None) -> Tensor:
    angle = -2 * math.pi * phase
    table = torch.stack([angle.cos(), angle.sin()])
    return (table if mask is None else table * mask).to(where.device, where.dtype).contiguous()


def _integers(values: Sequence[int]) -> Tensor:
    return torch.tensor(list(values), dtype=torch.int64, device="cpu")
