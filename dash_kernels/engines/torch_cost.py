# SPDX-License-Identifier: BSD-3-Clause
"""How long torch's own convolution is expected to take, as :mod:`dash_kernels.engines.cost` does it for the engines.

On the CPU torch hands single precision to oneDNN, which has three ways to compute a convolution and cliffs of up to
twenty times between them. Which one takes which shape was read off ONEDNN_VERBOSE=profile_exec for 6,500 drawn calls
under AVX-512 (oneDNN 3.12, torch 2.13); the rules in :func:`_way` name the right one for 95 of 100. Double precision is
computed by torch itself, as products of matrices.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ..taps import outputs_reached
from .cost import VECTOR_BYTES, fresh_pages, vectors_of
from .problem import Problem

FEW = 16
"""With fewer input channels than so many oneDNN reads the image as it is, not in blocks of channels."""

TORCH: Mapping[str, float] = {
    "call": 30_900,  # dispatcher, descriptors, looking for the compiled primitive
    "page": 2000,  # of a large array, touched for the first time
    "pixel": 6.47,  # a vector of pixels: into blocks of channels, or out of them
    "weight": 59.8,  # a vector of weights: into blocks
    "forward": 0.251,  # multiply-add of a vector, in blocks
    "input_grad": 0.271,
    "weight_grad": 0.32,
    "depthwise forward": 0.451,  # multiply-add of a vector that holds channels
    "depthwise input_grad": 0.688,
    "depthwise weight_grad": 0.813,
    "depthwise pixel": 6.49,  # beginning the taps of one vector of results
    "map": 218,  # beginning a product of matrices, for one image and group
    "column forward": 0.429,  # a number copied into the matrix of what the taps read
    "column input_grad": 0.506,  # a number added from it
    "column weight_grad": 0.653,
    "matrix": 0.248,  # multiply-add of a vector, in matrices
}
"""Nanoseconds of everything that :func:`torch_work` counts."""

PASSES = {"tap_conv": "forward", "tap_conv_input_grad": "input_grad", "tap_conv_weight_grad": "weight_grad"}


@dataclass(frozen=True)
class Kernel:
    """One regular kernel, which is what torch computes; a value per axis.

    Attributes:
        size: Taps.
        dilation: Pixels between neighbouring taps, 1 where there is one tap.
        before: Pixels from the first tap to the output position, which is the padding.
    """

    size: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]


@functools.lru_cache(maxsize=1024)
def kernel(offsets: tuple[int, ...], ndim: int) -> Kernel | None:
    """The kernel whose taps have these offsets, flat and row-major, or None where no regular kernel has."""
    axes = [sorted(set(offsets[axis::ndim])) for axis in range(ndim)]
    steps = [axis[1] - axis[0] if len(axis) > 1 else 1 for axis in axes]
    grid = [range(axis[0], axis[-1] + 1, step) for axis, step in zip(axes, steps, strict=True)]
    if any(list(line) != axis for line, axis in zip(grid, axes, strict=True)):
        return None
    if math.prod(map(len, axes)) * ndim != len(offsets):
        return None
    return Kernel(tuple(map(len, axes)), tuple(steps), tuple(-axis[0] for axis in axes))


def torch_work(problem: Problem) -> dict[str, float]:
    """How often torch does each thing in :data:`TORCH`, all tensors being contiguous.

    Args:
        problem: With the taps of a regular kernel, and without wrapping around.
    """
    shape = kernel(problem.offsets, problem.ndim)
    assert shape is not None and not problem.circular
    name, taps = PASSES[problem.operator], math.prod(shape.size)
    lanes = VECTOR_BYTES // problem.dtype.itemsize
    inside, outside = problem.in_channels // problem.groups, problem.out_channels // problem.groups
    source, result = math.prod(problem.input_size), math.prod(problem.out_size)
    maps = problem.batch * problem.groups
    work = dict.fromkeys(TORCH, 0.0) | {"call": 1}
    size = problem.dtype.itemsize
    pages = 0 if name == "weight_grad" else fresh_pages(problem.results * size)
    way = _way(problem, shape)
    if way == "matrices":
        columns = maps * inside * taps * result
        return work | {
            "map": maps,
            f"column {name}": columns,
            "matrix": columns * outside / lanes,
            "pixel": maps * (inside * source + outside * result) / lanes,
            "page": pages,
        }
    reached = math.prod(
        sum(len(outputs_reached(d * tap - before, n, m, step)) for tap in range(k))
        for k, d, before, n, m, step in zip(
            shape.size, shape.dilation, shape.before, problem.input_size, problem.out_size, problem.stride, strict=True
        )
    )
    if way == "depthwise":
        stacks = problem.batch * vectors_of(problem.groups, lanes)
        blocked = VECTOR_BYTES * stacks
        return work | {
            f"depthwise {name}": stacks * reached,
            "depthwise pixel": stacks * result,
            "pixel": stacks * (source + result),
            "page": pages + fresh_pages(blocked * source) + fresh_pages(blocked * result),
        }
    few = inside < FEW and name != "input_grad"
    read, written = inside if few else lanes * vectors_of(inside, lanes), vectors_of(outside, lanes)
    copied = 0 if few else maps * read * source * size
    return work | {
        name: maps * read * written * reached,
        "weight": problem.groups * read * written * taps,
        "pixel": maps * (vectors_of(inside, lanes) * source + written * result),
        "page": pages + fresh_pages(copied) + fresh_pages(maps * written * result * VECTOR_BYTES),
    }


def _way(problem: Problem, shape: Kernel) -> str:
    """How torch computes this: with "blocks" of channels, "depthwise", or as products of "matrices"."""
    taps, dilation, before = shape.size[-1], max(shape.dilation), shape.before[-1]
    steps, across, rows = max(problem.stride), problem.out_size[-1], problem.input_size[max(0, problem.ndim - 2)]
    name = PASSES[problem.operator]
    if problem.dtype != torch.float32:
        return "matrices"
    if problem.groups == problem.in_channels == problem.out_channels > 1:
        fits = {
            "forward": before <= 6 and (problem.ndim <= 2 or dilation == 1),
            "input_grad": problem.ndim <= 2 and dilation == 1,
            "weight_grad": problem.ndim <= 2 and dilation == 1 and taps <= 3,
        }
        return "depthwise" if fits[name] else "matrices"
    if problem.groups > 1 and (problem.in_channels // problem.groups % 8 or problem.out_channels // problem.groups % 8):
        return "matrices"
    if name == "forward":
        # the taps on either side of a row must fit into the registers of the first and the last results
        fits_registers = before <= min(28, across) and (dilation <= 11 or problem.out_channels <= FEW)
        blocks = fits_registers and (taps <= 13 or problem.in_channels < FEW or across <= 14)
    elif name == "input_grad":
        near = before <= 20 or (before <= 28 and across > 21 and taps <= 13)
        blocks = (steps == 1 or dilation == 1) and before <= problem.input_size[-1] and near
        blocks = blocks and (taps <= 13 or dilation == 1)
    else:
        near = before <= 17 and rows > 20 or before <= 28 and dilation <= 11 and rows > 70
        blocks = (dilation == 1 or (steps == 1 and problem.ndim <= 2)) and (before <= 6 or (taps <= 10 and near))
    return "blocks" if blocks else "matrices"
