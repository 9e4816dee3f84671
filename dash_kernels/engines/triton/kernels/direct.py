# SPDX-License-Identifier: BSD-3-Clause
"""Transforms of a few positions: one product with a table of every position and frequency.

Spectra are two planes, real parts and imaginary parts, of (rows, frequencies). ``table`` holds two planes of
(positions, frequencies), e^(-2 pi i k p / n). ``plane`` is the distance between a spectrum's two planes.
"""

import triton
import triton.language as tl

from .dot import dot


@triton.jit
def analyse_direct(
    source,
    table,
    spectrum,
    plane,
    rows,
    positions,
    frequencies,
    PRECISION: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_FREQUENCIES: tl.constexpr,
    BLOCK_POSITIONS: tl.constexpr,
):
    """spectrum (2, rows, frequencies) of source (rows, positions): its values at the positions, zero elsewhere."""
    dtype = table.dtype.element_ty
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)[:, None]
    k = tl.program_id(1) * BLOCK_FREQUENCIES + tl.arange(0, BLOCK_FREQUENCIES)[None, :]
    imaginary = positions * frequencies
    real_sum = tl.zeros((BLOCK_ROWS, BLOCK_FREQUENCIES), dtype)
    imaginary_sum = tl.zeros((BLOCK_ROWS, BLOCK_FREQUENCIES), dtype)
    for start in range(0, positions, BLOCK_POSITIONS):
        p = start + tl.arange(0, BLOCK_POSITIONS)
        column, line = p[None, :], p[:, None]
        value = tl.load(source + row * positions + column, (row < rows) & (column < positions), 0.0).to(dtype)
        inside = (line < positions) & (k < frequencies)
        entry = table + line * frequencies + k
        real_sum = dot(value, tl.load(entry, inside, 0.0), real_sum, PRECISION)
        imaginary_sum = dot(value, tl.load(entry + imaginary, inside, 0.0), imaginary_sum, PRECISION)
    at = spectrum + row * frequencies + k
    inside = (row < rows) & (k < frequencies)
    tl.store(at, real_sum, inside)
    tl.store(at + plane, imaginary_sum, inside)


@triton.jit
def synthesise_direct(
    spectrum,
    plane,
    table,
    share,
    bias,
    result,
    rows,
    positions,
    frequencies,
    channels,
    HAS_BIAS: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_FREQUENCIES: tl.constexpr,
    BLOCK_POSITIONS: tl.constexpr,
):
    """result (rows, positions) of spectrum (2, rows, frequencies), plus bias (channels,) of row modulo channels.

    ``share`` (frequencies,) is what each frequency counts: one that stands for its conjugate too counts double.
    """
    dtype = table.dtype.element_ty
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)[:, None]
    p = tl.program_id(1) * BLOCK_POSITIONS + tl.arange(0, BLOCK_POSITIONS)[None, :]
    total = tl.zeros((BLOCK_ROWS, BLOCK_POSITIONS), dtype)
    for start in range(0, frequencies, BLOCK_FREQUENCIES):
        k = start + tl.arange(0, BLOCK_FREQUENCIES)
        column, line = k[None, :], k[:, None]
        weight = tl.load(share + column, column < frequencies, 0.0)
        at = spectrum + row * frequencies + column
        inside = (row < rows) & (column < frequencies)
        real = tl.load(at, inside, 0.0) * weight
        imaginary = tl.load(at + plane, inside, 0.0) * weight
        entry = table + p * frequencies + line
        inside = (p < positions) & (line < frequencies)
        total = dot(real, tl.load(entry, inside, 0.0), total, PRECISION)
        total = dot(imaginary, tl.load(entry + positions * frequencies, inside, 0.0), total, PRECISION)
    if HAS_BIAS:
        total += tl.load(bias + row % channels, row < rows, 0.0).to(dtype)
    tl.store(result + row * positions + p, total, (row < rows) & (p < positions))
