# SPDX-License-Identifier: BSD-3-Clause
"""What a run is to measure, and how it is measured row by row, so that one that is cut off can be taken up again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from . import measure_kernels as kernels
from .gate import WrongResult
from .layers import all_layers, quick_layers
from .machine import CHANGED, facts
from .measure_layers import measure_layer
from .measure_steps import STEP, measure_task
from .results import Row, Run
from .tasks import TASKS
from .work import peaks

LAPS, QUICK_LAPS = 15, 5


class OtherRun(Exception):
    """Rows that may not stand beside new ones."""


@dataclass(frozen=True)
class Measurement:
    """A row that can be measured.

    Attributes:
        task: Whose.
        kind, name: What the row will have.
        measure: Takes the number of laps.
    """

    task: str
    kind: str
    name: str
    measure: Callable[[int], Row]


@dataclass(frozen=True)
class Order:
    """What is to be measured.

    Attributes:
        what: "layers" or "steps".
        quick: Few of them, few laps.
        only: Tasks, all of them if empty.
    """

    what: str
    quick: bool = False
    only: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        return not (self.quick or self.only)

    @property
    def command(self) -> str:
        arguments = [*(["--quick"] if self.quick else []), *(f"--task {task}" for task in self.only)]
        return f"make bench-{self.what}" + (f' BENCH="{" ".join(arguments)}"' if arguments else "")

    @property
    def stem(self) -> str:
        """Of the files for a run that is under way, and of those for good where it leaves something out."""
        return f"{'partial' if self.everything else 'quick'}-{self.what}"

    def measurements(self) -> list[Measurement]:
        found = _layers(self.quick) if self.what == "layers" else _steps(self.quick)
        return [measurement for measurement in found if not self.only or measurement.task in self.only]


def _layers(quick: bool) -> Iterator[Measurement]:
    for layer in quick_layers() if quick else all_layers():
        yield Measurement(layer.task, layer.kind, layer.name, partial(measure_layer, layer))
    for layer in kernels.CANDIDATES:
        measure = partial(kernels.measure_candidates, layer)
        yield Measurement(layer.task, kernels.MANY_CANDIDATES, layer.name, measure)
    for layer in kernels.QUICK_KERNELS if quick else kernels.KERNELS:
        name = kernels.kernel_name(layer)
        yield Measurement(layer.task, kernels.LARGE_KERNEL, name, partial(kernels.measure_kernel, layer))


def _steps(quick: bool) -> Iterator[Measurement]:
    for task in TASKS:
        if task.quick or not quick:
            yield Measurement(task.name, STEP, task.title, partial(measure_task, task))


def take(order: Order, before: Run | None = None) -> Iterator[Run]:
    """Measures what ``before`` has not; says on standard error how far it is.

    Args:
        order: What.
        before: A part of the same run.

    Yields:
        After every row all there is so far; whole, if it will be, the last time only.

    Raises:
        OtherRun: ``before`` is another run, or another machine's or another commit's.
    """
    run = Run(order.command, False, facts(), peaks(), ())
    if before is not None:
        check_same(run, before)
        best = _larger(run.peaks, before.peaks)
        run = replace(run, peaks=best, rows=before.rows, sittings=before.sittings + 1)
    rows = {row.key: row for row in run.rows}
    failed: list[str] = []
    plan = order.measurements()
    for measurement in plan:
        if (measurement.kind, measurement.name) in rows:
            continue
        start = time.perf_counter()
        try:
            row = measurement.measure(QUICK_LAPS if order.quick else LAPS)
            rows[row.key] = row
        except (WrongResult, RuntimeError, MemoryError) as error:  # the others are worth their minutes all the same
            failed.append(f"{measurement.name}: {error}")
        print(f"{time.perf_counter() - start:6.1f} s  {measurement.name}", file=sys.stderr, flush=True)
        ordered = tuple(rows[m.kind, m.name] for m in plan if (m.kind, m.name) in rows)
        run = replace(run, rows=ordered, failed=tuple(failed))
        yield run
    yield replace(run, whole=order.everything, peaks=_larger(run.peaks, peaks()))


def check_same(run: Run, before: Run) -> None:
    """Makes sure that rows of both may stand in one table.

    Raises:
        OtherRun: They differ in more than the day.
    """
    if CHANGED in run.machine["commit"]:
        raise OtherRun("the working tree differs from its commit, so nobody knows what earlier rows measured")
    differences = [
        f"{name} {before.machine.get(name)}, now {value}"
        for name, value in run.machine.items()
        if name != "date" and before.machine.get(name) != value
    ]
    if before.command != run.command:
        differences.insert(0, f"command {before.command}, now {run.command}")
    if differences:
        raise OtherRun(f"the earlier rows are from another run: {'; '.join(differences)}")


def _larger(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: max(value, other[name]) for name, value in one.items()}
