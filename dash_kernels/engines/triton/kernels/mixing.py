# SPDX-License-Identifier: BSD-3-Clause
"""The mixing family: sums over candidates, and both gradients in one pass over the weights. No atomics anywhere."""

import triton
import triton.language as tl


@triton.jit
def mix(
    weight,
    mixture,
    members,
    candidate,
    taps,
    rows,
    packed,
    lattice,
    width,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_TAPS: tl.constexpr,
):
    """taps (rows, lattice) from weight (rows, packed): each tap gathers its members, so that one program owns it.

    ``members`` (lattice, width) holds the packed weights of each tap in ascending order, -1 behind the last;
    ``candidate`` (packed,) whose weight each is.
    """
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)[:, None]
    tap = tl.program_id(1) * BLOCK_TAPS + tl.arange(0, BLOCK_TAPS)[None, :]
    inside = (row < rows) & (tap < lattice)
    total = tl.zeros((BLOCK_ROWS, BLOCK_TAPS), weight.dtype.element_ty)
    for turn in range(0, width):
        member = tl.load(members + tap * width + turn, tap < lattice, -1)
        there = member >= 0
        share = tl.load(mixture + tl.load(candidate + member, there, 0), there, 0.0)
        total += tl.load(weight + row * packed + member, inside & there, 0.0) * share
    tl.store(taps + row * lattice + tap, total, inside)


@triton.jit
def mix_gradients(
    grad,
    weight,
    mixture,
    index,
    candidate,
    grad_weight,
    partial,
    rows,
    packed,
    lattice,
    OF_WEIGHT: tl.constexpr,
    OF_MIXTURE: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_WEIGHTS: tl.constexpr,
):
    """grad_weight (rows, packed), and partial (row blocks, packed): what each weight gives to its candidate's share."""
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)[:, None]
    p = tl.program_id(1) * BLOCK_WEIGHTS + tl.arange(0, BLOCK_WEIGHTS)
    column = p[None, :]
    inside = (row < rows) & (column < packed)
    tap = tl.load(index + column, column < packed, -1)
    upstream = tl.load(grad + row * lattice + tap, inside & (tap >= 0), 0.0)
    if OF_WEIGHT:
        share = tl.load(mixture + tl.load(candidate + column, column < packed, 0), column < packed, 0.0)
        tl.store(grad_weight + row * packed + column, upstream * share, inside)
    if OF_MIXTURE:
        value = upstream * tl.load(weight + row * packed + column, inside, 0.0)
        sums = tl.sum(value.to(tl.float64), 0)
        tl.store(partial + tl.program_id(0).to(tl.int64) * packed + p, sums, p < packed)


@triton.jit
def sum_candidates(partial, bounds, grad_mixture, blocks, packed, BLOCK: tl.constexpr):
    """grad_mixture (candidates,): the sum of a candidate's columns of partial (blocks, packed), in a fixed order.

    ``bounds`` (candidates + 1,) says where each candidate's columns begin.
    """
    candidate = tl.program_id(0)
    first = tl.load(bounds + candidate)
    wide = tl.load(bounds + candidate + 1) - first
    total = tl.zeros((BLOCK,), tl.float64)
    for start in range(0, blocks * wide, BLOCK):
        entry = start + tl.arange(0, BLOCK)
        at = (entry // wide).to(tl.int64) * packed + first + entry % wide
        total += tl.load(partial + at, entry < blocks * wide, 0.0)
    tl.store(grad_mixture + candidate, tl.sum(total, 0).to(grad_mixture.dtype.element_ty))
