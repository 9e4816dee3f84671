# SPDX-License-Identifier: BSD-3-Clause
"""Runs in a process that kills itself at a place of one's choice, as a lack of memory or of power would."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from dash_search import ACCURACY, Config, search
from dash_search.run_folder import Record, RunFolder, Stage
from dash_search.stages import Tuning

from .conftest import Problem

CONFIG = Config(
    kernel_sizes=(3, 5), dilations=(1, 2), search_epochs=2, search_fraction=0.5, epochs=2, tune="short", tune_epochs=2
)
EPOCHS = 2 + 2 * 3 + 2 * 2
"""Of the search, trials and epochs of both networks: so many checkpoints are written."""


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Another view of a sample at every call."""

    def __init__(self, samples: Any) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        image, label = self._samples[i]
        return image + 0.1 * torch.randn(image.shape), label


def run(folder: Path, loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy) -> None:
    """All stages on a problem of milliseconds that draws at every turn: order, views, dropout, initial weights.

    A run that is in the folder is gone on with.
    """
    problem = Problem.small()
    problem.model.insert(2, nn.Dropout(0.2))  # type: ignore[operator]
    samples = problem.train.dataset
    train = DataLoader(Noisy(samples), 8, shuffle=True, generator=torch.Generator())
    apart = DataLoader(Noisy(Subset(samples, range(32))), 8, shuffle=True)
    tuning = Tuning(apart, DataLoader(Subset(samples, range(32, 48)), 8), ACCURACY, problem.model)
    search(
        problem.model,
        train,
        problem.valid,
        CONFIG,
        loss=loss,
        metric=ACCURACY,
        test=problem.test,
        tuning=tuning,
        set_dropout=lambda network, share: None,
        run_dir=folder,
        resume=(folder / "config.json").exists(),
        console=Console(quiet=True),
    )


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def epoch_killed(folder: Path, where: str) -> None:
    """Goes on with a run, or begins it, and dies in the second epoch from now, or at the end of the first."""
    append, save, steps, done = RunFolder.append, RunFolder.save, 0, 0

    def counting_loss(outputs: Tensor, targets: Tensor) -> Tensor:
        nonlocal steps
        steps += 1
        if where == "between two batches" and done and steps == 2:
            die()
        return nn.functional.cross_entropy(outputs, targets)

    def dying_append(self: RunFolder, stage: Stage, values: Any) -> Record:
        if where == "inside of a line of the log" and done:
            with (self.path / "log.jsonl").open("a") as log:
                log.write(json.dumps({**stage._asdict(), **values})[:40])
            die()
        record = append(self, stage, values)
        if where == "before the checkpoint" and done:
            die()
        return record

    def dying_save(self: RunFolder, *arguments: Any) -> None:
        nonlocal steps, done
        save(self, *arguments)
        steps, done = 0, done + 1
        if where == "after the checkpoint":
            die()

    with patch.object(RunFolder, "append", dying_append), patch.object(RunFolder, "save", dying_save):
        run(folder, counting_loss)


def write_killed(folder: Path, where: str) -> None:
    """Goes on with a run, or begins it, and dies while it writes a file, or thereafter."""
    when, name = where.split()
    replace = RunFolder._replace

    def dying(self: RunFolder, path: Path, content: bytes | memoryview) -> None:
        if (when, name) == ("inside", path.name):
            path.with_suffix(".tmp").write_bytes(content[: len(content) // 2])
            die()
        replace(self, path, content)
        if (when, name) == ("after", path.name):
            die()

    with patch.object(RunFolder, "_replace", dying):
        run(folder)


def _child(target: Callable[[Path, str], None], folder: Path, where: str) -> None:
    torch.set_num_threads(1)  # two would wait for each other wherever something else wants the cores
    torch.use_deterministic_algorithms(True, warn_only=True)  # memory is poisoned, as in all tests
    target(folder, where)


def left_alone(folder: Path, where: str) -> None:
    """Goes on with a run, or begins it."""
    run(folder)


def exit_status(target: Callable[[Path, str], None], folder: Path, where: str = "") -> int | None:
    """Runs one of the above in a process of its own; 0 where it came to its end, -SIGKILL where it died."""
    context = multiprocessing.get_context("forkserver")  # imports once, and has no threads that a fork would lose
    context.set_forkserver_preload(["dash_search", "optuna", "pytest", "torch._dynamo"])
    process = context.Process(target=_child, args=(target, folder, where))
    process.start()
    process.join()
    return process.exitcode
