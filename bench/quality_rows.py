# SPDX-License-Identifier: BSD-3-Clause
"""What the quality benchmark found, as data: a line of a CSV file per task, seed and method."""

from __future__ import annotations

import csv
import dataclasses
import io
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files

BASELINES = PLAIN, RANDOM, FIXED = ("plain", "random", "best of 4 fixed")
SEARCHES = DASH, MENDED = ("DASH", "mended")
METHODS = BASELINES + SEARCHES
"""Ways to choose kernel sizes and dilations, in the order in which they are measured and shown."""

Key = tuple[str, int, str]
"""Task, seed and method of a row."""


@dataclass(frozen=True)
class Row:
    """One method on one task with one seed; scores, parameters and seconds are those in the run folders.

    Attributes:
        task, seed, method: Which.
        metric: Name of the score.
        higher_is_better: Which way it improves.
        test, valid: Score of the network that was kept, on the test and on the validation part.
        parameters: How many it has.
        search_seconds, train_seconds, test_seconds: Of each stage, over all networks that the method trained.
        chosen: Kernel size and dilation where one pair was chosen for all layers, else empty.
        settings: Digest of settings and architectures: a row with another one is another row.
        folders: The run folders under ``runs/quality``, separated by spaces.
        machine: What figures depend on besides, as text.
    """

    task: str
    seed: int
    method: str
    metric: str
    higher_is_better: bool
    test: float
    valid: float
    parameters: int
    search_seconds: float
    train_seconds: float
    test_seconds: float
    chosen: str
    settings: str
    folders: str
    machine: str

    @property
    def key(self) -> Key:
        """No other row has it."""
        return self.task, self.seed, self.method

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return self.search_seconds + self.train_seconds + self.test_seconds


Rows = Mapping[Key, Row]
_FIELDS = [field.name for field in dataclasses.fields(Row)]
_KINDS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("seed", "parameters"), int),
    **dict.fromkeys(("test", "valid", "search_seconds", "train_seconds", "test_seconds"), float),
    "higher_is_better": lambda text: text == "True",
}


def ordered(rows: Iterable[Row]) -> list[Row]:
    """By task, seed and method, whenever they were measured."""
    return sorted(rows, key=lambda row: (row.task, row.seed, METHODS.index(row.method)))


def save(path: Path, rows: Iterable[Row]) -> None:
    """Writes a file of rows, in order."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_FIELDS)
    writer.writerows(dataclasses.astuple(row) for row in ordered(rows))
    files.write(path, text.getvalue())


def load(path: Path) -> dict[Key, Row]:
    """The rows of a file, none if there is no such file.

    Raises:
        SystemExit: It is no file of such rows.
    """
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != _FIELDS:
            sys.exit(f"{path} has other columns than {', '.join(_FIELDS)}: move it away to measure anew")
        rows = [Row(**{name: _KINDS.get(name, str)(text) for name, text in line.items()}) for line in reader]
    return {row.key: row for row in rows}
