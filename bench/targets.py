# SPDX-License-Identifier: BSD-3-Clause
"""The targets, and what a run says to them. Only whole runs at the search's own batch sizes decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from . import bounds
from .measure_kernels import LARGE_KERNEL, MANY, MANY_CANDIDATES, WIDEST
from .measure_steps import AUTO, NEVER, STEP
from .results import Row, Run
from .rivals import DK_CONV, MIXED_CONV, MIXED_RESULTS
from .timing import Ratio, geometric_mean, mean_ratio

CONTIGUOUS = "plain, contiguous"
FASTER = "plain, the faster"
"""Stands for the column of the faster plain one, row by row."""

LAYERS, STEPS = "layers", "steps"
"""The two runs."""


@dataclass(frozen=True)
class Verdict:
    """One line of the table of targets.

    Attributes:
        name: P1 to P7.
        what: What is measured.
        target: What it should be; empty where it only stands beside a target.
        value: What it is.
        met: None where there is no verdict.
        why: Why there is none.
        far: By how much the target is missed.
        parts: What holds the figure back, as :func:`.bounds.summary` has it.
        notes: The same row by row, for what those parts do not tell.
        missed: Rows that miss it, each with its figure and its limit.
    """

    name: str
    what: str
    target: str
    value: str
    met: bool | None
    why: str = ""
    far: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    missed: tuple[tuple[str, str, str], ...] = ()

    def word(self) -> str:
        if self.met is None:
            return ": ".join(filter(None, ("no verdict" if self.target else "–", self.why)))
        return "met" if self.met else "missed"


@dataclass(frozen=True)
class Target:
    """A ratio of two columns over all rows of a kind, and its limit.

    Attributes:
        name: P1 to P7; empty where the ratio only stands beside a target.
        what: In words.
        source: The run it is read from.
        kind: The rows.
        above, below: The columns.
        limit: Of the geometric mean, or of each row; None where the ratio is only shown.
        least: Whether the limit is a lower one.
        each: Whether every row is to keep it, not the mean of all.
        other: Other limits, by task.
    """

    name: str
    what: str
    source: str
    kind: str
    above: str
    below: str
    limit: float | None
    least: bool = False
    each: bool = False
    other: Mapping[str, float] = field(default_factory=dict)

    def text(self) -> str:
        if self.limit is None:
            return ""
        others = "".join(f" ({task} {number(limit)})" for task, limit in self.other.items())
        return f"{'≥' if self.least else '≤'} {number(self.limit)}{others}"

    def limit_of(self, row: Row) -> float | None:
        return self.other.get(row.task, self.limit)

    def met_by(self, value: float, limit: float | None) -> bool:
        return limit is None or (value >= limit if self.least else value <= limit)


TARGETS = (
    Target("P1", "dense MixedConv ÷ plain contiguous, mean", LAYERS, "dense", MIXED_CONV, CONTIGUOUS, 1.0),
    Target("P1", "dense MixedConv ÷ faster plain, mean", LAYERS, "dense", MIXED_CONV, FASTER, 1.4),
    Target(
        "P1",
        "dense MixedConv ÷ faster plain, each",
        LAYERS,
        "dense",
        MIXED_CONV,
        FASTER,
        2.0,
        each=True,
        other={"Satellite": 2.5},
    ),  # fmt: skip
    Target("P1", "dense strided ÷ faster plain, each", LAYERS, "dense, strided", MIXED_CONV, FASTER, 4.0, each=True),
    Target("P2", "depthwise MixedConv ÷ plain contiguous, mean", LAYERS, "depthwise", MIXED_CONV, CONTIGUOUS, 1.0),
    Target("P2", "depthwise MixedConv ÷ faster plain, mean", LAYERS, "depthwise", MIXED_CONV, FASTER, 2.0),
    Target("", "depthwise strided ÷ faster plain, mean", LAYERS, "depthwise, strided", MIXED_CONV, FASTER, None),
    Target("P3", "search step ÷ plain step, mean", STEPS, STEP, AUTO, FASTER, 1.0),
    Target("", "the same with all layers dense, mean", STEPS, STEP, NEVER, FASTER, None),
    Target(
        "P4", "mixed results ÷ MixedConv, dense, mean", LAYERS, "dense", MIXED_RESULTS, MIXED_CONV, 60.0, least=True
    ),
    Target("P5", "49 candidates ÷ the widest alone, each", LAYERS, MANY_CANDIDATES, MANY, WIDEST, 1.15, each=True),
    Target("P7", "dk.Conv ÷ nn.Conv, large kernels, each", LAYERS, LARGE_KERNEL, DK_CONV, FASTER, 0.5, each=True),
)
MEMORY_LIMIT = 1.25


def pair(row: Row, above: str, below: str) -> tuple[list[float], list[float]] | None:
    return row.pair(above, row.faster_plain() if below == FASTER else below)


def verdicts(layers: Run | None, steps: Run | None) -> list[Verdict]:
    """All targets in order, then what is only shown; a run that is missing gives no verdict."""
    runs = {LAYERS: layers, STEPS: steps}
    found = [weigh(target, runs[target.source]) for target in TARGETS]
    found.append(weigh_memory(steps))
    return sorted(found, key=lambda verdict: verdict.name or "P9")


def weigh(target: Target, run: Run | None) -> Verdict:
    """What a run says to a target."""
    rows = [] if run is None else run.of_kind(target.kind)
    pairs = [(row, found) for row in rows if (found := pair(row, target.above, target.below))]
    doubt = why_none(run, rows, len(pairs))
    if run is None or not pairs:
        return Verdict(target.name, target.what, target.text(), "–", None, doubt)
    ratios = [(row, mean_ratio([found]).value) for row, found in pairs]
    missing = [(row, value) for row, value in ratios if not target.met_by(value, target.limit_of(row))]
    if target.each:
        value = f"{number(min(r for _, r in ratios))} to {number(max(r for _, r in ratios))}, {len(ratios)} rows"
        met, far = not missing, f"{len(missing)} of {len(ratios)} rows miss it"
    else:
        middle = mean_ratio([found for _, found in pairs])
        value = f"{interval(middle)}, {len(pairs)} rows"
        met = target.met_by(middle.value, target.limit)
        far = f"{number(middle.value / (target.limit or 1))} times the target"
    decided = None if doubt or target.limit is None else met
    if decided is not False:
        return Verdict(target.name, target.what, target.text(), value, decided, doubt)
    guilty = [row for row, _ in missing] if target.each else [row for row, _ in pairs]
    notes = tuple(filter(None, (bounds.difference(row, target.above, target.below) for row in guilty)))
    missed = [(row.name, number(r), number(target.limit_of(row) or 0)) for row, r in missing] if target.each else []
    parts = bounds.summary(guilty, run.peaks)
    return Verdict(
        target.name, target.what, target.text(), value, False, far=far, parts=parts, notes=notes, missed=tuple(missed)
    )


def weigh_memory(run: Run | None) -> Verdict:
    """P6: the search step beside the plain one in the format that takes less."""
    rows = [] if run is None else run.of_kind(STEP)
    ratios = [(row, memory_ratio(row)) for row in rows]
    what, text = "peak memory of a search step ÷ plain, each", f"≤ {MEMORY_LIMIT}"
    doubt = why_none(run, rows, sum(row.timed[AUTO].batch == row.batch for row in rows))
    if not ratios:
        return Verdict("P6", what, text, "–", None, doubt)
    values = [value for _, value in ratios]
    value = f"{number(min(values))} to {number(max(values))}, mean {number(geometric_mean(values))}"
    over = [(row, value) for row, value in ratios if value > MEMORY_LIMIT]
    if doubt or not over:
        return Verdict("P6", what, text, value, None if doubt else True, doubt)
    notes = tuple(
        f"{row.task}: {bounds.consists(AUTO, row.memory[AUTO])}; {bounds.consists(plain, row.memory[plain])}"
        for row, plain in ((row, smaller_plain(row)) for row, _ in over)
    )
    missed = tuple((row.name, number(r), number(MEMORY_LIMIT)) for row, r in over)
    far = f"{len(over)} of {len(ratios)} rows miss it"
    return Verdict("P6", what, text, value, False, far=far, notes=notes, missed=missed)


def memory_ratio(row: Row) -> float:
    return row.memory[AUTO].peak / row.memory[smaller_plain(row)].peak


def smaller_plain(row: Row) -> str:
    """The column of the plain step that takes less memory."""
    return min(row.plains, key=lambda column: row.memory[column].peak)


def why_none(run: Run | None, rows: Sequence[Row], decided: int) -> str:
    """Why a run gives no verdict; empty if it does."""
    if run is None or not rows:
        return "not measured"
    if not run.whole:
        return "a selection, or too few laps"
    if run.failed:
        return f"{len(run.failed)} did not pass the gate"
    return "" if decided == len(rows) else f"{len(rows) - decided} of {len(rows)} with a smaller batch, or not run"


def interval(found: Ratio) -> str:
    return f"{number(found.value)} ({number(found.low)}–{number(found.high)})"


def number(value: float) -> str:
    """Three significant digits, never an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
