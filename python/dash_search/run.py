# SPDX-License-Identifier: BSD-3-Clause
"""A run of a built-in task: its data, loss, metric and backbones given to the search."""

import dataclasses
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor
from torch.utils.data import DataLoader

from .config import RunConfig
from .core import Result, search
from .tasks import Task


def run_task(task: Task, config: RunConfig, run_dir: Path, *, resume: bool, console: Console) -> Result:
    """Searches, retrains and tests on a task.

    Args:
        task: The task.
        config: Settings, usually ``task.defaults`` with changes.
        run_dir: Folder for the results, new, or with ``resume`` that of the run to go on with.
        resume: Whether to go on with a run.
        console: Where to show the progress.
    """
    for file in task.files:
        console.print(f"data: {file.requirement}, licence: {file.licence}")
    console.print(f"run folder: {run_dir}")
    splits = task.load()
    decode = splits.decode

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return task.loss(decode(outputs), targets)

    def compute(outputs: Tensor, targets: Tensor) -> float:
        return task.metric.compute(decode(outputs), targets)

    torch.manual_seed(config.seed)
    return search(
        task.backbone(config.search_width),
        DataLoader(splits.train, config.batch_size, shuffle=True),
        DataLoader(splits.valid, config.batch_size),
        config,
        loss=loss,
        metric=dataclasses.replace(task.metric, compute=compute),
        test=DataLoader(splits.test, config.batch_size),
        final_model=task.backbone(config.width),
        initialise=task.initialise,
        run_dir=run_dir,
        resume=resume,
        console=console,
    )
