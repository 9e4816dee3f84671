# SPDX-License-Identifier: BSD-3-Clause
"""How much work a stage is, by formula, and how much a second this machine can do of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from dash_kernels.engines import MixProblem, Problem
from dash_kernels.engines.fourier import plan
from dash_kernels.taps import outputs_reached


@dataclass(frozen=True)
class Work:
    """What is to be done.

    Attributes:
        products: Additions and multiplications of sums of products: over channels, over taps, of mixtures.
        transforms: Additions and multiplications of transforms.
        bytes: Memory that must be moved.
    """

    products: float
    transforms: float
    bytes: float

    def __add__(self, other: Work) -> Work:
        return Work(self.products + other.products, self.transforms + other.transforms, self.bytes + other.bytes)

    @property
    def flops(self) -> float:
        return self.products + self.transforms

    def floors(self, peaks: Mapping[str, float]) -> tuple[float, float, float]:
        """Seconds that the memory, the products and the transforms alone would take at the machine's peaks."""
        return self.bytes / peaks["bytes"], self.products / peaks["flops"], self.transforms / peaks["flops"]

    def floor(self, peaks: Mapping[str, float]) -> float:
        """Seconds that all of it would take: arithmetic takes turns, memory is moved meanwhile."""
        memory, products, transforms = self.floors(peaks)
        return max(memory, products + transforms)


def work(problem: Problem | MixProblem, engine: str) -> Work:
    r"""What a call of an operator takes its engine.

    With B samples, C input and O output channels in G groups, so CO/G pairs:

    - Mixing family: 2 per pair and packed weight that takes part; `gather_taps` 1.
    - Convolution by "fourier", maps of n rows, transforms of N rows by M columns: for each of the BC inputs n real
      transforms of rows, and M/2 complex ones of columns. The same for each of the BO outputs, with what stride leaves
      of N and M. For each pair M/2 transforms of columns, and 2 per tap and row frequency, of which there are M/2. Per
      sample, pair and each of the NM/2 complex frequencies 6 (a complex product by three real ones, added up). The
      result is one of the three, its transform an inverse one: the count is the same.
    - Convolution by any other engine, which sums directly: 2 per sample, pair, and output that a tap reads a pixel for.

    That half of a transform's operands are zeros, or of its results are not wanted, is left out of the count: it spares
    one of log2 N passes at most. Memory is what must be moved whoever computes.
    """
    if isinstance(problem, MixProblem):
        each = 1 if problem.operator == "gather_taps" else 2
        return Work(each * problem.rows * problem.packed, 0.0, problem.moved_bytes)
    pairs = problem.in_channels * problem.out_channels // problem.groups
    if engine != "fourier":
        return Work(2 * problem.batch * pairs * reads(problem), 0.0, problem.moved_bytes)
    how = plan(problem.offsets, problem.input_size, problem.out_size, problem.stride, problem.circular)
    folded = [n // step for n, step in zip(how.lengths, how.stride, strict=True)]
    rows, columns = math.prod(how.lengths[:-1]), how.lengths[-1]
    products = pairs * columns * problem.num_taps + 6 * problem.batch * pairs * rows * columns / 2
    transforms = (
        problem.batch * problem.in_channels * map_transform(problem.input_size, how.lengths)
        + problem.batch * problem.out_channels * map_transform(problem.out_size, folded)
        + pairs * columns / 2 * complex_transform(rows)
    )
    return Work(products, transforms, problem.moved_bytes)


def map_transform(size: Sequence[int], lengths: Sequence[int]) -> float:
    """Of a map of one or two axes: rows that hold something, then all columns."""
    rows, columns = math.prod(lengths[:-1]), lengths[-1]
    return math.prod(size[:-1]) * real_transform(columns) + columns / 2 * complex_transform(rows)


def complex_transform(points: int) -> float:
    """Additions and multiplications of the split-radix algorithm, fewer than which few transforms have.

    The count is exact for powers of two (Yavne 1968; Duhamel and Hollmann 1984), and taken for all lengths.
    """
    return 4 * points * math.log2(points) - 6 * points + 8 if points > 1 else 0.0


def real_transform(points: int) -> float:
    """The same for real numbers (Sorensen, Jones, Heideman and Burrus 1987)."""
    return 2 * points * math.log2(points) - 4 * points + 6 if points > 1 else 0.0


def reads(problem: Problem) -> int:
    """Pairs of a tap and an output for which it reads an input pixel, wrapped ones included."""
    axes = list(zip(problem.input_size, problem.out_size, problem.stride, strict=True))
    if problem.circular:
        return problem.num_taps * math.prod(problem.out_size)
    taps = (problem.offsets[t : t + len(axes)] for t in range(0, len(problem.offsets), len(axes)))
    return sum(
        math.prod(len(outputs_reached(o, n, m, s)) for o, (n, m, s) in zip(tap, axes, strict=True)) for tap in taps
    )


def peaks(size: int = 2048, repeats: int = 5) -> dict[str, float]:
    """The most that torch reaches here, of some repeats each.

    "flops" per second: a float32 matrix product, 2·size³ of them. "bytes" per second: copying 16·size² numbers, each
    read once and written once (256 MiB, far more than fits into a cache).
    """
    a, b = torch.randn(2, size, size)
    out = torch.empty(size, size)
    source = torch.randn(16 * size * size)
    target = torch.empty_like(source)
    return {
        "flops": 2 * size**3 / least(lambda: torch.mm(a, b, out=out), repeats),
        "bytes": 2 * source.nbytes / least(lambda: target.copy_(source), repeats),
    }


def least(function: Callable[[], object], repeats: int) -> float:
    """The shortest of some calls, after one that warms up."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
