# SPDX-License-Identifier: BSD-3-Clause
"""Transforms of planes as products with two small tables, one per axis of the plane, a plane per row of programs.

A plane is a map, transformed along both axes; or a long series laid out as (residues modulo n1, multiples of n1),
which makes the two products the two stages of Cooley and Tukey's algorithm (Math. Comp. 19, 1965) with twiddle
factors between them. Spectra are two planes, real and imaginary, of (rows, k1, k2). Tables hold two planes each:
``left`` of (k1, j1), ``right`` of (j2, k2), ``twiddle`` of (j1, k2), e^(-2 pi i phase). Element (j1, j2) of a row lies
at j1 * step1 + j2 * step2 and is zero, or not stored, beyond ``count``. ``plane`` is the distance between a spectrum's
two planes.
"""

import triton
import triton.language as tl

from .dot import dot


@triton.jit
def analyse_factored(
    source,
    left,
    right,
    twiddle,
    spectrum,
    plane,
    count,
    step1,
    step2,
    size1,
    size2,
    frequencies1,
    frequencies2,
    HAS_TWIDDLE: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_K1: tl.constexpr,
    BLOCK_K2: tl.constexpr,
    BLOCK_J1: tl.constexpr,
    BLOCK_J2: tl.constexpr,
):
    """spectrum (2, rows, frequencies1, frequencies2) of source (rows, count)."""
    dtype = left.dtype.element_ty
    row = tl.program_id(0).to(tl.int64)
    k1 = tl.program_id(1) * BLOCK_K1 + tl.arange(0, BLOCK_K1)[:, None]
    k2 = tl.program_id(2) * BLOCK_K2 + tl.arange(0, BLOCK_K2)[None, :]
    real_real = tl.zeros((BLOCK_K1, BLOCK_K2), dtype)
    imaginary_imaginary = tl.zeros((BLOCK_K1, BLOCK_K2), dtype)
    mixed = tl.zeros((BLOCK_K1, BLOCK_K2), dtype)
    for start1 in range(0, size1, BLOCK_J1):
        j1 = start1 + tl.arange(0, BLOCK_J1)[:, None]
        real = tl.zeros((BLOCK_J1, BLOCK_K2), dtype)
        imaginary = tl.zeros((BLOCK_J1, BLOCK_K2), dtype)
        for start2 in range(0, size2, BLOCK_J2):
            j2 = start2 + tl.arange(0, BLOCK_J2)
            at = j1 * step1 + j2[None, :] * step2
            inside = (j1 < size1) & (j2[None, :] < size2) & (at < count)
            value = tl.load(source + row * count + at, inside, 0.0).to(dtype)
            entry = right + j2[:, None] * frequencies2 + k2
            inside = (j2[:, None] < size2) & (k2 < frequencies2)
            real = dot(value, tl.load(entry, inside, 0.0), real, PRECISION)
            imaginary = dot(value, tl.load(entry + size2 * frequencies2, inside, 0.0), imaginary, PRECISION)
        if HAS_TWIDDLE:
            entry = twiddle + j1 * frequencies2 + k2
            inside = (j1 < size1) & (k2 < frequencies2)
            turn_real = tl.load(entry, inside, 0.0)
            turn_imaginary = tl.load(entry + size1 * frequencies2, inside, 0.0)
            turned = real * turn_real - imaginary * turn_imaginary
            imaginary = real * turn_imaginary + imaginary * turn_real
            real = turned
        column = start1 + tl.arange(0, BLOCK_J1)[None, :]
        entry = left + k1 * size1 + column
        inside = (k1 < frequencies1) & (column < size1)
        left_real = tl.load(entry, inside, 0.0)
        left_imaginary = tl.load(entry + frequencies1 * size1, inside, 0.0)
        real_real = dot(left_real, real, real_real, PRECISION)
        imaginary_imaginary = dot(left_imaginary, imaginary, imaginary_imaginary, PRECISION)
        mixed = dot(left_real, imaginary, mixed, PRECISION)
        mixed = dot(left_imaginary, real, mixed, PRECISION)
    frequencies = frequencies1 * frequencies2
    at = spectrum + row * frequencies + k1 * frequencies2 + k2
    inside = (k1 < frequencies1) & (k2 < frequencies2)
    tl.store(at, real_real - imaginary_imaginary, inside)
    tl.store(at + plane, mixed, inside)


