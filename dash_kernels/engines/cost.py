# SPDX-License-Identifier: BSD-3-Clause
"""How long an engine is expected to take: counts of what it does, and what one of each takes. Numbers only, no torch.

The times are those of one thread of an AMD EPYC with AVX-512, of calls whose tensors are not in the caches;
``python -m bench.engine_times`` measured them and fits them. The choice between engines needs their ratio alone, which
neither threads nor the processor's speed change much.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..taps import outputs_reached
from .problem import Problem

VECTOR_BYTES = 64
"""Of AVX-512."""

BLOCK = 16
"""Outputs of a row that the direct engine computes at once."""

SHARED = 8
"""Products of the engine "fourier" that share a vector."""

CORRELATED = 4, 2
"""Vectors of outputs and of inputs of which that engine computes all products at once where lanes are samples."""

SECOND_LEVEL = 2**20
"""Bytes of the second-level cache of a core of that processor."""

PAGE, KEPT = 4096, 2**25
"""Bytes of a page, and from how many bytes on glibc gives an array back to the system when it is freed."""

TRANSFORM = 12
"""What moving a vector through a transform counts beside one product, where the engine "fourier" chooses its lanes."""

LANE_SUM = 6
"""What summing two vectors' lanes counts a lane beside one multiply-add, where that engine chooses lanes."""

SUMMED_PRODUCT = 3
"""What a product of a depthwise layer's weight gradient counts beside one that goes on: it is added in memory."""

SHORT = 256
"""Elements of maps up to which a prefetcher has no time to find their stride: the first lines are most of them."""

OCTET_PAIRS = 20
"""Of more pairs of opposite taps of a series the engine "fourier" sums those for eight frequencies at once."""

DIRECT: Mapping[str, float] = {
    "call": 16_200,  # workspace, threads, from Python to C++ and back
    "page": 350,  # of a large result, touched for the first time
    "tap": 57.5,  # finding it in the plan, which is kept
    "product": 0.294,  # multiply-add of a vector: one a cycle
    "fetch": 0.41,  # a vector of source pixels that is not in the first-level cache
    "far": 0.234,  # what it takes longer where it is not in the second-level cache either
    "block": 2.78,  # beginning the taps of one row for BLOCK outputs
    "map": 390,  # a vector of maps of neighbouring units, into lanes or out of them; of samples' no difference was seen
    "pixel": 4.91,  # a vector of pixels: into lanes, or out of them
}
"""Nanoseconds of everything that :func:`direct_work` counts."""

FOURIER: Mapping[str, float] = {
    "call": 29_600,  # as above, and the plan
    "page": 282,
    "tap": 66.8,
    "transform": 0.908,  # a vector of points times log2 of their number: half of its butterfly
    "product": 0.939,  # a complex product of vectors: three multiply-adds
    "operand": 2.03,  # fetching a complex vector for SHARED of them
    "tap sum": 0.473,  # one row frequency of one tap of a vector of weights
    "spectrum": 0.78,  # a point of the weights' columns, as "transform"
    "series": 16.3,  # a vector of points of a series' spectrum, which leaves the cache between rows and products
    "cast": 0.143,  # a number from single to double precision or back
    "map": 268,  # a vector of short maps that is read for a depthwise layer
    "pixel": 5.33,  # as above
}
"""Nanoseconds of everything that :func:`fourier_work` counts."""


def seconds(work: Mapping[str, float], times: Mapping[str, float]) -> float:
    """The time of ``work`` if each thing takes as many nanoseconds as ``times`` says."""
    return 1e-9 * sum(count * times[thing] for thing, count in work.items())


