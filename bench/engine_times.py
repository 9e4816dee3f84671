# SPDX-License-Identifier: BSD-3-Clause
"""`python -m bench.engine_times measure` times both CPU engines; `fit` prints the constants of the cost model.

What is measured is kept in bench/results/engine_times.csv, which the tests weigh the choice of engine against.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dash_kernels as dk
from dash_kernels.engines import Problem, cost
from dash_kernels.engines.direct import DirectEngine
from dash_kernels.engines.fourier import FourierEngine
from dash_kernels.engines.trial import call, in_turns
from dash_kernels.taps import TapLattice, reaching, same_size

FILE = Path(__file__).parent / "results" / "engine_times.csv"
FOURIER, DIRECT = FourierEngine(), DirectEngine()
OPERATORS = ("tap_conv", "tap_conv_input_grad", "tap_conv_weight_grad")

# Batch, channels in and out, groups, size, stride: of the ten tasks' layers those which are not plainly a matter of
# transforms, some of them with smaller batches; a few dense ones to compare; small ones, for what a call costs.
LAYERS: tuple[tuple[int, int, int, int, tuple[int, ...], int], ...] = (
    (64, 3, 16, 1, (32, 32), 1),
    (64, 16, 16, 16, (32, 32), 1),
    (64, 32, 32, 32, (16, 16), 1),
    (64, 64, 64, 64, (8, 8), 1),
    (64, 32, 32, 32, (32, 32), 2),
    (64, 64, 64, 64, (16, 16), 2),
    (64, 32, 32, 1, (32, 32), 2),
    (64, 64, 64, 1, (16, 16), 2),
    (64, 64, 64, 1, (8, 8), 1),
    (64, 16, 16, 1, (32, 32), 1),
    (64, 32, 32, 1, (16, 16), 1),
    (16, 3, 16, 1, (60, 60), 1),
    (16, 16, 16, 16, (60, 60), 1),
    (16, 32, 32, 32, (30, 30), 1),
    (16, 64, 64, 64, (15, 15), 1),
    (16, 32, 32, 32, (60, 60), 2),
    (16, 64, 64, 64, (30, 30), 2),
    (16, 32, 32, 1, (60, 60), 2),
    (16, 64, 64, 1, (30, 30), 2),
    (10, 3, 16, 1, (85, 85), 1),
    (10, 16, 16, 16, (85, 85), 1),
    (10, 64, 64, 64, (85, 85), 1),
    (8, 57, 16, 1, (128, 128), 1),
    (8, 16, 16, 16, (128, 128), 1),
    (4, 64, 64, 64, (128, 128), 1),
    (4, 1, 16, 1, (128, 128), 1),
    (128, 1, 16, 1, (16, 52), 1),
    (64, 16, 16, 16, (16, 52), 1),
    (64, 64, 64, 64, (4, 13), 1),
    (64, 64, 64, 1, (4, 13), 1),
    (64, 32, 32, 1, (16, 52), 2),
    (64, 64, 64, 64, (8, 26), 2),
    (16, 1, 16, 1, (96, 102), 1),
    (16, 16, 16, 16, (96, 102), 1),
    (16, 64, 64, 64, (24, 26), 1),
    (16, 32, 32, 1, (48, 51), 1),
    (16, 64, 64, 1, (48, 51), 2),
    (128, 1, 4, 1, (1000,), 1),
    (128, 4, 4, 4, (1000,), 1),
    (128, 8, 8, 8, (1000,), 1),
    (128, 4, 8, 1, (1000,), 1),
    (256, 1, 64, 1, (46,), 1),
    (256, 64, 64, 64, (46,), 1),
    (256, 128, 128, 128, (46,), 1),
    (128, 64, 64, 1, (46,), 1),
    (32, 4, 64, 1, (1000,), 1),
    (32, 64, 64, 64, (1000,), 1),
    (32, 128, 128, 128, (1000,), 1),
    (32, 64, 64, 1, (1000,), 1),
    (1, 4, 4, 1, (4, 4), 1),
    (1, 1, 1, 1, (8,), 1),
    (2, 8, 8, 8, (16, 16), 1),
    (1, 16, 16, 1, (8, 8), 1),
    (1, 16, 16, 1, (32, 32), 1),
    (1, 64, 64, 64, (32, 32), 1),
    (1, 3, 16, 1, (128, 128), 1),
    (8, 32, 32, 4, (24, 24), 1),
    (4, 12, 24, 12, (20, 20), 1),
    (1, 8, 8, 1, (1000,), 1),
    (3, 5, 7, 1, (40,), 2),
)
SPACES = {1: ((3, 7, 11, 15, 19), (1, 3, 7, 15)), 2: ((3, 5, 7, 9), (1, 3, 7, 15))}
SINGLE = (((3,), (1,)), ((9,), (15,)))


@dataclass(frozen=True)
class Times:
    """Milliseconds of processor time of one call on one thread, the least of some, and what was called."""

    operator: str
    batch: int
    in_channels: int
    out_channels: int
    groups: int
    size: tuple[int, ...]
    stride: int
    kernel_sizes: tuple[int, ...]
    dilations: tuple[int, ...]
    fourier: float = 0.0
    direct: float = 0.0

    @property
    def problem(self) -> Problem:
        ndim = len(self.size)
        strides, out = (self.stride,) * ndim, tuple(same_size(n, self.stride) for n in self.size)
        space = dk.SearchSpace(kernel_sizes=self.kernel_sizes, dilations=self.dilations)
        lattice = TapLattice.of(space.candidates(ndim))
        taps, _ = reaching(lattice.flat, lattice.index, self.size, out, strides)
        channels = self.in_channels, self.out_channels, self.groups
        return Problem(self.operator, "cpu", torch.float32, self.batch, *channels, self.size, out, strides, taps, False)


def read() -> list[Times]:
    """What was measured last."""
    with FILE.open(newline="") as file:
        return [Times(**{f.name: _parsed(f.type, row[f.name]) for f in fields(Times)}) for row in csv.DictReader(file)]


def write(rows: list[Times]) -> None:
    with FILE.open("w", newline="") as file:
        table = csv.DictWriter(file, [f.name for f in fields(Times)], lineterminator="\n")
        table.writeheader()
        for row in rows:
            cells = asdict(row).items()
            table.writerow({n: " ".join(map(str, cell)) if isinstance(cell, tuple) else cell for n, cell in cells})


def _parsed(kind: object, cell: str) -> Any:
    if kind == "tuple[int, ...]":
        return tuple(map(int, cell.split()))
    return {"str": str, "int": int, "float": float}[str(kind)](cell)


def measure() -> Iterator[Times]:
    torch.set_num_threads(1)
    for batch, inside, outside, groups, size, stride in LAYERS:
        for kernel_sizes, dilations in (SPACES[len(size)], *SINGLE):
            for operator in OPERATORS:
                row = Times(operator, batch, inside, outside, groups, size, stride, kernel_sizes, dilations)
                fourier, direct = in_turns([call(e, row.problem) for e in (FOURIER, DIRECT)], time.process_time)
                yield replace(row, fourier=round(1e3 * fourier, 4), direct=round(1e3 * direct, 4))


def fit(rows: list[Times]) -> dict[str, dict[str, float]]:
    """By name in dash_kernels/engines/cost.py the nanoseconds with which predictions are nearest in relative terms."""
    problems = [row.problem for row in rows]
    return {
        "FOURIER": _least_squares([FOURIER.work(problem) for problem in problems], [row.fourier for row in rows]),
        "DIRECT": _least_squares([cost.direct_work(problem) for problem in problems], [row.direct for row in rows]),
    }


def _least_squares(work: list[dict[str, float]], milliseconds: list[float]) -> dict[str, float]:
    counts, times = np.array([list(w.values()) for w in work], float), 1e6 * np.array(milliseconds)
    predicted = times
    for _ in range(20):  # dividing by the root of both makes too high and too low alike
        weights = 1 / np.sqrt(predicted * times)
        constants = np.linalg.lstsq(counts * weights[:, None], times * weights, rcond=None)[0]
        predicted = counts @ constants
    return dict(zip(work[0], map(float, constants), strict=True))


def main() -> None:
    if sys.argv[1:] == ["measure"]:
        write(list(measure()))
    elif sys.argv[1:] == ["fit"]:
        for name, constants in fit(read()).items():
            print(name, {thing: float(f"{value:.3g}") for thing, value in constants.items()})
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
