# SPDX-License-Identifier: BSD-3-Clause
"""Third stage: train a fresh network for the full budget and keep the weights that validate best."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from ..metrics import Metric
from ..run_folder import Stage, Stateful
from ..training import Job, Tick, TrainingSteps, evaluate, run_epochs, train_batches


class Best:
    """The best weights so far by the validation score, the first of equals."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self.score: float | None = None
        self.weights: dict[str, Any] = {}

    def offer(self, score: float, model: nn.Module) -> None:
        """Keeps a copy of the model's weights if the score is better than all before."""
        if self._metric.better(score, self.score):
            self.score = score
            self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"score": self.score, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.score, self.weights = state["score"], state["weights"]


def retrain(job: Job, network: str, model: nn.Module) -> float:
    """Trains a network in place and leaves it with its best weights by the validation score.

    Args:
        job: Data, loss, metric, settings and run folder.
        network: What the log and the tables call it.
        model: The freshly initialised network, on the device of the settings.

    Returns:
        The best validation score.

    Raises:
        TrainingError: Loss, outputs or score became infinite or not a number.
    """
    config = job.config
    step = TrainingSteps(model, config, config.epochs)
    best = Best(job.metric)

    def epoch_of_training(tick: Tick) -> Mapping[str, Any]:
        loss = train_batches(model, job.train, job, step, tick)
        step.schedule.step()
        score = evaluate(model, job.valid, job)
        best.offer(score, model)
        return {"loss": loss, "valid_score": score}

    parts: dict[str, Stateful] = {"model": model, "optimizer": step.optimizer, "schedule": step.schedule, "best": best}
    run_epochs(job, Stage("retrain", network), config.epochs, len(job.train), parts, epoch_of_training)
    assert best.score is not None  # there is at least one epoch
    model.load_state_dict(best.weights)
    return best.score
