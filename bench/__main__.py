# SPDX-License-Identifier: BSD-3-Clause
"""`python -m bench layers`, `steps` or `targets`: measure, print the tables, keep them in bench/results.

Rows are kept as soon as they are measured; `--resume` takes up a run that was cut off. `targets` measures nothing: it
weighs again what whole runs of the other two left.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import bound_tables, plot, tables
from .results import Run
from .runs import Order, OtherRun, take
from .targets import verdicts
from .tasks import TASKS

RESULTS = Path(__file__).parent / "results"
ENDINGS = {"json": ".json", "csv": ".csv", "times": ".md", "bounds": "-bounds.md", "picture": ".png"}


def kept(stem: str) -> Run | None:
    path = RESULTS / f"{stem}.json"
    return Run.load(path) if path.exists() else None


def weigh(runs: dict[str, Run | None]) -> str:
    """The targets, with the runs they are weighed against."""
    origins = [tables.origin(run) for run in runs.values() if run]
    found = verdicts(runs["layers"], runs["steps"])
    return "\n\n".join([tables.targets_markdown(found), *origins]) + "\n"


def files(stem: str) -> dict[str, Path]:
    """What is written of one run."""
    return {what: RESULTS / f"{stem}{ending}" for what, ending in ENDINGS.items()}


def write(stem: str, run: Run) -> list[Path]:
    """Everything about one run."""
    paths = files(stem)
    run.save(paths["json"])
    paths["csv"].write_text(tables.csv_text(run))
    paths["times"].write_text(tables.markdown(run))
    paths["bounds"].write_text(bound_tables.markdown(run))
    if plot.drawn(run):
        plot.save(run, paths["picture"])
    else:
        del paths["picture"]
    return list(paths.values())


def write_targets(runs: dict[str, Run | None]) -> list[Path]:
    paths = [RESULTS / "targets.md", RESULTS / "targets.csv"]
    paths[0].write_text("# The targets, and whether they are met\n\n" + weigh(runs))
    paths[1].write_text(tables.targets_csv(verdicts(runs["layers"], runs["steps"])))
    return paths


def measure(order: Order, resume: bool) -> tuple[Run | None, bool]:
    """The run, saved after every row, and whether it came to its end."""
    path = files(order.stem)["json"]
    path.parent.mkdir(parents=True, exist_ok=True)
    before = kept(order.stem) if resume else None
    if resume and before is None:
        print(f"nothing to resume: there is no {path}", file=sys.stderr)
    run = None
    try:
        for run in take(order, before):
            run.save(path)
    except KeyboardInterrupt:
        return run, False
    return run, True


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", choices=("layers", "steps", "targets"))
    parser.add_argument("--quick", action="store_true", help="few layers or tasks, few laps; written to quick-*")
    parser.add_argument(
        "--task", action="append", default=[], choices=[t.name for t in TASKS], help="only this one (again for more)"
    )
    parser.add_argument("--resume", action="store_true", help="keep the rows of the same command, machine and commit")
    options = parser.parse_args()
    runs = {what: kept(what) for what in ("layers", "steps")}
    finished = True
    if options.what == "targets":
        paths = write_targets(runs)
    else:
        order = Order(options.what, options.quick, tuple(options.task))
        try:
            run, finished = measure(order, options.resume)
        except OtherRun as error:
            parser.error(f"cannot resume: {error}; without --resume all rows are measured anew")
        if run is None:
            sys.exit("cut off before the first row")
        print(tables.markdown(run))
        if run.whole:
            paths = write(options.what, run)
            runs[options.what] = run
            paths += write_targets(runs)
            for path in files(order.stem).values():
                path.unlink(missing_ok=True)
        else:  # looked at, not kept
            runs = {what: run if what == options.what else None for what in runs}
            paths = write(order.stem, run)
    print(weigh(runs))
    for path in paths:
        print(f"written: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    if not finished:
        sys.exit("cut off: call it again with --resume")
    if any(run and run.failed for run in runs.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
