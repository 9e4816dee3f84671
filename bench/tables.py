# SPDX-License-Identifier: BSD-3-Clause
"""A run and the verdicts as markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from .measure_kernels import LARGE_KERNEL, MANY, MANY_CANDIDATES, WIDEST
from .measure_steps import AUTO, NEVER, STEP
from .results import Row, Run
from .rivals import DK_CONV, MIXED_CONV, MIXED_RESULTS
from .targets import CONTIGUOUS, FASTER, Verdict, interval, memory_ratio, number, pair
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
MEMORY = """\
Memory of a step at its peak, above its start, and what it is then: activations and taps are what autograd keeps for the
backward pass with and without a value per sample; the workspace is all that lies on huge pages after the step: what the
library keeps from call to call, idle or not, and in plain steps too what torch keeps; the rest are gradients on their
way and scratch memory of torch.
"""
BOUNDS = """\
## What bounds those that are missed

Means over the rows that count (where each row is to keep a limit, those that miss it): the share of a step that its
operators take; what their work would take at the peaks of the machine, in all and by part (see `*-bounds.md`, row by
row); what a step takes outside of them; how many rows are bound by what; and, with the faster plain one below, what the
operators would take at the peaks and what is outside of them.
"""
PART = '**Only a part of the run was measured ("whole": false): no target gets a verdict from it.**\n'


def markdown(run: Run) -> str:
    """All tables of a run."""
    parts = [] if run.whole else [PART]
    parts.append(HEAD)
    for kind in run.kinds():
        rows = run.of_kind(kind)
        parts += [f"## {TITLES[kind]}\n", render(times(kind, rows))]
        if any(row.memory for row in rows):
            parts += [MEMORY, render(memory_table(rows))]
    if run.failed:
        parts.append("Not timed:\n" + "".join(f"- {line}\n" for line in run.failed))
    return f"# {run.command}\n\n" + "\n".join(parts) + f"\n{origin(run)}\n"


def origin(run: Run) -> str:
    facts = "; ".join(f"{name}: {value}" for name, value in run.machine.items())
    sittings = f" In {run.sittings} sittings." if run.sittings > 1 else ""
    return f"{facts}. Command: `{run.command}`.{sittings}"


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
    return lines


def memory_table(rows: Sequence[Row]) -> list[list[str]]:
    """A line per step, and the ratio beside that of the search."""
    names = ["peak", "activations", "taps", "workspace", "rest"]
    lines = [["MiB", "", *names, f"{AUTO} ÷ plain"]]
    for row in rows:
        for column, memory in row.memory.items():
            ratio = number(memory_ratio(row)) if column == AUTO else ""
            lines.append([row.name, column, *(f"{getattr(memory, name) / 2**20:.0f}" for name in names), ratio])
    return lines


def cell(timed: Timed, batch: int, laps: int) -> str:
    text = f"{number(1e3 * median(timed.forward))} + {number(1e3 * median(timed.backward))}"
    notes = [f"batch {timed.batch}"] if timed.batch != batch else []
    notes += [f"{len(timed.forward)}×"] if len(timed.forward) < laps else []
    return f"{text} ({', '.join(notes)})" if notes else text


def mean_cell(pairs: Sequence[tuple[list[float], list[float]]]) -> str:
    return f"{interval(mean_ratio(pairs))} of {len(pairs)}" if pairs else "–"


def targets_markdown(found: Sequence[Verdict]) -> str:
    """The verdicts; what bounds those that are missed; the rows to blame where each one counts."""
    parts = [render(target_table(found))]
    missed = [verdict for verdict in found if verdict.met is False]
    names = list(dict.fromkeys(name for verdict in missed for name in verdict.parts))
    if names:
        lines = [[v.name, v.what, v.far, *(v.parts.get(name, "–") for name in names)] for v in missed]
        parts.append(BOUNDS + "\n" + render([["", "what", "misses by", *names], *lines]))
    parts += [f"- {v.name}, {v.what}: {note}.\n" for v in missed for note in v.notes]
    rows = [[verdict.name, verdict.what, *row] for verdict in missed for row in verdict.missed]
    if rows:
        parts.append(
            "## Rows that miss a target for each\n\n" + render([["", "what", "row", "measured", "limit"], *rows])
        )
    return "\n".join(parts)


def target_table(found: Sequence[Verdict]) -> list[list[str]]:
    lines = [["", "what", "target", "measured", "verdict"]]
    return lines + [[v.name, v.what, v.target or "–", v.value, v.word()] for v in found]


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
         "engine", "flops of products", "flops of transforms", "bytes", "peak memory bytes"]
    )  # fmt: skip
    for row in run.rows:
        start = [row.kind, row.name, row.batch]
        for column, t in row.timed.items():
            seconds = [round(median(t.forward), 7), round(median(t.backward), 7)]
            place = [column, t.batch, t.memory_format, len(t.forward)]
            peak = row.memory[column].peak if column in row.memory else ""
            writer.writerow([*start, *place, *seconds, "", "", "", "", peak])
        for column, stages in row.stages.items():
            for stage in stages:
                work = [round(amount) for amount in (stage.work.products, stage.work.transforms, stage.work.bytes)]
                place = [f"{column}: {stage.name}", row.batch, "", ""]
                writer.writerow([*start, *place, stage.seconds, "", stage.engine, *work, ""])
    return out.getvalue()


def targets_csv(found: Sequence[Verdict]) -> str:
    head, *lines = target_table(found)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*head, "misses by", "what bounds it"])
    for line, v in zip(lines, found, strict=True):
        parts = [f"{name} {value}" for name, value in v.parts.items()]
        writer.writerow([*line, v.far, "; ".join([*parts, *v.notes])])
    return out.getvalue()
