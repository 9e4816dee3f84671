# SPDX-License-Identifier: BSD-3-Clause
"""Runs of a built-in task: its data, loss, metric and backbones given to the stages."""

from collections.abc import Mapping
from pathlib import Path

import torch
from rich.console import Console
from torch import nn
from torch.utils.data import DataLoader

from .config import RunConfig
from .data.splits import Splits
from .errors import SettingsError
from .given import Given
from .pipeline import Result, only_search, only_tune, search_and_train
from .problem import Problem
from .randomness import Randomness
from .stages import Architecture, Hyperparameters, Tuning
from .tasks import TASKS, Task
from .training import Batches


def find_task(name: str, protocol: str) -> Task:
    """The built-in task of a name, under a protocol.

    Raises:
        SettingsError: There is none.
    """
    if name not in TASKS:
        raise SettingsError(f"there is no task {name!r}. Tasks: {', '.join(TASKS)}.")
    return TASKS[name].under(protocol)


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
    hyperparameters: Mapping[str, Hyperparameters] | None = None,
) -> Result:
    """Searches, retrains and tests on a task.

    Args:
        task: The task, under the protocol of the settings.
        config: Settings, usually ``task.defaults`` with changes.
        run_dir: Folder for the results, new, or with ``resume`` that of the run to go on with.
        resume: Whether to go on with a run.
        console: Where to show the progress.
        architecture: Given one, nothing is searched: it is trained in place of one that was found.
        hyperparameters: Given them, by network, nothing is tuned.
    """
    given = Given(architecture, hyperparameters)
    tunes = config.tune != "none" and hyperparameters is None
    problem = load_problem(task, config, console, tunes=tunes)
    return search_and_train(problem, config, given, run_dir, resume=resume, console=console)


def search_task(task: Task, config: RunConfig, run_dir: Path, *, resume: bool, console: Console) -> Architecture:
    """Only searches; for the arguments see :func:`run_task`, which can go on in the same folder."""
    problem = load_problem(task, config, console, tunes=False)
    return only_search(problem, config, run_dir, resume=resume, console=console)


def tune_task(
    task: Task, config: RunConfig, run_dir: Path, *, resume: bool, console: Console, architecture: Architecture
) -> dict[str, Hyperparameters]:
    """Only tunes; for the arguments see :func:`run_task`, which can go on in the same folder."""
    problem = load_problem(task, config, console, tunes=True)
    return only_tune(problem, config, Given(architecture), run_dir, resume=resume, console=console)


def load_problem(task: Task, config: RunConfig, console: Console, *, tunes: bool) -> Problem:
    """The data, networks, loss and metric of a task; says where they come from and what must be known of them.

    Args:
        task, config, console: As :func:`run_task` takes them.
        tunes: Whether hyper-parameters will be tuned, which may take other parts of the data.

    Raises:
        SettingsError: The task has no such backbone.
        DataError: Its data cannot be had, or are damaged.
    """
    show_licences(task, console)
    backbone = task.backbone(config.backbone)
    splits = task.load(task.fetch(console.print))
    remarks = [*([task.leaks] if task.leaks else []), *splits.remarks]
    for remark in remarks:
        console.print(f"note: {remark}")
    model, final_model = _backbones(task, config, splits)
    train, valid = _loaders(config, splits)
    tuning = Tuning(train, valid, task.metric, final_model)
    if tunes and task.leaks:  # then the validation part is the test part, which chooses nothing here
        clean = TASKS[task.name]
        apart = clean.load(clean.fetch(console.print))
        tuning = Tuning(*_loaders(config, apart), clean.metric, _backbones(task, config, apart)[1])
    return Problem(
        model,
        final_model,
        train,
        valid,
        DataLoader(splits.test, config.eval_batch_size),
        task.loss,
        task.metric,
        backbone.initialise,
        backbone.set_dropout,
        tuning,
        tuple(remarks),
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
