# SPDX-License-Identifier: BSD-3-Clause
"""What the stages share: one pass of training, one of evaluation, and the loop over epochs with its checkpoints."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .config import Config
from .errors import TrainingError
from .metrics import Loss, Metric
from .progress import Progress
from .run_folder import Record, RunFolder, Stateful

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
    folder: RunFolder
    progress: Progress


def pairs(batches: Iterable[Any], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets of each batch, on the device.

    Raises:
        TypeError: A batch is not a pair of tensors.
    """
    for batch in batches:
        if not (isinstance(batch, Sequence) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)):
            raise TypeError(f"a batch is {_describe(batch)}: the loader must give pairs (inputs, targets) of tensors.")
        inputs, targets = batch
        yield inputs.to(device), targets.to(device)


def _describe(batch: object) -> str:
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return f"{type(batch).__name__} of {', '.join(type(part).__name__ for part in batch)}"
    return type(batch).__name__


def train_batches(model: nn.Module, batches: Iterable[Any], job: Job, step: Callable[[], None], tick: Tick) -> float:
    """Trains on the batches.

    Args:
        model: The network, on the device of the job.
        batches: Pairs of inputs and targets.
        job: Gives the loss and the device.
        step: Called with the gradients of one batch in place; updates the parameters and clears the gradients.
        tick: Called after each batch.

    Returns:
        The loss per batch, averaged over the samples.

    Raises:
        TrainingError: A loss is not finite.
    """
    model.train()
    total, samples = 0.0, 0
    for inputs, targets in pairs(batches, torch.device(job.config.device)):
        loss = job.loss(model(inputs), targets)
        value = float(loss.detach())
        if not torch.isfinite(loss.detach()):
            raise TrainingError(f"the training loss became {value}: lower the learning rate, or look at the data.")
        loss.backward()  # type: ignore[no-untyped-call]
        step()
        total += value * len(inputs)
        samples += len(inputs)
        tick()
    return total / samples


@torch.no_grad()
def evaluate(model: nn.Module, batches: Batches, job: Job) -> tuple[float, float]:
    """Evaluates the network on a whole split.

    Returns:
        The loss per batch, averaged over the samples, and the metric of all predictions together.

    Raises:
        TrainingError: The score is not a number.
    """
    model.eval()
    total, outputs, targets = 0.0, [], []
    for inputs, wanted in pairs(batches, torch.device(job.config.device)):
        output = model(inputs)
        total += float(job.loss(output, wanted)) * len(inputs)
        outputs.append(output.cpu())
        targets.append(wanted.cpu())
    score = job.metric.compute(torch.cat(outputs), torch.cat(targets))
    if score != score:
        raise TrainingError(f"{job.metric.name} is not a number: the network diverged, or the metric has no such case.")
    return total / sum(len(part) for part in targets), score


def learning_rate(start: float, epoch: int, epochs: int, milestones: Sequence[float], drop: float) -> float:
    """The rate in an epoch (from 0): ``start`` times ``drop`` for every milestone that lies behind.

    Milestones are shares of all epochs. As in DASH one takes effect in the epoch whose number is greater than it.
    """
    passed: float = drop ** sum(epoch > share * epochs for share in milestones)
    return start * passed


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def run_epochs(
    job: Job, stage: str, epochs: int, steps: int, parts: Mapping[str, Stateful], body: Callable[[int, Tick], Record]
) -> None:
    """Runs the epochs of a stage that its checkpoint does not hold yet.

    Args:
        job: Gives folder and progress.
        stage: Name in log, checkpoints and progress.
        epochs: How many in all.
        steps: Ticks of one epoch.
        parts: What the checkpoint saves and restores.
        body: Runs an epoch (from 0) and returns what to log of it.
    """
    done = job.folder.restore(stage, parts)
    with job.progress.stage(stage, epochs, steps, done) as show:
        for epoch in range(done, epochs):
            began = time.perf_counter()
            outcome = body(epoch, show.tick)
            record = {"stage": stage, "epoch": epoch + 1, **outcome, "seconds": time.perf_counter() - began}
            job.folder.append(record)
            job.folder.save(stage, epoch + 1, parts)
            show.epoch_done(record)
