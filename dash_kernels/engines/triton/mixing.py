# SPDX-License-Identifier: BSD-3-Clause
"""The mixing family on Triton; its meaning is in :mod:`dash_kernels.reference`. Importing this imports Triton."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import torch
import triton
from torch import Tensor

from . import tables
from .configurations import MIX, MIX_GRADIENTS, SUM_CANDIDATES
from .launch import launch

Ints = Sequence[int]


def mix_taps(weight: Tensor, mixture: Tensor, index: Ints, counts: Ints, lattice_size: int) -> Tensor:
    """Taps (out, in, lattice_size) of weights (out, in, packed) and mixture (candidates,)."""
    taps = _mix(weight.flatten(0, 1), mixture, tuple(index), tuple(counts), lattice_size)
    return taps.view(*weight.shape[:2], lattice_size)


def gather_taps(grad: Tensor, mixture: Tensor, index: Ints, counts: Ints) -> Tensor:
    """The gradient (out, in, packed) in the weights."""
    found = _gradients(grad.flatten(0, 1), None, mixture, tuple(index), tuple(counts))[0]
    return found.view(*grad.shape[:2], len(index))


def mixture_grad(grad: Tensor, weight: Tensor, index: Ints, counts: Ints) -> Tensor:
    """The gradient (candidates,) in the mixture."""
    partial = _gradients(grad.flatten(0, 1), weight.flatten(0, 1), None, tuple(index), tuple(counts))[1]
    return _sum_candidates(partial, tuple(counts), grad.dtype)


def mix_grads(grad: Tensor, weight: Tensor, mixture: Tensor, index: Ints, counts: Ints) -> tuple[Tensor, Tensor]:
    """Both, in one pass over the weights."""
    of_weight, partial = _gradients(grad.flatten(0, 1), weight.flatten(0, 1), mixture, tuple(index), tuple(counts))
    return of_weight.view(*grad.shape[:2], len(index)), _sum_candidates(partial, tuple(counts), grad.dtype)


def scatter(taps: Tensor, place: tuple[int, ...], cells: int) -> Tensor:
    """(rows, cells) of taps (rows, T): each in its place, -1 for none, adding up where places are equal."""
    return _mix(taps, taps.new_ones(1), place, (len(place),), cells)


def gather(cells: Tensor, place: tuple[int, ...]) -> Tensor:
    """(rows, T) of cells (rows, cells), the adjoint of :func:`scatter`."""
    return _gradients(cells, None, cells.new_ones(1), place, (len(place),))[0]


def _mix(weight: Tensor, mixture: Tensor, index: tuple[int, ...], counts: tuple[int, ...], lattice_size: int) -> Tensor:
    weight, mixture = weight.contiguous(), mixture.contiguous()
    rows, packed = weight.shape
    members = _members(index, lattice_size, weight.device)
    taps = weight.new_empty((rows, lattice_size))
    if taps.numel() == 0:
        return taps
    launch(
        MIX,
        {"BLOCK_ROWS": rows, "BLOCK_TAPS": lattice_size},
        lambda b: (triton.cdiv(rows, b["BLOCK_ROWS"]), triton.cdiv(lattice_size, b["BLOCK_TAPS"])),
        weight=weight,
        mixture=mixture,
        members=members,
        candidate=_candidate(counts, weight.device),
        taps=taps,
        rows=rows,
        packed=packed,
        lattice=lattice_size,
        width=members.shape[1],
    )
    return taps


def _gradients(
    grad: Tensor, weight: Tensor | None, mixture: Tensor | None, index: tuple[int, ...], counts: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """In the weights (rows, packed), and partial sums (blocks, packed) in the mixture; empty without its operand."""
    grad = grad.contiguous()
    rows, lattice = grad.shape
    packed = len(index)
    block = dict(MIX_GRADIENTS.default.fitted({"BLOCK_ROWS": rows}).blocks)["BLOCK_ROWS"]
    blocks = triton.cdiv(rows, block)
    of_weight = grad.new_empty((rows if mixture is not None else 0, packed))
    partial = grad.new_empty((blocks if weight is not None else 0, packed), dtype=torch.float64)
    if rows * packed:
        launch(
            MIX_GRADIENTS,
            {"BLOCK_ROWS": rows, "BLOCK_WEIGHTS": packed},
            lambda b: (blocks, triton.cdiv(packed, b["BLOCK_WEIGHTS"])),
            grad=grad,
            weight=grad if weight is None else weight.contiguous(),
            mixture=grad if mixture is None else mixture.contiguous(),
            index=tables.integers(index, grad.device),
            candidate=_candidate(counts, grad.device),
            grad_weight=of_weight,
            partial=partial,
            rows=rows,
            packed=packed,
            lattice=lattice,
            OF_WEIGHT=mixture is not None,
            OF_MIXTURE=weight is not None,
        )
    return of_weight, partial


def _sum_candidates(partial: Tensor, counts: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    blocks, packed = partial.shape
    result = partial.new_zeros(len(counts), dtype=dtype)
    if partial.numel():
        bounds = tuple(itertools.accumulate(counts, initial=0))
        launch(
            SUM_CANDIDATES,
            {"BLOCK": blocks * max(counts)},
            lambda b: (len(counts),),
            partial=partial,
            bounds=tables.integers(bounds, partial.device),
            grad_mixture=result,
            blocks=blocks,
            packed=packed,
        )
    return result


@functools.lru_cache(maxsize=tables.KEPT)
def _members(index: tuple[int, ...], lattice_size: int, device: torch.device) -> Tensor:
    """(lattice, width): for each tap of the lattice the packed weights that belong to it, -1 behind the last."""
    members: list[list[int]] = [[] for _ in range(lattice_size)]
    for weight, tap in enumerate(index):
        if tap >= 0:
            members[tap].append(weight)
    width = max(map(len, members), default=0)
    rows = [row + [-1] * (width - len(row)) for row in members]
    return torch.tensor(rows, dtype=torch.int32, device="cpu").view(lattice_size, width).to(device)


@functools.lru_cache(maxsize=tables.KEPT)
def _candidate(counts: tuple[int, ...], device: torch.device) -> Tensor:
    """Whose weight each packed weight is."""
    return tables.integers(tuple(itertools.chain.from_iterable([i] * n for i, n in enumerate(counts))), device)
