# SPDX-License-Identifier: BSD-3-Clause
"""Does the search help? `python -m bench.quality` trains the offline tasks with kernels chosen in five ways.

Each row (task, seed, method) is kept in bench/results/quality.csv when it is done; another call goes on with those that
are missing. A row that is cut off goes on from the last epoch of its run folders. At the end all tables are written,
those of the scores in README.md and docs/search.md among them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from rich.console import Console

from dash_search import DashSearchError, TrainingError
from dash_search.run import run_task
from dash_search.run_folder import read_json

from . import document, files, quality_rows, quality_table
from .machine import ROOT, facts
from .quality_plan import SLOW, Planned, offline_tasks, plan, usual_tasks
from .quality_rows import FIXED, Key, Row, Rows

RESULTS = Path(__file__).parent / "results"
RUNS = ROOT / "runs" / "quality"
PAGES = (document.README, document.SEARCH)  # which have the scores too
BUDGET = 0.5  # of each task's own epochs


def measure(row: Planned) -> Row:
    """Trains what a row needs, and takes the figures from the run folders.

    Raises:
        TrainingError: A network diverged.
    """
    folders = {name: RUNS / f"{row.task.name}-{row.config.seed}-{name}-{row.settings}" for name in row.runs}
    for name, architecture in row.runs.items():
        if not (folders[name] / "result.json").exists():
            resume = (folders[name] / "config.json").exists()
            options: dict[str, Any] = {"resume": resume, "console": Console(quiet=True), "architecture": architecture}
            run_task(row.task, row.config, folders[name], **options)
    results = {name: read_json(folder / "result.json") for name, folder in folders.items()}
    metric, kept = row.task.metric, next(iter(results))
    for name, result in results.items():
        if metric.better(_only(result, "scores")["valid"], _only(results[kept], "scores")["valid"]):
            kept = name
    return Row(
        *row.key,
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        test=_only(results[kept], "scores")["test"],
        valid=_only(results[kept], "scores")["valid"],
        parameters=_only(results[kept], "parameters"),
        search_seconds=_seconds(results.values(), "search"),
        train_seconds=_seconds(results.values(), "retrain"),
        test_seconds=_seconds(results.values(), "test"),
        chosen=kept if row.method == FIXED else "",
        settings=row.settings,
        folders=" ".join(folder.name for folder in folders.values()),
        machine="; ".join(f"{name}: {value}" for name, value in facts().items()),
    )


def _only(result: Any, what: str) -> Any:
    """Of the one network that a run trained."""
    (value,) = result[what].values()
    return value


def _seconds(results: Iterable[Any], stage: str) -> float:
    """Of a stage of all runs."""
    times = ((name.split()[0], seconds) for result in results for name, seconds in result["seconds"].items())
    return sum((seconds for its, seconds in times if its == stage), 0.0)


def expected_seconds(row: Planned, rows: Sequence[Planned], done: Rows) -> float:
    """How long a row should take, by the rows done that are most like it; nothing if none is."""
    measured = [(one.key, done[one.key].seconds / one.weight) for one in rows if one.key in done]
    (task, _, method), everything = row.key, (None, None)
    for like in ((task, method), (task, None), (None, method), everything):
        rates = [rate for (its, _, how), rate in measured if its == (like[0] or its) and how == (like[1] or how)]
        if rates:
            return row.weight * mean(rates)
    return 0.0


def kept_rows(path: Path, rows: Sequence[Planned]) -> dict[Key, Row]:
    """The rows of a file, without those that had other settings than they would have now."""
    kept = quality_rows.load(path)
    for row in rows:
        if row.key in kept and kept[row.key].settings != row.settings:
            say(f"{name_of(row)} was measured with other settings or architectures ({kept[row.key].folders}): again")
            del kept[row.key]
    return kept


def measure_all(rows: Sequence[Planned], done: dict[Key, Row], path: Path, minutes: float) -> None:
    """Measures the rows that are not done, in turn, and writes the file whenever one is.

    Args:
        rows: All there are to be.
        done: Those of them that are there, and those of other tasks; the others are added.
        path: The file.
        minutes: A row that would end later is not begun, and none after it.
    """
    began = time.perf_counter()
    for row in (row for row in rows if row.key not in done):
        left, expected = 60 * minutes - (time.perf_counter() - began), expected_seconds(row, rows, done)
        if left <= expected:
            say(f"stopped before {name_of(row)}: it would take {expected:.0f} s, and {max(left, 0):.0f} s are left")
            return
        try:
            found = done[row.key] = measure(row)
        except TrainingError as error:  # the others are worth their minutes all the same
            say(f"no score  {name_of(row)}: {error}")
            continue
        quality_rows.save(path, done.values())
        say(f"{found.seconds:6.0f} s  {name_of(row)}: {found.metric} {found.test:.4g}")


def write_tables(table: Path, budget: float) -> None:
    """Writes what a file of rows says beside it, and the scores into PAGES if the budget is the usual one."""
    found = quality_rows.ordered(quality_rows.load(table).values())
    if not found:
        return
    text = table.with_suffix(".md")
    files.write(text, quality_table.markdown(found, budget))
    print(text.read_text())
    say(f"written: {table}, {text}")
    if budget == BUDGET:
        for page in PAGES:
            document.replace(page, "quality", quality_table.scores_markdown(found))
            say(f"written: {page}")


def name_of(row: Planned) -> str:
    return f"{row.task.name}, seed {row.config.seed}, {row.method}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    task_help = f"this one (again for more); by default all but {' and '.join(SLOW)}, whose rows take hours"
    parser.add_argument("--task", action="append", choices=offline_tasks(), help=task_help)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no row that would end later")
    budget_help = f"share of each task's own epochs [{BUDGET}]; another one is written to quick-quality.*"
    parser.add_argument("--budget", type=float, default=BUDGET, help=budget_help)
    given = parser.parse_args(arguments)
    table = RESULTS / ("quality.csv" if given.budget == BUDGET else "quick-quality.csv")
    rows, done = [], {}
    try:
        rows = plan(given.task or usual_tasks(), given.budget)
        done = kept_rows(table, rows)
        measure_all(rows, done, table, given.minutes)
    except (DashSearchError, KeyboardInterrupt) as error:
        say(f"cut off: {error or 'Ctrl-C'}")
    write_tables(table, given.budget)
    missing = sum(row.key not in done for row in rows)
    if missing:
        say(f"{missing} of {len(rows)} rows are missing: call it again to go on")
    return 1 if missing or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
