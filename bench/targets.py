# SPDX-License-Identifier: BSD-3-Clause
"""The targets, and what a run says to them. Only whole runs at the search's own batch sizes decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean

from .measure_kernels import LARGE_KERNEL, MANY, MANY_CANDIDATES, WIDEST
from .measure_steps import AUTO, NEVER, STEP
from .results import Row, Run
from .rivals import DK_CONV, MIXED_CONV, MIXED_RESULTS
from .timing import Ratio, geometric_mean, mean_ratio, median

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
        note: Why there is none, or by how much the target is missed and by whom.
    """

    name: str
    what: str
    target: str
    value: str
    met: bool | None
    note: str = ""

    def word(self) -> str:
        return {True: "met", False: "missed", None: "–" if not self.target else "no verdict"}[self.met]


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

    def met_by(self, value: float, task: str = "") -> bool:
        limit = self.other.get(task, self.limit)
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
    if not pairs:
        return Verdict(target.name, target.what, target.text(), "–", None, doubt)
    if target.each:
        ratios = [(row, mean_ratio([found]).value) for row, found in pairs]
        value = f"{number(min(r for _, r in ratios))} to {number(max(r for _, r in ratios))}, {len(ratios)} rows"
        missed = [f"{row.name} {number(r)}" for row, r in ratios if not target.met_by(r, row.task)]
        met, note = not missed, f"{len(missed)} of {len(ratios)} miss it: {'; '.join(missed)}"
    else:
        middle = mean_ratio([found for _, found in pairs])
        value = f"{interval(middle)}, {len(pairs)} rows"
        met, note = target.met_by(middle.value), f"{number(middle.value / (target.limit or 1))} times the target"
    note = "" if met else "; ".join(filter(None, (note, bounds(run, [row for row, _ in pairs]))))
    decided = None if doubt or target.limit is None else met
    return Verdict(target.name, target.what, target.text(), value, decided, doubt or note)


def weigh_memory(run: Run | None) -> Verdict:
    """P6: the search step beside the plain one in the format that takes less."""
    rows = [] if run is None else run.of_kind(STEP)
    ratios = {row.task: memory_ratio(row) for row in rows}
    what, text = "peak memory of a search step ÷ plain, each", f"≤ {MEMORY_LIMIT}"
    doubt = why_none(run, rows, sum(row.timed[AUTO].batch == row.batch for row in rows))
    if not ratios:
        return Verdict("P6", what, text, "–", None, doubt)
    mean_of_all = number(geometric_mean([*ratios.values()]))
    value = f"{number(min(ratios.values()))} to {number(max(ratios.values()))}, mean {mean_of_all}"
    over = [f"{task} {number(r)}" for task, r in ratios.items() if r > MEMORY_LIMIT]
    note = f"{len(over)} of {len(ratios)} miss it: {'; '.join(over)}" if over else ""
    return Verdict("P6", what, text, value, None if doubt else not over, doubt or note)


def memory_ratio(row: Row) -> float:
    return row.memory[AUTO] / min(bytes_ for column, bytes_ in row.memory.items() if column.startswith("plain"))


def why_none(run: Run | None, rows: Sequence[Row], decided: int) -> str:
    """Why a run gives no verdict; empty if it does."""
    if run is None or not rows:
        return "not measured"
    if not run.whole:
        return "a selection, or too few laps"
    if run.failed:
        return f"{len(run.failed)} did not pass the gate"
    return "" if decided == len(rows) else f"{len(rows) - decided} of {len(rows)} with a smaller batch, or not run"


def bounds(run: Run | None, rows: Sequence[Row]) -> str:
    """What holds the steps of these rows back, from the stages' work and the machine's peaks; empty without stages."""
    rows = [row for row in rows if row.stages]
    if run is None or not rows:
        return ""
    peaks = run.peaks
    seconds = [median(row.timed[row.main].both) for row in rows]
    inside = [sum(stage.seconds for stage in row.stages) for row in rows]
    floors = [sum(max(stage.bounds(peaks)) for stage in row.stages) for row in rows]
    by_arithmetic = [sum(s.seconds for s in row.stages if s.bounds(peaks)[0] >= s.bounds(peaks)[1]) for row in rows]
    plain = [median(row.timed[row.faster_plain()].both) for row in rows]
    possible = number(geometric_mean(quotients(floors, plain)))
    return (
        f"arithmetic bounds {share(by_arithmetic, inside)} of the operators' time, memory the rest; at the peaks they "
        f"would take {share(floors, seconds)} of the step, {possible} times the faster plain one; "
        f"{percent(1 - mean(quotients(inside, seconds)))} of the step is outside of them"
    )


def quotients(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]


def share(parts: Sequence[float], wholes: Sequence[float]) -> str:
    """The mean of the quotients, so that every layer counts alike."""
    return percent(mean(quotients(parts, wholes)))


def interval(found: Ratio) -> str:
    return f"{number(found.value)} ({number(found.low)}–{number(found.high)})"


def number(value: float) -> str:
    """Three significant digits, never an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"
