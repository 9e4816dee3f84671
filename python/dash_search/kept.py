# SPDX-License-Identifier: BSD-3-Clause
"""What a finished run of a built-in task kept: its problem, its result, and its networks built and loaded again."""

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from .config import RunConfig
from .errors import RunFolderError, SettingsError
from .given import PLAIN, Given
from .networks import Networks
from .problem import Problem
from .randomness import Randomness
from .run import find_task, load_problem
from .run_folder import differences, read_object
from .stages import Architecture


@dataclass(frozen=True)
class Kept:
    """A finished run.

    Attributes:
        folder: Where it is.
        config: Its settings, with the device to compute on now.
        problem: The data, networks, loss and metric of its task.
        scores: As ``result.json`` has them, by network.
    """

    folder: Path
    config: RunConfig
    problem: Problem
    scores: dict[str, dict[str, float]]

    def network(self, name: str) -> nn.Module:
        """A network with the weights that were kept, in evaluation mode, on the device of the settings.

        Raises:
            SettingsError: The run trained no such network, or the network cannot have its architecture.
            RunFolderError: A file is missing, damaged, or of another network.
        """
        if name not in self.scores:
            raise SettingsError(
                f"the run in {self.folder} trained no network {name!r}: it has {', '.join(self.scores)}."
            )
        architecture: Architecture = {} if name == PLAIN else read_object(self.folder / "architecture.json")
        path = self.folder / f"{name}.pt"
        randomness = Randomness(self.config.seed, torch.device(self.config.device), ())
        with randomness.preserved():
            network = Networks(self.problem, self.config, randomness).final(name, architecture)
        try:
            network.load_state_dict(torch.load(path, map_location=self.config.device, weights_only=True))
        except Exception as error:  # a damaged file, or the weights of another network, may fail in any way
            why = textwrap.shorten(str(error), 300)
            raise RunFolderError(f"{path} is missing, damaged, or does not fit architecture.json: {why}") from error
        return network.eval()


def read_kept(folder: Path, console: Console, device: str | None = None) -> Kept:
    """Reads the folder of a finished run of a built-in task, and the data of its task.

    Args:
        folder: Of the run. Nothing is written to it.
        console: Where to say where the data come from.
        device: Where to compute, by default where the run did.

    Raises:
        RunFolderError: The folder holds no finished run of a built-in task, a file of it is damaged, or the data or
            the networks of the task are no longer what they were.
        SettingsError: The settings are not of this version.
        DataError: The data cannot be had.
    """
    if not (folder / "result.json").is_file():
        raise RunFolderError(f"{folder} holds no finished run: it has no result.json.")
    chosen = RunConfig().with_file(folder / "config.json")
    if not chosen.task:
        raise RunFolderError(
            f"the run in {folder} is of no built-in task, so its networks cannot be built again here: build yours, "
            "give it architecture.json by dash_kernels.apply_architecture, and load its weights."
        )
    task = find_task(chosen.task, chosen.protocol)
    config = task.defaults.with_file(folder / "config.json")
    if device is not None:
        config = config.changed({"device": device, "engine": "auto"})  # that of the run may not run there
    result = read_object(folder / "result.json")
    problem = load_problem(task, config, console, tunes=False)
    before = read_object(folder / "identity.json")
    changes = differences(before, {**problem.identity(), **Given.of_run(folder).identity()})
    if changes:
        raise RunFolderError(f"the data or networks of {task.name} are not those of the run in {folder}: {changes}.")
    return Kept(folder, config, problem, _scores(folder, result))


def _scores(folder: Path, result: dict[str, Any]) -> dict[str, dict[str, float]]:
    scores = result.get("scores")
    if (
        not isinstance(scores, dict)
        or not scores
        or not all(
            isinstance(parts, dict) and all(isinstance(score, float | int) for score in parts.values())
            for parts in scores.values()
        )
    ):
        raise RunFolderError(f"{folder / 'result.json'} is damaged: it holds no scores of networks.")
    return scores
