# SPDX-License-Identifier: BSD-3-Clause
"""A run whose folder is open, after everything that its stages will do was tried out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from . import preflight
from .config import Config
from .environment import engines_in_use
from .given import Given
from .networks import Networks, try_final, try_search
from .problem import Problem
from .progress import terminal
from .randomness import Randomness
from .run_folder import RunFolder
from .stages import Architecture, Hyperparameters, tune
from .training import Job, pairs


@dataclass(frozen=True)
class Run:
    """A run whose folder is open: what its stages work with.

    Attributes:
        problem: What to search a network for.
        given: What is taken over from earlier runs.
        values: The hyper-parameters among it, of each network that is trained and complete; None if none are given.
        build: Makes the networks.
        job: What each stage takes.
    """

    problem: Problem
    given: Given
    values: dict[str, Hyperparameters] | None
    build: Networks
    job: Job
    _engines: dict[str, Any] = field(default_factory=dict)

    def record_engines(self, networks: Mapping[str, nn.Module]) -> None:
        """Adds to ``engines.json`` which engine computes what in each network on a training batch."""
        inputs, _ = next(pairs(self.job.train, self.job.config.device))
        self._engines.update({name: engines_in_use(network, inputs) for name, network in networks.items()})
        self.job.folder.write_json("engines.json", self._engines)

    def tune(self, network: str, architecture: Architecture) -> Hyperparameters:
        """Chooses the hyper-parameters of a network by trials, on what the problem has for tuning."""
        tuning, with_dropout = self.problem.tuning, self.problem.set_dropout is not None
        job = replace(self.job, train=tuning.train, valid=tuning.valid, metric=tuning.metric)
        build = partial(_of_tuning(self.build).final, network, architecture)
        return tune(job, network, build, with_dropout=with_dropout)


@contextmanager
def opened(
    problem: Problem,
    config: Config,
    given: Given,
    run_dir: Path | None,
    resume: bool,
    console: Console | None,
    *,
    trains: bool = True,
    tunes: bool = False,
) -> Iterator[Run]:
    """Tries everything out that the stages to come will do, and opens the folder of a run.

    Args:
        problem, config, given, run_dir, resume, console: As :func:`dash_search.search` takes them.
        trains: Whether the networks of an architecture are trained.
        tunes: Whether trials choose how.
    """
    if tunes:
        preflight.check_tuning(config)
    apart = problem.apart if tunes else {}
    for name, batches in (*problem.parts.items(), *apart.items()):
        preflight.check_loader(name, batches)
    console = terminal() if console is None else console
    with preflight.computing(config), torch.inference_mode(False), torch.enable_grad():
        loaders = [*problem.parts.values(), *apart.values()]
        randomness = Randomness(config.seed, torch.device(config.device), loaders)
        with randomness.preserved():
            build = Networks(problem, config, randomness)
            values = given.values(config, with_dropout=problem.set_dropout is not None)
            trial = try_search(build) if given.architecture is None else given.architecture
            trained = given.trained(trial, config)
            if trains:
                try_final(build, trained, problem.parts, problem.metric)
            if apart:  # one network tells whether these parts can be used
                first = dict([next(iter(trained.items()))])
                try_final(_of_tuning(build), first, apart, problem.tuning.metric)
            identity = {**problem.identity(), **replace(given, hyperparameters=values).identity()}
            path = default_run_dir() if run_dir is None else run_dir
            with RunFolder(path, config, identity, resume=resume) as folder:
                console.print(f"run folder: {path}")
                job = Job(
                    problem.train, problem.valid, problem.loss, problem.metric, config, randomness, folder, console
                )
                yield Run(problem, given, values, build, job)


def _of_tuning(build: Networks) -> Networks:
    """The same, of the network that tuning trains."""
    return replace(build, problem=replace(build.problem, final_model=build.problem.tuning.final_model))


def default_run_dir(prefix: str = "run") -> Path:
    """A folder name under ``runs`` with the time in it, to the microsecond."""
    return Path("runs") / f"{prefix}-{datetime.now():%Y%m%d-%H%M%S-%f}"
