# SPDX-License-Identifier: BSD-3-Clause
"""The stages of a run as functions, and the runs that are made of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from torch import nn

from .config import Config
from .given import Given
from .opened import Run, opened
from .problem import Problem
from .run_folder import Record, Stage
from .stages import Architecture, Hyperparameters, retrain, score, search_supernet, settings


@dataclass(frozen=True)
class Result:
    """What a search found.

    Attributes:
        architecture: ``{module name: {"kernel_size": [...], "dilation": [...]}}``, for ``dk.apply_architecture``.
        model: The retrained network with that architecture and its best weights by the validation score, in
            evaluation mode.
        scores: ``{"searched": {"valid": ..., "test": ...}, "plain": {...}}``; in place of "searched" stands "given" if
            an architecture was given, "plain" is the unchanged backbone trained as long, "test" is there if test data
            was given, and "test NAME" for each metric beside the metric.
        hyperparameters: What each network was trained with: as given, as the settings have it, or as trials chose.
        history: The records of the log: one per epoch of the stages "search" and "retrain", per trial of "tune", per
            network of "test".
        run_dir: The folder with all of it.
    """

    architecture: Architecture
    model: nn.Module
    scores: dict[str, dict[str, float]]
    hyperparameters: dict[str, Hyperparameters]
    history: list[Record]
    run_dir: Path


def search_and_train(
    problem: Problem, config: Config, given: Given, run_dir: Path | None, *, resume: bool, console: Console | None
) -> Result:
    """All stages, without those whose outcome is given."""
    tunes = given.hyperparameters is None and config.tune != "none"
    with opened(problem, config, given, run_dir, resume, console, tunes=tunes) as run:
        architecture = find(run)
        values = choose(run, architecture)
        networks, scores = train(run, architecture, values)
        return finish(run, architecture, values, networks, scores)


def only_search(
    problem: Problem, config: Config, run_dir: Path | None, *, resume: bool, console: Console | None
) -> Architecture:
    """The search alone. Its folder can be resumed by :func:`search_and_train`, which then goes on."""
    with opened(problem, config, Given(), run_dir, resume, console, trains=False) as run:
        return find(run)


def only_tune(
    problem: Problem, config: Config, given: Given, run_dir: Path | None, *, resume: bool, console: Console | None
) -> dict[str, Hyperparameters]:
    """Tuning alone, for a given architecture. Its folder can be resumed by :func:`search_and_train`."""
    with opened(problem, config, given, run_dir, resume, console, tunes=True) as run:
        return choose(run, find(run))


def find(run: Run) -> Architecture:
    """First stage: the architecture, searched unless it is given."""
    architecture = run.given.architecture
    if architecture is None:
        supernet = run.build.supernet()
        run.record_engines({"supernet": supernet})
        return search_supernet(run.job, supernet)
    run.job.folder.write_json("architecture.json", architecture)
    return architecture


def choose(run: Run, architecture: Architecture) -> dict[str, Hyperparameters]:
    """Second stage: what each network is to be trained with, as given, by the settings, or by trials."""
    config = run.job.config
    values = run.values
    if values is None and config.tune == "none":
        plain = {"lr": config.lr, "weight_decay": config.weight_decay, "momentum": config.momentum}
        values = {name: plain for name in run.given.trained(architecture, config)}
    if values is None:
        values = {name: run.tune(name, its) for name, its in run.given.trained(architecture, config).items()}
    run.job.folder.write_json("hyperparameters.json", values)
    return values


def train(
    run: Run, architecture: Architecture, values: Mapping[str, Hyperparameters]
) -> tuple[dict[str, nn.Module], dict[str, float]]:
    """Third stage: the networks with their best weights, in evaluation mode, and their validation scores."""
    trained = run.given.trained(architecture, run.job.config)
    networks = {name: run.build.final(name, its, values[name]) for name, its in trained.items()}
    run.record_engines(networks)
    scores = {}
    for name, network in networks.items():
        config = run.job.config.model_copy(update=settings(values[name]))
        scores[name] = retrain(replace(run.job, config=config), name, network)
        run.job.folder.save_weights(name, network.eval())
    return networks, scores


def finish(
    run: Run,
    architecture: Architecture,
    values: dict[str, Hyperparameters],
    networks: Mapping[str, nn.Module],
    valid: Mapping[str, float],
) -> Result:
    """Last stage: the test scores if there is a test part, and the result of it all."""
    folder, test = run.job.folder, run.problem.test
    scores = {name: {"valid": value} for name, value in valid.items()}
    if test is not None:
        for name, network in networks.items():
            scores[name].update(score(run.job, name, network, test))
    history = folder.history()
    seconds: dict[str, float] = {}
    for record in history:  # so that a resumed run counts every epoch once
        stage = str(Stage(record["stage"], record["network"]))
        seconds[stage] = seconds.get(stage, 0.0) + record["seconds"]
    sizes = {name: sum(weights.numel() for weights in network.parameters()) for name, network in networks.items()}
    outcome = {"metric": run.problem.metric.name, "scores": scores, "parameters": sizes, "seconds": seconds}
    folder.write_json("result.json", {**outcome, "hyperparameters": values, "remarks": [*run.problem.remarks]})
    return Result(architecture, next(iter(networks.values())), scores, values, history, folder.path)
