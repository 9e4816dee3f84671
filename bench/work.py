# SPDX-License-Identifier: BSD-3-Clause
"""How much work a stage is, by formula, and how much a second this machine can do of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch

from dash_kernels.engines import MixProblem, Problem
from dash_kernels.engines.fourier import plan
from dash_kernels.taps import outputs_reached


def flops(problem: Problem | MixProblem, engine: str) -> float:
    r"""Additions and multiplications of a stage, counted as one would do it by hand the way its engine does.

    With B samples, C input and O output channels in G groups, so CO/G pairs:

    - Mixing family: 2 per pair and packed weight that takes part; `gather_taps` 1.
    - Convolution by "fourier", transform of N points (the product of its lengths): real transforms of
      :math:`2.5 N \log_2 N` for each of the BC inputs and CO/G kernels and, of the N/S points that are left at stride S
      (the product over the axes), for each of the BO outputs, whichever of the three is the result; 6 per sample, pair
      and each of the N/2 complex frequencies (a complex product by three real ones, added up). Both gradients have the
      same count. Kernels count as transforms although few taps are cheaper summed, so the count is no lower bound.
    - Convolution by any other engine, which sums directly: 2 per sample, pair, and output that a tap reads a pixel for.
    """
    if isinstance(problem, MixProblem):
        return (1 if problem.operator == "gather_taps" else 2) * problem.rows * problem.packed
    pairs = problem.in_channels * problem.out_channels // problem.groups
    if engine != "fourier":
        return 2 * problem.batch * pairs * reads(problem)
    how = plan(problem.offsets, problem.input_size, problem.out_size, problem.stride, problem.circular)
    points = math.prod(how.lengths)
    kept = points // math.prod(how.stride)
    sources = problem.batch * problem.in_channels + pairs
    transforms = 2.5 * (sources * points * math.log2(points) + problem.batch * problem.out_channels * kept * log2(kept))
    return transforms + 6 * problem.batch * pairs * points / 2


def log2(points: int) -> float:
    return math.log2(points) if points > 1 else 0.0


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
