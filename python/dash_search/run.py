# SPDX-License-Identifier: BSD-3-Clause
"""A run of a built-in task: its data, loss, metric and backbones given to the search."""

from pathlib import Path

import torch
from rich.console import Console
from torch.utils.data import DataLoader

from .config import RunConfig
from .core import Result, search
from .randomness import Randomness
from .stages import Architecture
from .tasks import Task


def show_licences(task: Task, console: Console) -> None:
    """Prints where the data of a task comes from, and its terms, each source once."""
    for origin, licence in dict.fromkeys((file.origin, file.licence) for file in task.files):
        console.print(f"data: {origin}, licence: {licence}")


def run_task(
    task: Task,
    config: RunConfig,
    run_dir: Path,
    *,
    resume: bool,
    console: Console,
    architecture: Architecture | None = None,
) -> Result:
    """Searches, retrains and tests on a task.

    Args:
        task: The task, under the protocol of the settings.
        config: Settings, usually ``task.defaults`` with changes.
        run_dir: Folder for the results, new, or with ``resume`` that of the run to go on with.
        resume: Whether to go on with a run.
        console: Where to show the progress.
        architecture: Given one, nothing is searched: it is trained in place of one that was found.
    """
    show_licences(task, console)
    console.print(f"run folder: {run_dir}")
    backbone = task.backbone(config.backbone)
    splits = task.load(task.fetch(console.print))
    randomness = Randomness(config.seed, torch.device("cpu"), ())
    with randomness.preserved():
        randomness.seed("backbones")
        model = backbone.build(config.search_width, splits)
        final_model = backbone.build(config.width, splits, config.dropout)
    return search(
        model,
        DataLoader(splits.train, config.batch_size, shuffle=True),
        DataLoader(splits.valid, config.eval_batch_size),
        config,
        loss=task.loss,
        metric=task.metric,
        test=DataLoader(splits.test, config.eval_batch_size),
        final_model=final_model,
        architecture=architecture,
        initialise=backbone.initialise,
        remarks=[task.leaks] if task.leaks else [],
        run_dir=run_dir,
        resume=resume,
        console=console,
    )
