# SPDX-License-Identifier: BSD-3-Clause
"""A run as markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from .measure_kernels import LARGE_KERNEL, MANY, MANY_CANDIDATES, WIDEST
from .measure_steps import AUTO, NEVER, STEP
from .results import Row, Run, Stage
from .rivals import DK_CONV, MIXED_CONV, MIXED_RESULTS
from .targets import CONTIGUOUS, FASTER, Verdict, interval, memory_ratio, number, pair, percent
from .timing import Timed, mean_ratio, median

TITLES = {
    "dense": "Dense layers",
    "dense, strided": "Dense layers with a stride",
    "depthwise": "Depthwise layers",
    "depthwise, strided": "Depthwise layers with a stride",
    MANY_CANDIDATES: "49 candidates beside the widest alone",
    LARGE_KERNEL: "One large kernel",
    STEP: "Search steps and plain training steps",
}
OF_LAYERS = ((MIXED_CONV, CONTIGUOUS), (MIXED_CONV, FASTER), (MIXED_RESULTS, MIXED_CONV))
RATIOS = {
    MANY_CANDIDATES: ((MANY, WIDEST),),
    LARGE_KERNEL: ((DK_CONV, CONTIGUOUS), (DK_CONV, FASTER)),
    STEP: ((AUTO, FASTER), (NEVER, FASTER)),
}
HEAD = """\
Medians in milliseconds, forward + backward (with all that follows in a step), float32, in turns in one process; ratios
of medians of both together, with 95 % bootstrap intervals, and their geometric means, every row counting once.
Milliseconds move with the machine: compare ratios. "(3×)": a rival had so few turns, because it is slow. "batch n": it
had less than the whole batch, and gets no ratio.
"""
STAGES = """\
GFLOP/s and GB/s by the formulas in `bench/work.py`, and how near that is to the nearer of the two peaks, which were
measured in the same run: {flops:.0f} GFLOP/s (a matrix product) and {bytes:.1f} GB/s (a copy). A: arithmetic is the
nearer one, B: memory. An operator whose operands are in cache can exceed the second.
"""


def markdown(run: Run) -> str:
    """All tables of a run."""
    parts = [HEAD]
    for kind in run.kinds():
        rows = run.of_kind(kind)
        parts += [f"## {TITLES[kind]}\n", render(times(kind, rows))]
        if any(row.stages for row in rows):
            peaks = {name: value / 1e9 for name, value in run.peaks.items()}
            parts += [STAGES.format(**peaks), render(stage_table(run, rows))]
    if run.failed:
        parts.append("Not timed:\n" + "".join(f"- {line}\n" for line in run.failed))
    return f"# {run.command}\n\n" + "\n".join(parts) + f"\n{origin(run)}\n"


def origin(run: Run) -> str:
    facts = "; ".join(f"{name}: {value}" for name, value in run.machine.items())
    return f"{facts}. Command: `{run.command}`."


def times(kind: str, rows: Sequence[Row]) -> list[list[str]]:
    """A line per row, and the geometric means of the ratios."""
    columns = list(dict.fromkeys(column for row in rows for column in (*row.timed, *row.absent)))
    ratios = RATIOS.get(kind, OF_LAYERS)
    lines = [[kind, *(f"{column}, ms" for column in columns), *(f"{above} ÷ {below}" for above, below in ratios)]]
    means: list[list[tuple[list[float], list[float]]]] = [[] for _ in ratios]
    laps = max(len(row.timed[row.main].forward) for row in rows)
    for row in rows:
        cells = [cell(row.timed[c], row.batch, laps) if c in row.timed else row.absent.get(c, "–") for c in columns]
        for (above, below), collected in zip(ratios, means, strict=True):
            found = pair(row, above, below)
            cells.append(interval(mean_ratio([found])) if found else "–")
            collected += [found] if found else []
        lines.append([row.name, *cells])
    lines.append(["geometric mean", *[""] * len(columns), *(mean_cell(found) for found in means)])
    if any(row.memory for row in rows):
        lines[0] += ["peak memory, MiB", "memory of search step ÷ plain"]
        for line, row in zip(lines[1:], rows, strict=False):
            mebibytes = ", ".join(f"{column} {bytes_ / 2**20:.0f}" for column, bytes_ in row.memory.items())
            line += [mebibytes, number(memory_ratio(row))]
        lines[-1] += ["", ""]
    return lines


def cell(timed: Timed, batch: int, laps: int) -> str:
    text = f"{number(1e3 * median(timed.forward))} + {number(1e3 * median(timed.backward))}"
    notes = [f"batch {timed.batch}"] if timed.batch != batch else []
    notes += [f"{len(timed.forward)}×"] if len(timed.forward) < laps else []
    return f"{text} ({', '.join(notes)})" if notes else text


def mean_cell(pairs: Sequence[tuple[list[float], list[float]]]) -> str:
    return f"{interval(mean_ratio(pairs))} of {len(pairs)}" if pairs else "–"


def stage_table(run: Run, rows: Sequence[Row]) -> list[list[str]]:
    names = list(dict.fromkeys(stage.name for row in rows for stage in row.stages))
    lines = [["operator: ms, GFLOP/s, GB/s, share of peak", *names]]
    for row in rows:
        stages = {stage.name: stage for stage in row.stages}
        lines.append([row.name, *(stage_cell(run, stages[name]) if name in stages else "–" for name in names)])
    return lines


def stage_cell(run: Run, stage: Stage) -> str:
    arithmetic, memory = stage.bounds(run.peaks)
    nearer = f"{percent(max(arithmetic, memory) / stage.seconds)} {'A' if arithmetic >= memory else 'B'}"
    rates = f"{number(stage.flops / stage.seconds / 1e9)}, {number(stage.bytes / stage.seconds / 1e9)}"
    engine = "" if stage.engine == "fourier" else f" ({stage.engine})"
    return f"{number(1e3 * stage.seconds)}, {rates}, {nearer}{engine}"


def target_table(found: Sequence[Verdict]) -> list[list[str]]:
    lines = [["", "what", "target", "measured", "verdict", "note"]]
    return lines + [[v.name, v.what, v.target or "–", v.value, v.word(), v.note] for v in found]


def render(lines: Sequence[Sequence[str]]) -> str:
    """As a markdown table that also reads well as text."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines]
    text.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(text) + "\n"


def csv_text(run: Run) -> str:
    """A line per row and contestant with its medians, and a line per row and operator."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["kind", "row", "batch", "column", "batch of column", "memory format", "steps", "forward s", "backward s",
         "engine", "flops", "bytes", "peak memory bytes"]
    )  # fmt: skip
    for row in run.rows:
        start = [row.kind, row.name, row.batch]
        for column, t in row.timed.items():
            seconds = [round(median(t.forward), 7), round(median(t.backward), 7)]
            place = [column, t.batch, t.memory_format, len(t.forward)]
            writer.writerow([*start, *place, *seconds, "", "", "", row.memory.get(column, "")])
        for stage in row.stages:
            writer.writerow(
                [*start, stage.name, row.batch, "", "", stage.seconds, "", stage.engine, round(stage.flops),
                 round(stage.bytes), ""]
            )  # fmt: skip
    return out.getvalue()


def targets_csv(found: Sequence[Verdict]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(target_table(found))
    return out.getvalue()
