# SPDX-License-Identifier: BSD-3-Clause
"""A run of a built-in task: its data, loss, metric and backbones given to the search."""

from pathlib import Path

import torch
from rich.console import Console
from torch import nn
from torch.utils.data import DataLoader

from .config import RunConfig
from .core import Result, search
from .data.splits import Splits
from .randomness import Randomness
from .stages import Architecture, Tuning
from .tasks import TASKS, Task
from .training import Batches


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
    remarks = [*([task.leaks] if task.leaks else []), *splits.remarks]
    for remark in remarks:
        console.print(f"note: {remark}")
    model, final_model = _backbones(task, config, splits)
    train, valid = _loaders(config, splits)
    tuning = None
    if config.tune != "none" and task.leaks:  # then the validation part is the test part, which chooses nothing here
        clean = TASKS[task.name]
        apart = clean.load(clean.fetch(console.print))
        tuning = Tuning(*_loaders(config, apart), clean.metric, _backbones(task, config, apart)[1])
    return search(
        model,
        train,
        valid,
        config,
        loss=task.loss,
        metric=task.metric,
        test=DataLoader(splits.test, config.eval_batch_size),
        final_model=final_model,
        architecture=architecture,
        initialise=backbone.initialise,
        set_dropout=backbone.set_dropout,
        tuning=tuning,
        remarks=remarks,
        run_dir=run_dir,
        resume=resume,
        console=console,
    )


def _backbones(task: Task, config: RunConfig, splits: Splits) -> tuple[nn.Module, nn.Module]:
    """The network to search and the one to train, with the same weights whenever they are built."""
    build = task.backbone(config.backbone).build
    randomness = Randomness(config.seed, torch.device("cpu"), ())
    with randomness.preserved():
        randomness.seed("backbones")
        return build(config.search_width, splits), build(config.width, splits, config.dropout)


def _loaders(config: RunConfig, splits: Splits) -> tuple[Batches, Batches]:
    """Of the training and of the validation part."""
    train = DataLoader(splits.train, config.batch_size, shuffle=True)
    return train, DataLoader(splits.valid, config.eval_batch_size)
