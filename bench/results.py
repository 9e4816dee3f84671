# SPDX-License-Identifier: BSD-3-Clause
"""What a run found, as data: to JSON and back. Tables, plots and verdicts are made from it and from nothing else."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import files
from .timing import Ratio, Timed, median, ratio
from .work import Work

PLAIN = "plain"
"""Columns of the plain convolution, or network, begin with it, and name its memory format."""


@dataclass(frozen=True)
class Stage:
    """An operator within a step, or all its calls together.

    Attributes:
        name: Of the operator.
        engine: Who computed it.
        seconds: Median.
        work: What it takes that engine, by `work.py`.
    """

    name: str
    engine: str
    seconds: float
    work: Work


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of a step above its start, and what they are.

    Attributes:
        peak: All of them.
        activations: What autograd keeps for the backward pass that has a value per sample.
        taps: The rest of what it keeps: weights on the tap lattice, statistics.
        workspace: What lies on huge pages after the step: what the library, or torch, keeps from call to call.
    """

    peak: int
    activations: int
    taps: int
    workspace: int

    @property
    def rest(self) -> int:
        """Gradients on their way, torch's scratch memory, whatever comes and goes."""
        return self.peak - self.activations - self.taps - self.workspace


@dataclass(frozen=True)
class Row:
    """One layer, or one search step.

    Attributes:
        kind: Rows of a kind share a table.
        task, name: Whose it is, and what.
        batch: What a step takes in the search; a contestant with another batch gets no verdict.
        timed: The contestants by column; the first is the one that the others are rivals of.
        absent: Why others were not timed, by column.
        stages: The operators within a step, by column of those that were looked into.
        memory: What a step takes above its start, by column.
    """

    kind: str
    task: str
    name: str
    batch: int
    timed: Mapping[str, Timed]
    absent: Mapping[str, str] = field(default_factory=dict)
    stages: Mapping[str, tuple[Stage, ...]] = field(default_factory=dict)
    memory: Mapping[str, Memory] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """No other row of a run has it."""
        return self.kind, self.name

    @property
    def main(self) -> str:
        return next(iter(self.timed))

    @property
    def plains(self) -> list[str]:
        """The columns of the plain one."""
        return [column for column in self.timed if column.startswith(PLAIN)]

    def faster_plain(self) -> str:
        """The column of the plain one that is faster here."""
        return min(self.plains, key=lambda column: median(self.timed[column].both))

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
        sittings: How often it was begun or resumed.
    """

    command: str
    whole: bool
    machine: Mapping[str, str]
    peaks: Mapping[str, float]
    rows: tuple[Row, ...]
    failed: tuple[str, ...] = ()
    sittings: int = 1

    def of_kind(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row.kind == kind]

    def kinds(self) -> list[str]:
        return list(dict.fromkeys(row.kind for row in self.rows))

    def save(self, path: Path) -> None:
        """As JSON, a line per row."""
        data = dataclasses.asdict(self)
        rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in data.pop("rows"))
        head = "".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)},\n" for key, value in data.items())
        files.write(path, f'{{\n{head}"rows": [\n{rows}\n]\n}}\n')

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
    stages = {
        column: tuple(Stage(**{**stage, "work": Work(**stage["work"])}) for stage in found)
        for column, found in data["stages"].items()
    }
    memory = {column: Memory(**found) for column, found in data["memory"].items()}
    return Row(**{**data, "timed": timed, "stages": stages, "memory": memory})
