# SPDX-License-Identifier: BSD-3-Clause
"""Products of spectra, frequency by frequency: result[g, i, j] = sum over m of a[g, i, m] * b[g, m, j].

Each operand is two planes, real and imaginary, at any strides; ``CONJUGATE`` names the one that is conjugated first.
Programs have one number, not one per axis: of the other axes a GPU counts no more than 65,535.
"""

import triton
import triton.language as tl

from .dot import dot


@triton.jit
def product_matrix(
    a,
    b,
    result,
    frequencies,
    size_i,
    size_j,
    size_m,
    a_plane,
    a_g,
    a_i,
    a_m,
    a_frequency,
    b_plane,
    b_g,
    b_m,
    b_j,
    b_frequency,
    result_plane,
    result_g,
    result_i,
    result_j,
    result_frequency,
    CONJUGATE: tl.constexpr,
    ACCUMULATE: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_FREQUENCIES: tl.constexpr,
    BLOCK_I: tl.constexpr,
    BLOCK_J: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """A complex matrix product per frequency, several frequencies side by side so that loads are contiguous."""
    dtype = result.dtype.element_ty
    blocks_k = tl.cdiv(frequencies, BLOCK_FREQUENCIES)
    blocks_i = tl.cdiv(size_i, BLOCK_I)
    blocks_j = tl.cdiv(size_j, BLOCK_J)
    block_k = tl.program_id(0) % blocks_k
    rest = tl.program_id(0) // blocks_k
    block_j = rest % blocks_j
    block_i = rest // blocks_j % blocks_i
    g = (rest // blocks_j // blocks_i).to(tl.int64)
    k = (block_k * BLOCK_FREQUENCIES + tl.arange(0, BLOCK_FREQUENCIES)).to(tl.int64)[:, None, None]
    i = (block_i * BLOCK_I + tl.arange(0, BLOCK_I)).to(tl.int64)[None, :, None]
    j = (block_j * BLOCK_J + tl.arange(0, BLOCK_J)).to(tl.int64)[None, None, :]
    real_real = tl.zeros((BLOCK_FREQUENCIES, BLOCK_I, BLOCK_J), dtype)
    imaginary_imaginary = tl.zeros((BLOCK_FREQUENCIES, BLOCK_I, BLOCK_J), dtype)
    real_imaginary = tl.zeros((BLOCK_FREQUENCIES, BLOCK_I, BLOCK_J), dtype)
    imaginary_real = tl.zeros((BLOCK_FREQUENCIES, BLOCK_I, BLOCK_J), dtype)
    for start in range(0, size_m, BLOCK_M):
        m = (start + tl.arange(0, BLOCK_M)).to(tl.int64)
        across, down = m[None, None, :], m[None, :, None]
        at = a + g * a_g + k * a_frequency + i * a_i + across * a_m
        inside = (k < frequencies) & (i < size_i) & (across < size_m)
        a_real = tl.load(at, inside, 0.0)
        a_imaginary = tl.load(at + a_plane, inside, 0.0)
        at = b + g * b_g + k * b_frequency + down * b_m + j * b_j
        inside = (k < frequencies) & (down < size_m) & (j < size_j)
        b_real = tl.load(at, inside, 0.0)
        b_imaginary = tl.load(at + b_plane, inside, 0.0)
        real_real = dot(a_real, b_real, real_real, PRECISION)
        imaginary_imaginary = dot(a_imaginary, b_imaginary, imaginary_imaginary, PRECISION)
        real_imaginary = dot(a_real, b_imaginary, real_imaginary, PRECISION)
        imaginary_real = dot(a_imaginary, b_real, imaginary_real, PRECISION)
    real, imaginary = _combine(real_real, imaginary_imaginary, real_imaginary, imaginary_real, CONJUGATE)
    at = result + g * result_g + k * result_frequency + i * result_i + j * result_j
    _put(at, result_plane, real, imaginary, (k < frequencies) & (i < size_i) & (j < size_j), ACCUMULATE)


@triton.jit
def product_pointwise(
    a,
    b,
    result,
    frequencies,
    size_i,
    size_j,
    size_m,
    a_plane,
    a_g,
    a_i,
    a_m,
    a_frequency,
    b_plane,
    b_g,
    b_m,
    b_j,
    b_frequency,
    result_plane,
    result_g,
    result_i,
    result_j,
    result_frequency,
    CONJUGATE: tl.constexpr,
    ACCUMULATE: tl.constexpr,
    BLOCK_FREQUENCIES: tl.constexpr,
):
    """The same where matrices are a pair of channels wide, as depthwise: a vector of frequencies per (g, i, j)."""
    dtype = result.dtype.element_ty
    blocks_k = tl.cdiv(frequencies, BLOCK_FREQUENCIES)
    k = (tl.program_id(0) % blocks_k * BLOCK_FREQUENCIES + tl.arange(0, BLOCK_FREQUENCIES)).to(tl.int64)
    row = (tl.program_id(0) // blocks_k).to(tl.int64)
    j = row % size_j
    i = row // size_j % size_i
    g = row // size_j // size_i
    inside = k < frequencies
    real_real = tl.zeros((BLOCK_FREQUENCIES,), dtype)
    imaginary_imaginary = tl.zeros((BLOCK_FREQUENCIES,), dtype)
    real_imaginary = tl.zeros((BLOCK_FREQUENCIES,), dtype)
    imaginary_real = tl.zeros((BLOCK_FREQUENCIES,), dtype)
    a_at = a + g * a_g + i * a_i + k * a_frequency
    b_at = b + g * b_g + j * b_j + k * b_frequency
    for _ in range(0, size_m):
        a_real = tl.load(a_at, inside, 0.0)
        a_imaginary = tl.load(a_at + a_plane, inside, 0.0)
        b_real = tl.load(b_at, inside, 0.0)
        b_imaginary = tl.load(b_at + b_plane, inside, 0.0)
        real_real += a_real * b_real
        imaginary_imaginary += a_imaginary * b_imaginary
        real_imaginary += a_real * b_imaginary
        imaginary_real += a_imaginary * b_real
        a_at += a_m
        b_at += b_m
    real, imaginary = _combine(real_real, imaginary_imaginary, real_imaginary, imaginary_real, CONJUGATE)
    at = result + g * result_g + i * result_i + j * result_j + k * result_frequency
    _put(at, result_plane, real, imaginary, inside, ACCUMULATE)


@triton.jit
def _combine(real_real, imaginary_imaginary, real_imaginary, imaginary_real, CONJUGATE: tl.constexpr):
    """The four sums of products of parts, as real and imaginary part."""
    if CONJUGATE == "a":
        real = real_real + imaginary_imaginary
        imaginary = real_imaginary - imaginary_real
    elif CONJUGATE == "b":
        real = real_real + imaginary_imaginary
        imaginary = imaginary_real - real_imaginary
    else:
        real = real_real - imaginary_imaginary
        imaginary = real_imaginary + imaginary_real
    return real, imaginary


@triton.jit
def _put(at, plane, real, imaginary, inside, ACCUMULATE: tl.constexpr):
    if ACCUMULATE:
        real += tl.load(at, inside, 0.0)
        imaginary += tl.load(at + plane, inside, 0.0)
    tl.store(at, real, inside)
    tl.store(at + plane, imaginary, inside)
