# SPDX-License-Identifier: BSD-3-Clause
"""The search as one function: supernet, architecture, retraining, test."""

import contextlib
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

import dash_kernels as dk

from .config import Config
from .errors import SettingsError
from .metrics import Loss, Metric
from .progress import Progress, terminal
from .run_folder import Record, RunFolder
from .stages import Architecture, build_supernet, read_off, retrain, score, search_supernet
from .training import Batches, Job


@dataclass(frozen=True)
class Result:
    """What a search found.

    Attributes:
        architecture: ``{module name: {"kernel_size": [...], "dilation": [...]}}``, for ``dk.apply_architecture``.
        model: The retrained network with that architecture and its best weights by the validation score.
        scores: ``{"searched": {"valid": ..., "test": ...}, "plain": {...}}``; "plain" is the unchanged backbone trained
            as long, "test" is there if test data was given.
        history: The records of the log, one per epoch and stage.
        run_dir: The folder with all of it.
    """

    architecture: Architecture
    model: nn.Module
    scores: dict[str, dict[str, float]]
    history: list[Record]
    run_dir: Path


def search(
    model: nn.Module,
    train: Batches,
    valid: Batches,
    config: Config | None = None,
    *,
    loss: Loss,
    metric: Metric,
    test: Batches | None = None,
    final_model: nn.Module | None = None,
    initialise: Callable[[nn.Module], None] | None = None,
    run_dir: Path | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> Result:
    """Searches kernel size and dilation for every convolution of a model, then trains what was found.

    The supernet is trained on ``train``; the network that was found, and the unchanged one beside it, are trained on
    ``train`` as well, keep the weights that score best on ``valid``, and are scored once on ``test``. Nothing is chosen
    by the test data.

    Args:
        model: The backbone. It is not changed.
        train, valid, test: Loaders of pairs ``(inputs, targets)``; ``train`` should shuffle.
        config: Settings, by default ``Config()``.
        loss: Takes outputs and targets of a batch and returns a scalar to minimise.
        metric: Scores the predictions of a whole split.
        final_model: What to train with the architecture that was found, for instance a wider network; it must have the
            module names of ``model``. By default ``model``. It is not changed.
        initialise: Called with a network before it is trained, to draw its weights anew. By default the weights of
            ``final_model`` stay, and convolutions whose kernel changed are drawn as ``nn.ConvNd`` does.
        run_dir: Folder for the results, new or empty. By default ``runs/`` and the time.
        resume: Go on with the run in ``run_dir``, which must have the same settings.
        console: Where to show the progress; by default the terminal.

    Returns:
        The architecture, the trained network, the scores, the log and the folder.

    Raises:
        SettingsError: A setting is not allowed, or no convolution can be searched.
        RunFolderError: ``run_dir`` holds another run, or none to resume.
        TrainingError: The loss or the score became infinite or not a number.

    Source: Shen, Khodak, Talwalkar, "Efficient Architecture Search for Diverse Tasks", 2022, arXiv:2204.07554;
    ``docs/departures.md`` tells what is done in another way than by their code.
    """
    config = Config() if config is None else config
    with _engine(config):
        supernet = build_supernet(model, config)
        folder = RunFolder(run_dir or default_run_dir(), config, resume=resume)
        job = Job(train, valid, loss, metric, config, folder, Progress(console or terminal()))
        search_supernet(job, supernet)
        architecture = read_off(job, supernet)

        def fresh(found: Architecture | None) -> nn.Module:
            torch.manual_seed(config.seed)
            network = copy.deepcopy(model if final_model is None else final_model)
            if found is not None:
                dk.apply_architecture(network, found)
            if initialise is not None:
                initialise(network)
            return network

        networks = {"searched": fresh(architecture)} | ({"plain": fresh(None)} if config.plain else {})
        scores = {name: {"valid": retrain(job, name, network)} for name, network in networks.items()}
        if test is not None:
            for name, value in score(job, networks, test).items():
                scores[name]["test"] = value
    for name, network in networks.items():
        folder.save_weights(name, network)
    folder.write_json("result.json", {"metric": metric.name, "scores": scores, "seconds": seconds_per_stage(folder)})
    return Result(architecture, networks["searched"], scores, folder.history(), folder.path)


def default_run_dir(prefix: str = "run") -> Path:
    """A folder name under ``runs`` with the time in it, to the second."""
    return Path("runs") / f"{prefix}-{time.strftime('%Y%m%d-%H%M%S')}"


def seconds_per_stage(folder: RunFolder) -> dict[str, float]:
    """Seconds of each stage, summed over the log, so that a resumed run counts every epoch once."""
    seconds: dict[str, float] = {}
    for record in folder.history():
        seconds[record["stage"]] = seconds.get(record["stage"], 0.0) + record["seconds"]
    return seconds


def _engine(config: Config) -> contextlib.AbstractContextManager[object]:
    """The engine of the settings; "auto" leaves the choice to an outer ``use_engine`` or the environment."""
    try:
        torch.empty(0, device=config.device)
        return contextlib.nullcontext() if config.engine == "auto" else dk.use_engine(config.engine)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise SettingsError(f"device={config.device!r} or engine={config.engine!r} cannot be used: {error}") from error
