# SPDX-License-Identifier: BSD-3-Clause
"""A whole step of the search beside a whole training step of the plain network.

Forward, backward, the rule for the logits, clipping and both optimisers; beside it forward, backward and one optimiser.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dash_search import Config
from dash_search.stages import SearchSteps, build_supernet

from . import stages
from .memory import measure_memory
from .results import PLAIN, Memory, Row
from .tasks import Task
from .timing import FORMATS, Contestant, contest, trial

STEP = "search step"
AUTO, NEVER = "search step", "search step, dense"
PLAINS = {f"{PLAIN}, {form}": form for form in FORMATS}
DEPTHWISE = {AUTO: "auto", NEVER: "never"}
BUDGET = 8.0  # seconds for the turns of those that stand beside the pair that decides


class StepContestant(Contestant):
    """A network in training, on one batch of random data that changes sign between steps.

    Args:
        column: :data:`AUTO`, :data:`NEVER`, or one of :data:`PLAINS`.
        task: Network, shapes, loss and settings.
        batch: Samples.
    """

    def __init__(self, column: str, task: Task, batch: int) -> None:
        super().__init__(column, batch, PLAINS.get(column, FORMATS[0]))
        config = task.config(DEPTHWISE.get(column, "never"))
        torch.manual_seed(config.seed)
        network = task.backbone()
        self.loss = task.objective.loss
        self.x = torch.randn(batch, *task.shape)
        self.finish: Callable[[], object]
        if column in DEPTHWISE:
            self.model = build_supernet(network, config)
            self.finish = SearchSteps(self.model, config)
        else:
            if self.memory_format != FORMATS[0]:
                network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                self.x = self.x.contiguous(memory_format=torch.channels_last)
            self.model, self.finish = network, plain_steps(network, config)
        self.y = task.objective.targets(task.output_shape(batch))

    def refresh(self) -> None:
        self.x.neg_()

    def forward(self) -> Tensor:
        return self.loss(self.model(self.x), self.y)

    def backward(self, output: Tensor) -> None:
        output.backward()
        self.finish()


def plain_steps(network: nn.Module, config: Config) -> Callable[[], object]:
    """What follows the backward pass of a plain network."""
    nesterov = config.momentum > 0
    optimizer = torch.optim.SGD(
        network.parameters(), config.search_lr, config.momentum, weight_decay=config.weight_decay, nesterov=nesterov
    )

    def finish() -> None:
        optimizer.step()
        optimizer.zero_grad()

    return finish


def columns(task: Task) -> tuple[str, ...]:
    """The contestants that there are for the task's number of axes."""
    return (AUTO, NEVER, *(c for c, form in PLAINS.items() if len(task.shape) == 3 or form == FORMATS[0]))


def measure_task(task: Task, laps: int) -> Row:
    """Memory of a step of each, then their turns; with half the batch, and so on, where a step has not enough memory.

    The search step and the faster plain step decide, and alternate in every lap.
    """
    batch = task.batch
    memory = all_memory(task, batch)
    while memory is None:
        batch //= 2
        memory = all_memory(task, batch)
    auto, never, *plain = (StepContestant(column, task, batch) for column in columns(task))
    if len(plain) > 1:
        plain.sort(key=trial)
    timed = contest([auto, plain[0]], [never, *plain[1:]], laps, BUDGET)
    timed = {column: timed[column] for column in columns(task)}
    absent = {column: "torch has no such format for sequences" for column in PLAINS if column not in columns(task)}
    inside = {AUTO: stages.together(stages.measure(auto))}
    return Row(STEP, task.name, task.title, task.batch, timed, absent, inside, memory)


def all_memory(task: Task, batch: int) -> dict[str, Memory] | None:
    """What a step of each takes; None if one has not enough."""
    found = {}
    for column in columns(task):
        memory = measure_memory(task.name, column, batch)
        if memory is None:
            return None
        found[column] = memory
    return found