def vectors_of(count: int, lanes: int) -> int:
    """``count`` divided by ``lanes``, rounded up."""
    return -(-count // lanes)


def fresh_pages(size: float) -> float:
    """Pages of an array of ``size`` bytes that the system hands out anew at every call: of the largest ones, all."""
    return size / PAGE if size >= KEPT else 0


def direct_work(problem: Problem) -> dict[str, float]:
    """How often the engine "direct" does each thing in :data:`DIRECT`."""
    lanes = VECTOR_BYTES // problem.dtype.itemsize
    depth, width = problem.in_channels // problem.groups, problem.out_channels // problem.groups
    source, result = math.prod(problem.input_size), math.prod(problem.out_size)
    if problem.operator == "tap_conv_input_grad":
        depth, width, source, result = width, depth, result, source
    chosen = _direct_lanes(problem.batch, problem.groups, depth, width, lanes)
    met = _meetings(problem.offsets, problem.input_size, problem.out_size, problem.stride, problem.circular)
    fetches = chosen.sources * chosen.walks * met.fetches
    return {
        "call": 1,
        "page": fresh_pages(problem.results * problem.dtype.itemsize),
        "tap": problem.num_taps,
        "product": chosen.vectors * depth * met.products,
        "fetch": fetches,
        "far": fetches if chosen.walked * problem.dtype.itemsize * source > SECOND_LEVEL else 0,
        "block": chosen.vectors * depth * met.blocks,
        "map": chosen.maps,
        "pixel": chosen.sources * source + chosen.vectors * result,
    }


@dataclass(frozen=True)
class _Lanes:
    """What the engine "direct" does where lanes hold results, neighbouring units or samples: csrc/core/direct_maps.h.

    Attributes:
        vectors: Of results, for one pixel of all maps.
        sources: Of source, for one pixel of all maps.
        walks: How often it walks over the source.
        walked: Numbers of what it walks over at a time, for one pixel.
        maps: Vectors of maps that are gathered from neighbouring units and scattered to them.
    """

    vectors: int
    sources: float
    walks: int
    walked: int
    maps: int = 0


def _direct_lanes(batch: int, groups: int, depth: int, width: int, lanes: int) -> _Lanes:
    units, wide, each = batch * groups, vectors_of(width, lanes), lanes * depth
    items, full = vectors_of(units, lanes), vectors_of(batch, lanes) * groups
    results = _Lanes(vectors=units * wide, sources=units * depth / lanes, walks=_walks(wide), walked=depth)
    neighbours = _Lanes(items * width, items * depth, walks=width, walked=each, maps=items * (depth + width))
    samples = _Lanes(vectors=full * width, sources=full * depth, walks=_walks(width), walked=each)
    forms = (results, neighbours, samples) if groups > 1 else (results, samples)
    return min(forms, key=lambda form: form.vectors)


def _walks(vectors: int) -> int:
    """Over the source, for so many vectors of results of an item: in_pairs in csrc/core/direct.h."""
    return vectors_of(vectors, 2) if vectors % 2 == 0 or vectors > 4 else vectors


def fourier_work(problem: Problem, lengths: Sequence[int], in_double: bool) -> dict[str, float]:
    """How often the engine "fourier" does each thing in :data:`FOURIER`.

    Args:
        problem: As the plan has it: with its sizes, strides and offsets.
        lengths: Of the transforms, per axis.
        in_double: Whether single precision is converted.
    """
    lanes = VECTOR_BYTES // (8 if in_double else problem.dtype.itemsize)
    rows, columns = math.prod(lengths[:-1]), lengths[-1]
    frequencies = rows * columns / 2
    batch, groups = problem.batch, problem.groups
    depth, width = problem.in_channels // groups, problem.out_channels // groups
    folded = [n // step for n, step in zip(lengths, problem.stride, strict=True)]
    source, result = _points(lengths, problem.input_size), _points(folded, problem.out_size)
    depthwise, short_maps = depth == 1 and groups > 1, 0
    of_weights = problem.operator == "tap_conv_weight_grad"
    spectra = problem.in_channels * columns / 2 + problem.out_channels * folded[-1] / 2
    if depthwise:  # csrc/core/depthwise.h
        maps = vectors_of(batch * groups, lanes)
        products, operands = float(maps * width), 0
        products *= SUMMED_PRODUCT if of_weights else 1
        sides = (maps, problem.input_size), (maps * width, problem.out_size)
        read = {"tap_conv": sides[:1], "tap_conv_input_grad": sides[1:]}.get(problem.operator, sides)
        short_maps = sum(count for count, size in read if math.prod(size) <= SHORT)
        transforms = maps * (source + width * result)
        weights = min(groups // math.gcd(groups, lanes), maps) * width
    else:
        if problem.operator == "tap_conv_input_grad":
            depth, width, source, result = width, depth, result, source
        weights = vectors_of(width, lanes) * depth * groups
        # as in LaneCosts (csrc/core/sides.h) and, for the weights' gradient, in WeightSides; samples go in pairs
        samples, results = 2 * vectors_of(batch, 2 * lanes), vectors_of(width, lanes)
        sources = min(samples * depth, vectors_of(depth, lanes) * batch)
        transform = TRANSFORM // 2 if of_weights and rows == 1 else TRANSFORM
        pairs: float = samples * depth * width
        if of_weights:  # products of two vectors of samples, whose lanes are summed in the end
            pairs = (4 * pairs + LANE_SUM * lanes * results * depth) / 3
        by_batch = samples * (depth + width) * transform + pairs
        by_channel = (sources + results * batch) * transform + results * batch * depth
        if by_batch < by_channel or (by_batch == by_channel and not of_weights):
            products = pairs * groups
            operands = samples * groups * depth * vectors_of(width, SHARED)
            if of_weights:
                outputs, inputs = CORRELATED
                operands = samples * groups * (depth * vectors_of(width, outputs) + width * vectors_of(depth, inputs))
            transforms = samples * groups * (depth * source + width * result)
        else:
            products = results * batch * groups * depth
            one, other = (batch, depth) if of_weights else (depth, batch)
            operands = results * groups * one * vectors_of(other, SHARED)
            transforms = groups * (sources * source + results * batch * result)
    inputs = problem.in_channels * math.prod(problem.input_size)
    numbers = batch * (inputs + problem.out_channels * math.prod(problem.out_size))
    return {
        "call": 1,
        "page": fresh_pages(problem.results * problem.dtype.itemsize),
        "tap": problem.num_taps,
        "transform": transforms,
        "product": products * frequencies,
        "operand": operands * frequencies,
        "tap sum": weights * columns / 2 * (_summed_taps(problem, columns) if rows == 1 else problem.num_taps),
        "spectrum": weights * frequencies * math.log2(rows),
        "series": batch * spectra / lanes if rows == 1 and not depthwise else 0,
        "cast": numbers if in_double else 0,
        "map": short_maps,
        "pixel": numbers / lanes,
    }


def _summed_taps(problem: Problem, columns: int) -> float:
    """Multiply-adds of a row frequency of a series, many of whose taps are summed for eight at once: octets.h."""
    depthwise = problem.in_channels == problem.groups > 1
    folded = max(problem.stride) > 1 and (
        problem.operator == "tap_conv" or (depthwise and problem.operator == "tap_conv_input_grad")
    )
    if columns % 8 or folded or _pairs(tuple(problem.offsets), columns) <= OCTET_PAIRS:
        return problem.num_taps
    return (1.75 * problem.num_taps + 60) / 4


@functools.lru_cache(maxsize=1024)
def _pairs(offsets: tuple[int, ...], length: int) -> int:
    """Of opposite taps, modulo the transform's length."""
    return len({min(offset % length, -offset % length) for offset in offsets})


@dataclass(frozen=True)
class Meetings:
    """How taps meet the outputs of one map.

    Attributes:
        products: Pairs of a tap and an output of a BLOCK in which it reads a pixel that exists.
        fetches: Those of them whose pixel the tap before it in its row has not read for that BLOCK.
        blocks: Pairs of a row of taps and a BLOCK.
    """

    products: int
    fetches: float
    blocks: int


@functools.lru_cache(maxsize=1024)
def _meetings(
    offsets: tuple[int, ...], size: tuple[int, ...], out: tuple[int, ...], stride: tuple[int, ...], circular: bool
) -> Meetings:
    products, fetches, blocks = 0, 0.0, 0
    before: tuple[int, ...] = ()
    for tap in sorted(offsets[t : t + len(size)] for t in range(0, len(offsets), len(size))):
        *lines, across = (
            range(m) if circular else outputs_reached(offset, n, m, step)
            for offset, n, m, step in zip(tap, size, out, stride, strict=True)
        )
        rows = math.prod(map(len, lines))
        begin, end = across.start // BLOCK * BLOCK, vectors_of(across.stop, BLOCK) * BLOCK
        met = rows * (min(end, out[-1]) - begin) if across else 0
        products += met
        if before[:-1] == tap[:-1] and before:
            fetches += met * min(1, (tap[-1] - before[-1]) / (BLOCK * stride[-1]))
        else:
            fetches += met
            blocks += rows * vectors_of(out[-1], BLOCK)
        before = tap
    return Meetings(products, fetches, blocks)


def _points(lengths: Sequence[int], size: Sequence[int]) -> float:
    """Points times log2 of their number: real rows of ``size``, then all columns of half as many complex numbers."""
    rows, columns = math.prod(lengths[:-1]), lengths[-1]
    return columns / 2 * (math.prod(size[:-1]) * math.log2(columns) + rows * math.log2(rows))
