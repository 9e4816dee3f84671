# SPDX-License-Identifier: BSD-3-Clause
"""What a run found, as data: to JSON and back. Tables, plots and verdicts are made from it and from nothing else."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .timing import Ratio, Timed, median, ratio

PLAIN = "plain"
"""Columns of the plain convolution, or network, begin with it, and name its memory format."""


@dataclass(frozen=True)
class Stage:
    """One operator within a step.

    Attributes:
        name: Of the operator.
        engine: Who computed it.
        seconds: Median.
        flops, bytes: The arithmetic it takes that engine, by `work.py`, and the memory that must be moved.
    """

    name: str
    engine: str
    seconds: float
    flops: float
    bytes: float

    def bounds(self, peaks: Mapping[str, float]) -> tuple[float, float]:
        """Seconds that the arithmetic alone, and the memory alone, would take at the machine's peaks."""
        return self.flops / peaks["flops"], self.bytes / peaks["bytes"]


@dataclass(frozen=True)
class Row:
    """One layer, or one search step.

    Attributes:
        kind: Rows of a kind share a table.
        task, name: Whose it is, and what.
        batch: What a step takes in the search; a contestant with another batch gets no verdict.
        timed: The contestants by column; the first is the one that the others are rivals of.
        absent: Why others were not timed, by column.
        stages: The operators within a step of the first.
        memory: Bytes at the peak of a step above its start, by column.
    """

    kind: str
    task: str
    name: str
    batch: int
    timed: Mapping[str, Timed]
    absent: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    memory: Mapping[str, int] = field(default_factory=dict)

    @property
    def main(self) -> str:
        return next(iter(self.timed))

    def faster_plain(self) -> str:
        """The column of the plain one that is faster here."""
        plain = [column for column in self.timed if column.startswith(PLAIN)]
        return min(plain, key=lambda column: median(self.timed[column].both))

    def pair(self, above: str, below: str) -> tuple[list[float], list[float]] | None:
        """Both contestants' steps; None where one was not timed or had another batch than the search."""
        if above not in self.timed or below not in self.timed:
            return None
        pair = self.timed[above], self.timed[below]
        return (pair[0].both, pair[1].both) if all(t.batch == self.batch for t in pair) else None

    def ratio(self, above: str, below: str) -> Ratio | None:
        pair = self.pair(above, below)
        return pair and ratio(*pair)


@dataclass(frozen=True)
class Run:
    """Everything one command measured.

    Attributes:
        command: Which.
        whole: Whether it measured all there is, with all laps: nothing else gives a verdict.
        machine: What figures depend on besides the code.
        peaks: "flops" and "bytes" per second, measured in the same run.
        rows: Layers or steps.
        failed: What computed something else, and so was not timed.
    """

    command: str
    whole: bool
    machine: Mapping[str, str]
    peaks: Mapping[str, float]
    rows: tuple[Row, ...]
    failed: tuple[str, ...] = ()

    def of_kind(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row.kind == kind]

    def kinds(self) -> list[str]:
        return list(dict.fromkeys(row.kind for row in self.rows))

    def save(self, path: Path) -> None:
        """As JSON, a line per row."""
        data = dataclasses.asdict(self)
        rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in data.pop("rows"))
        head = "".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)},\n" for key, value in data.items())
        path.write_text(f'{{\n{head}"rows": [\n{rows}\n]\n}}\n')

    @classmethod
    def load(cls, path: Path) -> Run:
        data = json.loads(path.read_text())
        rows = tuple(_row(row) for row in data.pop("rows"))
        return cls(**{**data, "failed": tuple(data["failed"])}, rows=rows)


def _row(data: dict[str, Any]) -> Row:
    timed = {
        column: Timed(**{**steps, "forward": tuple(steps["forward"]), "backward": tuple(steps["backward"])})
        for column, steps in data["timed"].items()
    }
    return Row(**{**data, "timed": timed, "stages": tuple(Stage(**stage) for stage in data["stages"])})
