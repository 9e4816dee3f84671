# SPDX-License-Identifier: BSD-3-Clause
"""From samples to one table, for the terminal and as markdown, and to JSON with everything behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .entries import Entry
from .rivals import FORMATS, MIXED_CONV, MIXTURES, PLAIN, Contestant
from .timing import Sample, geometric_mean, median, ratio

COLUMNS = (MIXED_CONV, f"{PLAIN}, {FORMATS[0]}", f"{PLAIN}, {FORMATS[1]}", *reversed(MIXTURES))
RATIOS = ("mixed results ÷ MixedConv", "MixedConv ÷ plain contiguous", "MixedConv ÷ faster plain")


@dataclass(frozen=True)
class Timed:
    """The samples of one contestant; ``column`` is its place in the table."""

    column: str
    batch: int
    memory_format: str
    samples: Sequence[Sample]

    @classmethod
    def of(cls, contestant: Contestant, samples: Sequence[Sample]) -> Timed:
        plain = contestant.name == PLAIN
        column = f"{PLAIN}, {contestant.memory_format}" if plain else contestant.name
        return cls(column, contestant.batch, contestant.memory_format, samples)

    @property
    def both(self) -> list[float]:
        return [sample.both for sample in self.samples]

    def cell(self, full_batch: int) -> str:
        forward = 1e3 * median([s.forward for s in self.samples])
        backward = 1e3 * median([s.backward for s in self.samples])
        cut = "" if self.batch == full_batch else f" (batch {self.batch})"
        return f"{number(forward)} + {number(backward)}{cut}"


def number(value: float) -> str:
    """Three significant digits, never an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


class Row:
    """One layer: everybody's time, and the ratios that compare them."""

    def __init__(self, entry: Entry, timed: Sequence[Timed]) -> None:
        self.entry = entry
        self.timed = {t.column: t for t in timed}
        contiguous, channels_last = (self.timed[f"{PLAIN}, {name}"] for name in FORMATS)
        faster = min(contiguous, channels_last, key=lambda t: median(t.both))
        pairs = (
            (self.timed["mixed results"], self.timed[MIXED_CONV]),
            (self.timed[MIXED_CONV], contiguous),
            (self.timed[MIXED_CONV], faster),
        )
        # Different batches are different work: such a row gives no verdict.
        self.ratios = {
            name: ratio(above.both, below.both) if above.batch == below.batch else None
            for name, (above, below) in zip(RATIOS, pairs, strict=True)
        }

    def cells(self) -> list[str]:
        times = [self.timed[c].cell(self.entry.batch) if c in self.timed else "not run" for c in COLUMNS]
        ratios = ["–" if r is None else f"{number(r[0])} ({number(r[1])}–{number(r[2])})" for r in self.ratios.values()]
        return [str(self.entry), *times, *ratios]

    def data(self) -> dict[str, Any]:
        return {
            "entry": {**vars(self.entry), "cut": dict(self.entry.cut)},
            "seconds": {
                t.column: {
                    "batch": t.batch,
                    "memory_format": t.memory_format,
                    "forward": [round(s.forward, 7) for s in t.samples],
                    "backward": [round(s.backward, 7) for s in t.samples],
                }
                for t in self.timed.values()
            },
            "ratios": {
                name: None if r is None else {"value": r[0], "low": r[1], "high": r[2]}
                for name, r in self.ratios.items()
            },
        }


def table(rows: Sequence[Row]) -> list[list[str]]:
    """Header, a line per layer, and the geometric means."""
    means = []
    for name in RATIOS:
        values = [r[0] for row in rows if (r := row.ratios[name]) is not None]
        means.append(f"{number(geometric_mean(values))} of {len(values)}" if values else "–")
    header = ["layer (batch, channels, size)", *(f"{column}, ms" for column in COLUMNS), *RATIOS]
    return [header, *(row.cells() for row in rows), ["geometric mean", *[""] * len(COLUMNS), *means]]


def markdown(rows: Sequence[Row], machine: dict[str, str], command: str) -> str:
    lines = table(rows)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines]
    text.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(
        (
            "# One layer, forward + backward",
            "",
            "Medians in milliseconds, float32, contestants in turns in one process; ratios of medians of forward and",
            "backward together, with 95 % bootstrap intervals. Milliseconds move with the machine: compare ratios.",
            "",
            *text,
            "",
            "; ".join(f"{name}: {value}" for name, value in machine.items()) + f". Command: `{command}`.",
            "",
        )
    )


def write(folder: Path, stem: str, rows: Sequence[Row], machine: dict[str, str], command: str) -> list[Path]:
    """Writes STEM.md and STEM.json, and says where."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row.data(), ensure_ascii=False) for row in rows)
    head = f'"machine": {json.dumps(machine, ensure_ascii=False)},\n"command": {json.dumps(command)},\n'
    data = f'{{\n{head}"rows": [\n{lines}\n]\n}}\n'
    paths = [folder / f"{stem}.md", folder / f"{stem}.json"]
    for path, text in zip(paths, (markdown(rows, machine, command), data), strict=True):
        path.write_text(text)
    return paths
