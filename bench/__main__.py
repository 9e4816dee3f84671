# SPDX-License-Identifier: BSD-3-Clause
"""`python -m bench layers`, `steps` or `targets`: measure, print the tables, keep them in bench/results.

`targets` measures nothing: it weighs again what the other two left.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from . import measure_kernels as kernels
from . import plot, tables
from .gate import WrongResult
from .layers import all_layers, quick_layers
from .machine import facts
from .measure_layers import measure_layer
from .measure_steps import measure_task
from .results import Row, Run
from .targets import verdicts
from .tasks import TASKS
from .work import peaks

RESULTS = Path(__file__).parent / "results"
LAPS, QUICK_LAPS = 15, 5

Measurement = tuple[str, str, Callable[[int], Row]]
"""The task, the name, and what measures it in so many laps."""


def layers(quick: bool) -> Iterator[Measurement]:
    for layer in quick_layers() if quick else all_layers():
        yield layer.task, layer.name, partial(measure_layer, layer)
    for layer in kernels.CANDIDATES:
        yield layer.task, layer.name, partial(kernels.measure_candidates, layer)
    for layer in kernels.QUICK_KERNELS if quick else kernels.KERNELS:
        yield layer.task, layer.name, partial(kernels.measure_kernel, layer)


def steps(quick: bool) -> Iterator[Measurement]:
    for task in TASKS:
        if task.quick or not quick:
            yield task.name, task.name, partial(measure_task, task)


def measure(what: str, quick: bool, only: Sequence[str]) -> Run:
    """Measures everything, or the tasks named; says on standard error how far it is."""
    best = peaks()
    rows, failed = [], []
    for task, name, function in {"layers": layers, "steps": steps}[what](quick):
        if only and task not in only:
            continue
        start = time.perf_counter()
        try:
            rows.append(function(QUICK_LAPS if quick else LAPS))
        except (WrongResult, RuntimeError, MemoryError) as error:  # the others are worth their minutes all the same
            failed.append(f"{name}: {error}")
        print(f"{time.perf_counter() - start:6.1f} s  {name}", file=sys.stderr, flush=True)
    best = {name: max(value, best[name]) for name, value in peaks().items()}
    arguments = [*(["--quick"] if quick else []), *(f"--task {task}" for task in only)]
    command = f"make bench-{what}" + (f' BENCH="{" ".join(arguments)}"' if arguments else "")
    return Run(command, not (quick or only), facts(), best, tuple(rows), tuple(failed))


def kept(what: str) -> Run | None:
    path = RESULTS / f"{what}.json"
    return Run.load(path) if path.exists() else None


def weigh(runs: dict[str, Run | None]) -> str:
    """The table of targets, with the runs it comes from."""
    origins = [tables.origin(run) for run in runs.values() if run]
    found = verdicts(runs["layers"], runs["steps"])
    return "\n\n".join([tables.render(tables.target_table(found)), *origins]) + "\n"


def write(stem: str, run: Run) -> list[Path]:
    """Everything about one run."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    paths = [RESULTS / f"{stem}.{ending}" for ending in ("json", "csv", "md", "png")]
    run.save(paths[0])
    paths[1].write_text(tables.csv_text(run))
    paths[2].write_text(tables.markdown(run))
    plot.save(run, paths[3])
    return paths


def write_targets(runs: dict[str, Run | None]) -> list[Path]:
    paths = [RESULTS / "targets.md", RESULTS / "targets.csv"]
    paths[0].write_text("# The targets, and whether they are met\n\n" + weigh(runs))
    paths[1].write_text(tables.targets_csv(verdicts(runs["layers"], runs["steps"])))
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", choices=("layers", "steps", "targets"))
    parser.add_argument("--quick", action="store_true", help="few layers or tasks, few laps; written to quick-*")
    parser.add_argument(
        "--task", action="append", default=[], choices=[t.name for t in TASKS], help="only this one (again for more)"
    )
    options = parser.parse_args()
    if options.what == "targets":
        runs = {what: kept(what) for what in ("layers", "steps")}
        paths = write_targets(runs)
    else:
        run = measure(options.what, options.quick, options.task)
        print(tables.markdown(run))
        if run.whole:
            paths = write(options.what, run)
            runs = {what: kept(what) for what in ("layers", "steps")}
            paths += write_targets(runs)
        else:  # looked at, not kept
            runs = {what: run if what == options.what else None for what in ("layers", "steps")}
            paths = write(f"quick-{options.what}", run)
    print(weigh(runs))
    for path in paths:
        print(f"written: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    if any(run and run.failed for run in runs.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
