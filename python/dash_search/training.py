# SPDX-License-Identifier: BSD-3-Clause
"""What the stages share: optimiser, one pass of training, one of evaluation, and the loop over epochs."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.optim.lr_scheduler import MultiStepLR
from torch.utils.data import DataLoader

from .config import Config
from .errors import SettingsError, TrainingError
from .metrics import Loss, Metric
from .progress import show_stage
from .randomness import Randomness
from .run_folder import RunFolder, Stage, Stateful

Batches = DataLoader[Any]
Tick = Callable[[], None]


@dataclass(frozen=True)
class Job:
    """What every stage of one search works with."""

    train: Batches
    valid: Batches
    loss: Loss
    metric: Metric
    config: Config
    randomness: Randomness
    folder: RunFolder
    console: Console


def pairs(batches: Iterable[Any], device: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets of each batch, on the device.

    Raises:
        SettingsError: A batch is not a pair of tensors.
    """
    for batch in batches:
        if not (isinstance(batch, Sequence) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)):
            raise SettingsError(f"a batch is {_kind(batch)}: the loader must give pairs (inputs, targets) of tensors.")
        inputs, targets = batch
        yield inputs.to(device), targets.to(device)


def _kind(batch: object) -> str:
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return f"{type(batch).__name__} of {', '.join(type(part).__name__ for part in batch)}"
    return type(batch).__name__


def samples(batches: Any) -> int:
    """How many samples a loader has, or batches if it does not tell."""
    dataset = getattr(batches, "dataset", None)
    return len(dataset) if isinstance(dataset, Sized) else len(batches)


def sgd(
    groups: list[dict[str, Any]], config: Config, milestones: Sequence[float], epochs: int
) -> tuple[torch.optim.SGD, MultiStepLR]:
    """The optimiser of a stage, and its learning rates, to be stepped once an epoch.

    Args:
        groups: Parameters, learning rate and weight decay of each group, as torch's optimisers take them.
        config: Gives momentum and the factor of the rates at a milestone.
        milestones: Shares of all epochs. As in DASH one takes effect in the epoch whose number, from 0, is greater.
        epochs: How many in all.
    """
    optimizer = torch.optim.SGD(groups, momentum=config.momentum, nesterov=config.momentum > 0)
    return optimizer, MultiStepLR(optimizer, [math.floor(m * epochs) + 1 for m in milestones], config.lr_drop)


class TrainingSteps:
    """What follows every backward pass when an ordinary network is trained: a step of its weights.

    Attributes:
        optimizer: Of all weights.
        schedule: Its learning rate.
    """

    def __init__(self, model: nn.Module, config: Config, epochs: int) -> None:
        group = {"params": list(model.parameters()), "lr": config.lr, "weight_decay": config.weight_decay}
        self.optimizer, self.schedule = sgd([group], config, config.milestones, epochs)

    def __call__(self) -> None:
        """Takes the step, and clears the gradients."""
        self.optimizer.step()
        self.optimizer.zero_grad()


def train_batches(model: nn.Module, batches: Iterable[Any], job: Job, step: Callable[[], None], tick: Tick) -> float:
    """Trains on the batches.

    Args:
        model: The network, on the device of the job.
        batches: Pairs of inputs and targets.
        job: Gives the loss and the device.
        step: Called with the gradients of one batch in place; updates the parameters and clears the gradients.
        tick: Called after each batch.

    Returns:
        The mean of the batches' losses.

    Raises:
        TrainingError: A loss is not finite.
    """
    model.train()
    losses = []
    for inputs, targets in pairs(batches, job.config.device):
        loss = job.loss(model(inputs), targets)
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise TrainingError(f"the training loss became {losses[-1]}: lower the learning rate, or look at the data.")
        loss.backward()  # type: ignore[no-untyped-call]
        step()
        tick()
    return sum(losses) / len(losses)


def evaluate(model: nn.Module, batches: Batches, job: Job) -> float:
    """The metric of the network's predictions of a whole split.

    Raises:
        TrainingError: An output or the score is not finite.
    """
    return finite_score(job.metric, *predictions(model, batches, job.config.device))


@torch.no_grad()
def predictions(model: nn.Module, batches: Batches, device: str) -> tuple[Tensor, Tensor]:
    """The network's outputs for a whole split in evaluation mode, and the targets, on the CPU.

    Raises:
        TrainingError: An output is not finite.
    """
    model.eval()
    outputs, targets = [], []
    for inputs, wanted in pairs(batches, device):
        output = model(inputs)
        if not output.isfinite().all():
            raise TrainingError("the network's outputs are not finite in evaluation: lower the learning rate.")
        outputs.append(output.cpu())
        targets.append(wanted.cpu())
    return torch.cat(outputs), torch.cat(targets)


def finite_score(metric: Metric, outputs: Tensor, targets: Tensor) -> float:
    """The score of predictions.

    Raises:
        TrainingError: It is not finite.
    """
    score = metric.score(outputs, targets)
    if not math.isfinite(score):
        raise TrainingError(
            f"{metric.name} is {score}, not a finite number: the network diverged, or the metric has no such case."
        )
    return score


def run_epochs(
    job: Job,
    stage: Stage,
    epochs: int,
    steps: int,
    parts: Mapping[str, Stateful],
    body: Callable[[Tick], Mapping[str, Any]],
) -> None:
    """Runs the epochs of a stage that its checkpoint does not hold yet.

    Args:
        job: Gives the folder, the random numbers and where to show progress.
        stage: Which.
        epochs: How many in all.
        steps: Ticks of one epoch.
        parts: What the checkpoint saves and restores beside the random numbers.
        body: Runs an epoch and returns what to log of it.
    """
    job.randomness.seed(str(stage))
    parts = {**parts, "random": job.randomness}
    done = job.folder.restore(stage, epochs, parts)
    with show_stage(job.console, stage, epochs, steps, done) as show:
        for epoch in range(done + 1, epochs + 1):
            began = time.perf_counter()
            outcome = body(show.tick)
            record = job.folder.append(stage, {"epoch": epoch, **outcome, "seconds": time.perf_counter() - began})
            job.folder.save(stage, epoch, parts)
            show.epoch_done(record)
