# SPDX-License-Identifier: BSD-3-Clause
"""The search as one function: supernet, architecture, retraining, test."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from . import preflight
from .config import Config
from .metrics import Loss, Metric
from .networks import Networks, try_final, try_search
from .progress import terminal
from .randomness import Randomness
from .run_folder import Record, RunFolder, Stage
from .stages import Architecture, Hyperparameters, Tuning, retrain, score, search_supernet, settings, tune
from .training import Batches, Job, record_engines, samples

FOUND, GIVEN, PLAIN = "searched", "given", "plain"
"""Names of networks in logs and tables: what the search found, what was given in its place, the unchanged backbone."""


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
        hyperparameters: What each network was trained with: as the settings have it, or as the trials chose.
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
    architecture: Architecture | None = None,
    initialise: Callable[[nn.Module], None] | None = None,
    set_dropout: Callable[[nn.Module, float], None] | None = None,
    tuning: Tuning | None = None,
    remarks: Sequence[str] = (),
    run_dir: Path | str | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> Result:
    """Searches kernel size and dilation for every convolution of a model, then trains what was found.

    The supernet is trained on ``train``; the network that was found, and the unchanged one beside it, are trained on
    ``train`` as well, keep the weights that score best on ``valid``, and are scored once on ``test``. Nothing is chosen
    by the test data.

    Before anything is written, one batch of each part goes through every network, the loss and the metric. The global
    random generators are seeded from ``config.seed`` and given back as they were; another thread must not draw from
    them meanwhile.

    Args:
        model: The backbone. It is not changed.
        train, valid, test: Loaders of pairs ``(inputs, targets)``; ``train`` should shuffle.
        config: Settings, by default ``Config()``.
        loss: Takes outputs and targets of a batch and returns a scalar to minimise.
        metric: Scores the predictions of a whole split.
        final_model: What to train with the architecture that was found, for instance a wider network; it must have the
            module names of ``model``. By default ``model``. It is not changed.
        architecture: Given one, nothing is searched: it is trained in place of one that was found.
        initialise: Called with a network before it is trained, to draw its weights anew. Without it the plain network
            starts from the weights of ``final_model``, and so does the searched one but for the convolutions whose
            kernel size or dilation changed: these are drawn as ``nn.ConvNd`` does. After a training of your own, that
            favours the plain one.
        set_dropout: Gives a network a share of dropout, in place. Without it dropout is not among what ``config.tune``
            chooses.
        tuning: What ``config.tune`` chooses with; by default ``train``, ``valid``, ``metric`` and ``final_model``.
        remarks: Sentences that whoever reads the scores must know; they go into the result and its report.
        run_dir: Folder for the results, new or empty. By default ``runs/`` and the time.
        resume: Go on with the run in ``run_dir``, which must have the same settings, metric, networks, given
            architecture and sizes of ``train`` and ``valid``.
        console: Where to show the progress; by default the terminal.

    Returns:
        The architecture, the trained network, the scores, the log and the folder.

    Raises:
        SettingsError: A setting or an argument is not allowed, a batch cannot be used, or no convolution can be
            searched.
        RunFolderError: ``run_dir`` holds another run, or none to resume, or a damaged one, or cannot be written.
        TrainingError: Loss, outputs, logits or score became infinite or not a number.

    Source: Shen, Khodak, Talwalkar, "Efficient Architecture Search for Diverse Tasks", 2022, arXiv:2204.07554;
    ``docs/departures.md`` tells what is done in another way than by their code.
    """
    config = Config() if config is None else config
    final_model = model if final_model is None else final_model
    preflight.check_arguments(model, final_model, config, metric)
    tuning = Tuning(train, valid, metric, final_model) if tuning is None else tuning
    parts = {"train": train, "valid": valid} | ({} if test is None else {"test": test})
    apart = {} if config.tune == "none" or tuning.train is train else {"train": tuning.train, "valid": tuning.valid}
    for name, batches in (*parts.items(), *apart.items()):
        preflight.check_loader(name, batches)
    console = terminal() if console is None else console
    with preflight.computing(config), torch.inference_mode(False), torch.enable_grad():
        randomness = Randomness(config.seed, torch.device(config.device), [*parts.values(), *apart.values()])
        with randomness.preserved():
            build = Networks(model, final_model, config, initialise, set_dropout, randomness)
            trial = try_search(build, parts, loss, metric) if architecture is None else architecture
            try_final(build, _trained(trial, architecture, config), parts, loss, metric)
            if apart:
                try_final(replace(build, final_model=tuning.final_model), {FOUND: trial}, apart, loss, tuning.metric)
            identity = {
                "metric": metric.name,
                "higher_is_better": metric.higher_is_better,
                # not those of the test part: it chooses nothing, and is scored anew whenever a run is resumed
                **{f"samples of {name}": samples(parts[name]) for name in ("train", "valid")},
                "shapes of model": preflight.shapes_digest(model),
                "shapes of final_model": preflight.shapes_digest(final_model),
                "given architecture": architecture,
                "remarks": [*remarks] or None,  # they tell apart other data of the same shapes
            }
            path = default_run_dir() if run_dir is None else Path(run_dir)
            with RunFolder(path, config, identity, resume=resume) as folder:
                job = Job(train, valid, loss, metric, config, randomness, folder, console)
                return _run(job, build, architecture, tuning, test, remarks)


def _trained(architecture: Architecture, given: Architecture | None, config: Config) -> dict[str, Architecture]:
    """The architectures of the networks to train, by name."""
    return {FOUND if given is None else GIVEN: architecture} | ({PLAIN: {}} if config.plain else {})


def _run(
    job: Job,
    build: Networks,
    given: Architecture | None,
    tuning: Tuning,
    test: Batches | None,
    remarks: Sequence[str],
) -> Result:
    supernets: dict[str, nn.Module] = {}
    if given is None:
        supernets["supernet"] = build.supernet()
        record_engines(job, supernets)
        architecture = search_supernet(job, supernets["supernet"])
    else:
        architecture = given
        job.folder.write_json("architecture.json", architecture)
    trained = _trained(architecture, given, job.config)
    values = {name: _hyperparameters(job, build, tuning, name, its) for name, its in trained.items()}
    networks = {name: build.final(name, its, values[name]) for name, its in trained.items()}
    record_engines(job, {**supernets, **networks})
    jobs = {name: replace(job, config=job.config.model_copy(update=settings(its))) for name, its in values.items()}
    scores = {name: {"valid": retrain(jobs[name], name, network)} for name, network in networks.items()}
    for name, network in networks.items():
        if test is not None:
            scores[name].update(score(job, name, network, test))
        job.folder.save_weights(name, network.eval())
    history = job.folder.history()
    seconds: dict[str, float] = {}
    for record in history:  # so that a resumed run counts every epoch once
        stage = str(Stage(record["stage"], record["network"]))
        seconds[stage] = seconds.get(stage, 0.0) + record["seconds"]
    sizes = {name: sum(weights.numel() for weights in network.parameters()) for name, network in networks.items()}
    outcome = {"metric": job.metric.name, "scores": scores, "parameters": sizes, "seconds": seconds}
    job.folder.write_json("result.json", {**outcome, "hyperparameters": values, "remarks": [*remarks]})
    return Result(architecture, next(iter(networks.values())), scores, values, history, job.folder.path)


def _hyperparameters(
    job: Job, build: Networks, tuning: Tuning, name: str, architecture: Architecture
) -> Hyperparameters:
    """What a network is to be trained with."""
    config = job.config
    if config.tune == "none":
        return {"lr": config.lr, "weight_decay": config.weight_decay, "momentum": config.momentum}
    apart = replace(job, train=tuning.train, valid=tuning.valid, metric=tuning.metric)
    networks = replace(build, final_model=tuning.final_model)
    with_dropout = build.set_dropout is not None
    return tune(apart, name, partial(networks.final, name, architecture), with_dropout=with_dropout)


def default_run_dir(prefix: str = "run") -> Path:
    """A folder name under ``runs`` with the time in it, to the microsecond."""
    return Path("runs") / f"{prefix}-{datetime.now():%Y%m%d-%H%M%S-%f}"