@triton.jit
def synthesise_factored(
    spectrum,
    plane,
    left,
    right,
    twiddle,
    share,
    bias,
    result,
    count,
    step1,
    step2,
    size1,
    size2,
    frequencies1,
    frequencies2,
    channels,
    HAS_TWIDDLE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_J1: tl.constexpr,
    BLOCK_J2: tl.constexpr,
    BLOCK_K1: tl.constexpr,
    BLOCK_K2: tl.constexpr,
):
    """result (rows, count) of spectrum (2, rows, frequencies1, frequencies2), plus bias (channels,) of row modulo it.

    ``share`` (frequencies2,) is what the frequencies of a column count; see ``synthesise_direct``.
    """
    dtype = left.dtype.element_ty
    row = tl.program_id(0).to(tl.int64)
    j1 = tl.program_id(1) * BLOCK_J1 + tl.arange(0, BLOCK_J1)[:, None]
    j2 = tl.program_id(2) * BLOCK_J2 + tl.arange(0, BLOCK_J2)[None, :]
    frequencies = frequencies1 * frequencies2
    total = tl.zeros((BLOCK_J1, BLOCK_J2), dtype)
    for start2 in range(0, frequencies2, BLOCK_K2):
        k2 = start2 + tl.arange(0, BLOCK_K2)
        column, line = k2[None, :], k2[:, None]
        real = tl.zeros((BLOCK_J1, BLOCK_K2), dtype)
        real_imaginary = tl.zeros((BLOCK_J1, BLOCK_K2), dtype)
        imaginary_real = tl.zeros((BLOCK_J1, BLOCK_K2), dtype)
        for start1 in range(0, frequencies1, BLOCK_K1):
            k1 = start1 + tl.arange(0, BLOCK_K1)
            at = spectrum + row * frequencies + k1[:, None] * frequencies2 + column
            inside = (k1[:, None] < frequencies1) & (column < frequencies2)
            value_real = tl.load(at, inside, 0.0)
            value_imaginary = tl.load(at + plane, inside, 0.0)
            entry = left + k1[None, :] * size1 + j1
            inside = (k1[None, :] < frequencies1) & (j1 < size1)
            left_real = tl.load(entry, inside, 0.0)
            left_imaginary = tl.load(entry + frequencies1 * size1, inside, 0.0)
            real = dot(left_real, value_real, real, PRECISION)
            real = dot(left_imaginary, value_imaginary, real, PRECISION)
            real_imaginary = dot(left_real, value_imaginary, real_imaginary, PRECISION)
            imaginary_real = dot(left_imaginary, value_real, imaginary_real, PRECISION)
        imaginary = real_imaginary - imaginary_real
        if HAS_TWIDDLE:
            entry = twiddle + j1 * frequencies2 + column
            inside = (j1 < size1) & (column < frequencies2)
            turn_real = tl.load(entry, inside, 0.0)
            turn_imaginary = tl.load(entry + size1 * frequencies2, inside, 0.0)
            turned = real * turn_real + imaginary * turn_imaginary
            imaginary = imaginary * turn_real - real * turn_imaginary
            real = turned
        weight = tl.load(share + column, column < frequencies2, 0.0)
        entry = right + j2 * frequencies2 + line
        inside = (j2 < size2) & (line < frequencies2)
        total = dot(real * weight, tl.load(entry, inside, 0.0), total, PRECISION)
        total = dot(imaginary * weight, tl.load(entry + size2 * frequencies2, inside, 0.0), total, PRECISION)
    if HAS_BIAS:
        total += tl.load(bias + row % channels).to(dtype)
    at = j1 * step1 + j2 * step2
    tl.store(result + row * count + at, total, (j1 < size1) & (j2 < size2) & (at < count))
