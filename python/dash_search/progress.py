# SPDX-License-Identifier: BSD-3-Clause
"""Progress on the terminal: a bar with the time left, and one line per epoch that also reads well in a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .run_folder import Record, Stage


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        """Leaves the error to the command, where rich would end the process without a word."""
        raise  # rich calls this while it handles the error


def terminal() -> Console:
    """The console to print to: plain text as it is, lines as long as they are."""
    return _Terminal(highlight=False, markup=False, soft_wrap=True)


class StageProgress:
    """Progress of one stage, made by :func:`show_stage`."""

    def __init__(self, bars: Progress, stage: Stage, epochs: int, steps: int, done: int) -> None:
        self._bars, self._stage, self._epochs = bars, stage, epochs
        self._bar = bars.add_task(str(stage), total=epochs * steps, completed=done * steps)
        self._seconds: list[float] = []

    def tick(self) -> None:
        """One batch is done."""
        self._bars.advance(self._bar)

    def epoch_done(self, record: Record) -> None:
        """Prints the line of an epoch from its record in the log."""
        self._seconds.append(record["seconds"])
        left = sum(self._seconds) / len(self._seconds) * (self._epochs - record["epoch"])
        shown = (name for name, value in record.items() if isinstance(value, float) and name != "seconds")
        numbers = "  ".join(f"{name.replace('_', ' ')} {record[name]:.4g}" for name in shown)
        self._bars.console.print(
            f"{self._stage!s:>16} {record['epoch']:>3}/{self._epochs}  {numbers}  "
            f"{record['seconds']:.1f} s, left in this stage {timedelta(seconds=round(left))}",
        )


@contextmanager
def show_stage(console: Console, stage: Stage, epochs: int, steps: int, done: int) -> Iterator[StageProgress]:
    """Shows a stage of ``epochs`` with ``steps`` batches each, of which ``done`` epochs are over."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield StageProgress(bars, stage, epochs, steps, done)
