# SPDX-License-Identifier: BSD-3-Clause
"""The search as a function: of an architecture, and with retraining and test as well."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from torch import nn

from . import preflight
from .config import Config
from .given import Given
from .metrics import Loss, Metric
from .pipeline import Result, only_search, search_and_train
from .problem import Problem
from .stages import Architecture, Hyperparameters, Tuning
from .training import Batches


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
    hyperparameters: Mapping[str, Hyperparameters] | None = None,
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
        hyperparameters: ``Result.hyperparameters`` of an earlier run or the like, ``{"given": {"lr": ..., ...},
            "plain": {...}}``. Given them, nothing is tuned; what they leave out is as in ``config``. A network with a
            given architecture may also be called "searched" here, as it was when it was found.
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
            architecture and hyper-parameters, and sizes of ``train`` and ``valid``.
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
    problem = Problem(
        model,
        final_model,
        train,
        valid,
        test,
        loss,
        metric,
        initialise,
        set_dropout,
        tuning,
        tuple(remarks),
    )
    given = Given(architecture, hyperparameters)
    run_dir = None if run_dir is None else Path(run_dir)
    return search_and_train(problem, config, given, run_dir, resume=resume, console=console)


def search_architecture(
    model: nn.Module,
    train: Batches,
    valid: Batches,
    config: Config | None = None,
    *,
    loss: Loss,
    metric: Metric,
    final_model: nn.Module | None = None,
    remarks: Sequence[str] = (),
    run_dir: Path | str | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> Architecture:
    """The first stage of :func:`search` alone, for whoever trains what it finds by other means.

    :func:`search` with ``resume`` and the same ``run_dir``, settings, networks and remarks goes on where this ends.

    Args:
        model, train, valid, config, loss, metric, final_model, remarks, run_dir, resume, console: As :func:`search`
            takes them.

    Returns:
        The architecture, for ``dk.apply_architecture``.

    Raises:
        SettingsError, RunFolderError, TrainingError: As in :func:`search`.
    """
    config = Config() if config is None else config
    final_model = model if final_model is None else final_model
    preflight.check_arguments(model, final_model, config, metric)
    tuning = Tuning(train, valid, metric, final_model)
    problem = Problem(model, final_model, train, valid, None, loss, metric, None, None, tuning, tuple(remarks))
    return only_search(problem, config, None if run_dir is None else Path(run_dir), resume=resume, console=console)
