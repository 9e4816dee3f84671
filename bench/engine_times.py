# SPDX-License-Identifier: BSD-3-Clause
"""`python -m bench.engine_times measure` times both CPU engines and torch, which takes five minutes.

What is measured is kept in bench/results/engine_times.csv: `fit` prints the constants of the cost model that explain it
best, `judge` how near the choices of the constants in force come to the faster engine. How it is measured and fitted is
dash_kernels/calibrate's, which does the same with fewer layers for a user's own machine.
"""

from __future__ import annotations

import csv
import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from dash_kernels.calibrate import Trial, fit, measured
from dash_kernels.calibrate.trials import DIRECT, FOURIER, OPERATORS
from dash_kernels.engines.direct import DirectEngine
from dash_kernels.engines.fourier import FourierEngine

from .timing import geometric_mean

FILE = Path(__file__).parent / "results" / "engine_times.csv"

# Batch, channels in and out, groups, size, stride: of the ten tasks' layers those which are not plainly a matter of
# transforms, some of them with smaller batches; a few dense ones to compare; small ones, for what a call costs; results
# so large that their memory is new at every call; and three axes.
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
    (64, 16, 16, 16, (96, 102), 1),
    (8, 64, 64, 64, (128, 128), 1),
    (10, 32, 32, 1, (85, 85), 1),
    (2, 8, 8, 1, (8, 20, 20), 1),
    (2, 16, 16, 16, (8, 20, 20), 1),
    (1, 4, 8, 1, (16, 16, 16), 2),
)

SPACES: dict[int, tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]] = {
    1: (((3, 7, 11, 15, 19), (1, 3, 7, 15)),),
    2: (((3, 5, 7, 9), (1, 3, 7, 15)),),
    3: (),
}
# One kernel, which torch computes too: on either side of every cliff between its ways to do it.
SINGLE = {
    1: ((3, 1), (3, 15), (7, 1), (9, 15), (11, 3), (19, 1)),
    2: ((3, 1), (3, 15), (5, 1), (7, 3), (9, 1), (9, 15), (15, 1)),
    3: ((3, 1), (5, 1), (5, 2)),
}
# Multiply-adds of one kernel by direct sums; where there are more, which takes minutes, no choice is near.
MOST = 3e8


def read() -> list[Trial]:
    """What was measured last."""
    with FILE.open(newline="") as file:
        return [Trial(**{f.name: _parsed(f.type, row[f.name]) for f in fields(Trial)}) for row in csv.DictReader(file)]


def write(rows: list[Trial]) -> None:
    with FILE.open("w", newline="") as file:
        table = csv.DictWriter(file, [f.name for f in fields(Trial)], lineterminator="\n")
        table.writeheader()
        for row in rows:
            cells = asdict(row).items()
            table.writerow({n: " ".join(map(str, cell)) if isinstance(cell, tuple) else cell for n, cell in cells})


def _parsed(kind: object, cell: str) -> Any:
    if kind == "tuple[int, ...]":
        return tuple(map(int, cell.split()))
    return {"str": str, "int": int, "float": float}[str(kind)](cell)


def measure() -> Iterator[Trial]:
    torch.set_num_threads(1)
    for batch, inside, outside, groups, size, stride in LAYERS:
        single = (((k,), (d,)) for k, d in SINGLE[len(size)])
        for kernel_sizes, dilations in (*SPACES[len(size)], *single):
            for operator in OPERATORS:
                trial = Trial(operator, batch, inside, outside, groups, size, stride, kernel_sizes, dilations)
                if not trial.regular or _products(trial) <= MOST:
                    yield measured(trial)


def _products(trial: Trial) -> int:
    p = trial.problem
    return p.batch * p.in_channels * p.out_channels // p.groups * math.prod(p.out_size) * p.num_taps


@dataclass(frozen=True)
class Weighed:
    """A pass that both engines compute: what was measured, and milliseconds that are expected of either."""

    trial: Trial
    fourier: float
    direct: float

    @property
    def took(self) -> float:
        """Milliseconds on the engine that is expected to be the faster one."""
        return self.trial.direct if self.direct < self.fourier else self.trial.fourier

    @property
    def best(self) -> float:
        return min(self.trial.direct, self.trial.fourier)


def weighed() -> list[Weighed]:
    """All passes that were measured last, but for those of three axes."""
    return [Weighed(trial, _predicted(FOURIER, trial), _predicted(DIRECT, trial)) for trial in read() if trial.fourier]


def _predicted(engine: FourierEngine | DirectEngine, trial: Trial) -> float:
    seconds = engine.predict(trial.problem)
    assert seconds is not None
    return 1e3 * seconds


def losses(passes: Sequence[Weighed]) -> dict[tuple[object, ...], float]:
    """By layer, what its three passes take on the engines that are expected to be the faster ones, divided by what they
    take on those that are."""
    took, best = defaultdict[tuple[object, ...], float](float), defaultdict[tuple[object, ...], float](float)
    for one in passes:
        took[one.trial.layer] += one.took
        best[one.trial.layer] += one.best
    return {layer: took[layer] / best[layer] for layer in best}


def report(passes: Sequence[Weighed]) -> str:
    found = losses(passes)
    worst = max(passes, key=lambda one: one.took / one.best)
    lines = [
        f"{len(found)} layers, batch, channels in and out, groups, size, stride, K, D: the choice takes "
        f"{geometric_mean(list(found.values())):.3f} times the faster engines' time in geometric mean, above 1.3 in "
        f"{sum(loss > 1.3 for loss in found.values())}; worst:",
        *(f"  {found[layer]:.2f}: {layer}" for layer in sorted(found, key=lambda layer: -found[layer])[:3]),
        f"of single passes {worst.took / worst.best:.2f}: {worst.trial.operator}, {worst.trial.layer}",
    ]
    return "\n".join(lines)


def main() -> None:
    if sys.argv[1:] == ["measure"]:
        write(list(measure()))
    elif sys.argv[1:] == ["fit"]:
        for name, constants in fit(read()).items():
            print(name, {thing: float(f"{value:.3g}") for thing, value in constants.items()})
    elif sys.argv[1:] == ["judge"]:
        print(report(weighed()))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
