# SPDX-License-Identifier: BSD-3-Clause
"""Third stage: train a fresh network for the full budget and keep the weights that validate best."""

import math
from typing import Any

import torch
from torch import nn

from ..metrics import Metric
from ..run_folder import Record, Stateful
from ..training import Job, Tick, evaluate, learning_rate, run_epochs, set_learning_rate, train_batches


class Best:
    """The best weights so far by the validation score, the first of equals."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self.score = math.nan
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
        model: The freshly initialised network.

    Returns:
        The best validation score.
    """
    config = job.config
    torch.manual_seed(config.seed)
    model.to(config.device)
    optimizer = torch.optim.SGD(
        model.parameters(),
        config.lr,
        config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
    )
    best = Best(job.metric)

    def step() -> None:
        optimizer.step()
        optimizer.zero_grad()

    def epoch_of_training(epoch: int, tick: Tick) -> Record:
        rate = learning_rate(config.lr, epoch, config.epochs, config.milestones, config.lr_drop)
        set_learning_rate(optimizer, rate)
        loss = train_batches(model, job.train, job, step, tick)
        valid_loss, score = evaluate(model, job.valid, job)
        best.offer(score, model)
        return {"loss": loss, "valid_loss": valid_loss, "valid_score": score}

    parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer, "best": best}
    run_epochs(job, network, config.epochs, len(job.train), parts, epoch_of_training)
    model.load_state_dict(best.weights)
    return best.score
