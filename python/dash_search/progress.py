# SPDX-License-Identifier: BSD-3-Clause
"""Progress on the terminal: a bar with the time left, and one line per epoch that also reads well in a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


def terminal() -> Console:
    """The console to print to: plain text as it is, lines as long as they are."""
    return Console(highlight=False, markup=False, soft_wrap=True)


class StageProgress:
    """Progress of one stage, made by :meth:`Progress.stage`."""

    def __init__(self, console: Console, bars: Bars, stage: str, epochs: int, steps: int, done: int) -> None:
        self._console = console
        self._bars = bars
        self._epochs = epochs
        self._bar = bars.add_task(stage, total=epochs * steps, completed=done * steps)
        self._seconds: list[float] = []

    def tick(self) -> None:
        """One batch is done."""
        self._bars.advance(self._bar)

    def epoch_done(self, record: dict[str, Any]) -> None:
        """Prints the line of an epoch from its record in the log."""
        self._seconds.append(record["seconds"])
        left = sum(self._seconds) / len(self._seconds) * (self._epochs - record["epoch"])
        shown = (name for name, value in record.items() if isinstance(value, float) and name != "seconds")
        numbers = "  ".join(f"{name.replace('_', ' ')} {record[name]:.4g}" for name in shown)
        self._console.print(
            f"{record['stage']:>8} {record['epoch']:>3}/{self._epochs}  {numbers}  "
            f"{record['seconds']:.1f} s, left in this stage {timedelta(seconds=round(left))}",
        )


class Progress:
    """Shows the stages of a run.

    Args:
        console: Where to; a quiet console shows nothing.
    """

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def stage(self, stage: str, epochs: int, steps: int, done: int) -> Iterator[StageProgress]:
        """Shows a stage of ``epochs`` with ``steps`` batches each, of which ``done`` epochs are over."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bars:
            yield StageProgress(self.console, bars, stage, epochs, steps, done)
