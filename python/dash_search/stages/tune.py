# SPDX-License-Identifier: BSD-3-Clause
"""Second stage, if asked for: short trainings that the validation part judges choose how a network is trained."""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..errors import TrainingError
from ..metrics import Metric
from ..run_folder import Stage, Stateful
from ..training import Batches, Job, Tick, TrainingSteps, evaluate, run_epochs, samples, train_batches

Hyperparameters = dict[str, float]
"""Settings of a training by name: "lr", "weight_decay", "momentum", and "dropout" if the network has any."""

# DASH's: the short one is for its three tasks with the largest maps and batches.
GRIDS: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "grid": {"lr": (0.1, 0.01, 0.001), "dropout": (0.0, 0.05), "weight_decay": (5e-4, 5e-6), "momentum": (0.9, 0.99)},
    "short": {"lr": (0.01, 0.001, 0.0001), "dropout": (0.0,), "weight_decay": (5e-5,), "momentum": (0.99,)},
}
# DASH's shares for so many batches of 64, whatever the batches of a task: a trial sees its data about once, and
# small data up to 16 times.
_SHARES = ((50 * 64, 0.2), (100 * 64, 0.1), (500 * 64, 0.05))
_LEAST_SHARE = 0.01


def trial_share(count: int) -> float:
    """Share of the training batches that an epoch of a trial uses, by the number of samples."""
    return next((share for limit, share in _SHARES if count < limit), _LEAST_SHARE)


@dataclass(frozen=True)
class Tuning:
    """What hyper-parameters are chosen with, where the validation part may not choose them.

    Attributes:
        train, valid: Loaders, as those of a search.
        metric: What the predictions of ``valid`` are scored by.
        final_model: The network to train on them; its initial weights are those of the other one.
    """

    train: Batches
    valid: Batches
    metric: Metric
    final_model: nn.Module


def tune(
    job: Job, network: str, build: Callable[[Hyperparameters], nn.Module], *, with_dropout: bool
) -> Hyperparameters:
    """Chooses the hyper-parameters of a network's training on the grid that the settings name.

    Every trial starts from the same weights, sees the same batches for ``tune_epochs`` short epochs and is scored once,
    after the last one. A trial that diverges loses. The best score wins, the first of equals.

    Args:
        job: Data to train and to judge on, loss, metric, settings and run folder.
        network: What the log calls it.
        build: Returns the network as its training with these values begins.
        with_dropout: Whether dropout is tuned.

    Returns:
        The values of the best trial.

    Raises:
        TrainingError: All trials diverged.

    Source: the code of DASH (arXiv:2204.07554), which stops when a learning rate has brought nothing; here all trials
    are run, in the order of Optuna's grid.
    """
    config, stage = job.config, Stage("tune", network)
    grid = {name: values for name, values in GRIDS[config.tune].items() if with_dropout or name != "dropout"}
    steps = min(len(job.train), math.floor(trial_share(samples(job.train)) * len(job.train)) + 1)
    trials = Trials(grid, job.metric, config.seed)

    def train_and_score(values: Hyperparameters, tick: Tick) -> float | None:
        model = build(values)
        job.randomness.seed(f"trials of {network}")
        step = TrainingSteps(model, config.model_copy(update=settings(values)), config.tune_epochs)
        try:
            for _ in range(config.tune_epochs):
                train_batches(model, itertools.islice(job.train, steps), job, step, tick)
                step.schedule.step()
            return evaluate(model, job.valid, job)
        except TrainingError:
            return None

    def trial(tick: Tick) -> Mapping[str, Any]:
        values, score = trials.run(lambda chosen: train_and_score(chosen, tick))
        return {**values, "valid_score": score}

    parts: dict[str, Stateful] = {"trials": trials}
    run_epochs(job, stage, math.prod(map(len, grid.values())), steps * config.tune_epochs, parts, trial)
    best = trials.best()
    if best is None:
        raise TrainingError(f"all trials of the {network} network diverged: look at the data, or train without tuning.")
    chosen = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in best.items())
    job.console.print(f"chosen for the {network} network: {chosen}")
    return best


def settings(values: Hyperparameters) -> Hyperparameters:
    """Those that are settings of the training; dropout is a matter of the network."""
    return {name: value for name, value in values.items() if name != "dropout"}


class Trials:
    """The trials on a grid, by Optuna; its state is the scores, since the order of the trials is fixed by the seed.

    Args:
        grid: Values of each hyper-parameter.
        metric: Says which way scores improve.
        seed: Of the order.
    """

    def __init__(self, grid: Mapping[str, tuple[float, ...]], metric: Metric, seed: int) -> None:
        import optuna  # only now: most runs do without

        self._grid = grid
        self._scores: list[float | None] = []
        with _quiet():
            self._study = optuna.create_study(
                direction="maximize" if metric.higher_is_better else "minimize",
                sampler=optuna.samplers.GridSampler(grid, seed=seed % 2**32),
            )

    def run(self, score: Callable[[Hyperparameters], float | None]) -> tuple[Hyperparameters, float | None]:
        """Runs the next trial: ``score`` takes its values; None loses. Returns both."""
        values: Hyperparameters = {}

        def objective(trial: Any) -> float:
            values.update({name: trial.suggest_categorical(name, choices) for name, choices in self._grid.items()})
            self._scores.append(score(values))
            return math.nan if self._scores[-1] is None else self._scores[-1]

        with _quiet():
            self._study.optimize(objective, n_trials=1)
        return values, self._scores[-1]

    def best(self) -> Hyperparameters | None:
        """The values of the best trial, or None if no trial had a score."""
        if all(score is None for score in self._scores):
            return None
        return {name: float(value) for name, value in self._study.best_params.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"scores": self._scores}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for score in state["scores"]:
            self.run(lambda values, score=score: score)  # type: ignore[misc]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The run says for itself how trials end, a diverged one included."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
