# SPDX-License-Identifier: BSD-3-Clause
"""The bounds of all steps of a run that somebody looked into, as markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .bounds import MIXING, Bound, bound
from .results import Row, Run, Stage
from .tables import PART, TITLES, origin, render
from .targets import CONTIGUOUS, FASTER, TARGETS, number, pair
from .timing import mean_ratio, median

HEAD = """\
What the operators of a step would take at the peaks of this machine, measured in the same run: memory, every operand
read and every result written once at {bytes:.1f} GB/s (a copy); products and transforms, their additions and
multiplications by the formulas in `bench/work.py` at {flops:.0f} GFLOP/s (a matrix product). "At peak" is, operator by
operator, the longer one of memory and arithmetic. "Bound" names what takes longest of memory and arithmetic, arithmetic
being products or transforms. Operators were timed apart from the step, so what is outside of them comes out negative
where they were slower then. Milliseconds, medians. "Misses": limits of targets that this row's own ratio exceeds,
limits of means too; "contiguous" marks those beside that format.
"""
OPERATORS = """\
By operator: milliseconds measured: those of memory / products / transforms at the peaks. Mixing: mix_taps, gather_taps
and mixture_grad together. Engines are named where it is not "fourier" alone.
"""


def markdown(run: Run) -> str:
    peaks = {name: value / 1e9 for name, value in run.peaks.items()}
    parts = [HEAD.format(**peaks)] if run.whole else [PART, HEAD.format(**peaks)]
    for kind in run.kinds():
        rows = [row for row in run.of_kind(kind) if row.stages]
        if rows:
            parts += [f"## {TITLES[kind]}\n", render(steps(rows, run.peaks))]
            parts += [OPERATORS, render(operators(rows, run.peaks))]
    return f"# What bounds the steps of {run.command}\n\n" + "\n".join(parts) + f"\n{origin(run)}\n"


def steps(rows: Sequence[Row], peaks: Mapping[str, float]) -> list[list[str]]:
    """A line per row and column."""
    head = ["", "÷ faster plain", "misses", "step", "outside operators", "operators", "at peak", "memory", "products"]
    lines = [[*head, "transforms", "bound"]]
    for row in rows:
        for column, stages in row.stages.items():
            b, step = bound(stages, peaks), median(row.timed[column].both)
            ratio = found if row.plains and (found := pair(row, column, FASTER)) else None
            times = [step, step - b.operators, b.operators, b.floor, b.memory, b.products, b.transforms]
            lines.append(
                [name(row, column), number(mean_ratio([ratio]).value) if ratio else "–",
                 missed(row) if column == row.main else "", *map(milliseconds, times), verdict(b)]
            )  # fmt: skip
    return lines


def name(row: Row, column: str) -> str:
    return row.name if len(row.stages) == 1 else f"{row.name}, {column}"


def missed(row: Row) -> str:
    """The limits that a row exceeds."""
    limits = []
    for target in TARGETS:
        if target.kind != row.kind or target.above != row.main:
            continue
        found, limit = pair(row, target.above, target.below), target.limit_of(row)
        if found and limit is not None and not target.met_by(mean_ratio([found]).value, limit):
            limits.append(f"{number(limit)} contiguous" if target.below == CONTIGUOUS else number(limit))
    return ", ".join(limits)


def verdict(found: Bound) -> str:
    return f"{found.by}, {100 * found.floor / found.operators:.0f} % of the peak"


def operators(rows: Sequence[Row], peaks: Mapping[str, float]) -> list[list[str]]:
    """A line per row and column, a column per operator of the convolution family, and one for mixing."""
    names = list(dict.fromkeys(group(s) for row in rows for stages in row.stages.values() for s in stages))
    names.sort(key=lambda each: each == "mixing")
    lines = [["", *names]]
    for row in rows:
        for column, stages in row.stages.items():
            cells = [[stage for stage in stages if group(stage) == each] for each in names]
            lines.append([name(row, column), *(cell(found, peaks) if found else "–" for found in cells)])
    return lines


def group(stage: Stage) -> str:
    return "mixing" if stage.name in MIXING else stage.name


def cell(stages: Sequence[Stage], peaks: Mapping[str, float]) -> str:
    b = bound(stages, peaks)
    engines = sorted({stage.engine for stage in stages})
    floors = " / ".join(milliseconds(part) for part in (b.memory, b.products, b.transforms))
    return f"{milliseconds(b.operators)}: {floors}" + ("" if engines == ["fourier"] else f" ({', '.join(engines)})")


def milliseconds(seconds: float) -> str:
    return number(1e3 * seconds)
