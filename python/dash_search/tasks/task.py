# SPDX-License-Identifier: BSD-3-Clause
"""What a built-in task consists of."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from ..config import RunConfig
from ..data.splits import Splits
from ..errors import SettingsError
from ..metrics import Loss, Metric

TEST_VALIDATES = "the test part also chose the epoch whose weights were kept, as in DASH's own runs."


class DataFile(Protocol):
    """A file of a task: of a wheel, of the benchmark's authors, or generated here."""

    @property
    def origin(self) -> str:
        """Where it comes from."""

    @property
    def licence(self) -> str:
        """Terms of the data."""

    def fetch(self, say: Callable[[str], object] = print) -> Path:
        """Returns where it lies, after getting it if that can be done; ``say`` is told before anything slow."""


class Build(Protocol):
    """Builds a network from inputs to the units of the targets."""

    def __call__(self, width: int, splits: Splits, dropout: float = 0.0) -> nn.Module:
        """Takes a width factor, the parts, and the share of values that training drops."""


@dataclass(frozen=True)
class Backbone:
    """A network that a task can be searched with.

    Attributes:
        build: Makes it; its module names must not depend on the width and the dropout.
        initialise: Draws the convolutions of a network anew, in place; None if torch's way of drawing them is right.
        set_dropout: Gives a network a share of dropout, in place; None if it has none that can be set.
    """

    build: Build
    initialise: Callable[[nn.Module], None] | None = None
    set_dropout: Callable[[nn.Module, float], None] | None = None


@dataclass(frozen=True)
class Task:
    """A problem that ``dash-search run`` can search a network for.

    Attributes:
        summary: One line for ``dash-search tasks``.
        files: The files its data comes from.
        load: Reads the files, given in that order, and returns the three parts, preprocessed.
        loss: What training minimises.
        metric: What is reported and what the validation part chooses by.
        backbones: The networks by name.
        defaults: Name, backbone, budget, optimiser settings and search space unless the user says otherwise.
        paper: The same task as DASH's own code has it (``--protocol paper``), if that is another thing.
        leaks: A sentence about what the test part decides before the test, for the result. Empty: nothing.
    """

    summary: str
    files: tuple[DataFile, ...]
    load: Callable[[Sequence[Path]], Splits]
    loss: Loss
    metric: Metric
    backbones: Mapping[str, Backbone]
    defaults: RunConfig
    paper: "Task | None" = None
    leaks: str = ""

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return self.defaults.task

    def under(self, protocol: str) -> "Task":
        """The task under a protocol, "clean" or "paper".

        Raises:
            SettingsError: The task has no such protocol.
        """
        if protocol == "clean":
            return self
        if protocol != "paper" or self.paper is None:
            allowed = "clean, paper" if self.paper else "clean (it is no task of NAS-Bench-360)"
            raise SettingsError(f"protocol is {protocol!r}: the task {self.name} has {allowed}.")
        return self.paper

    def with_paper(self, settings: Mapping[str, Any] | None = None, **changes: Any) -> "Task":
        """The task, and under the protocol "paper" the same task with some attributes changed.

        Args:
            settings: What its defaults have in another way.
            changes: New values of attributes: how it is loaded, its loss, its metric, what leaks.
        """
        defaults = self.defaults.changed({**(settings or {}), "protocol": "paper"})
        return dataclasses.replace(self, paper=dataclasses.replace(self, defaults=defaults, **changes))

    def backbone(self, name: str) -> Backbone:
        """One of the task's networks.

        Raises:
            SettingsError: It has no such network.
        """
        if name not in self.backbones:
            raise SettingsError(f"backbone is {name!r}: the task {self.name} has {', '.join(self.backbones)}.")
        return self.backbones[name]

    def fetch(self, say: Callable[[str], object] = print) -> list[Path]:
        """Returns the files of the task, after getting those that are not there.

        Args:
            say: Called with a line about a download before it begins.

        Raises:
            DataError: A file cannot be had or is not what it should be.
        """
        return [file.fetch(say) for file in self.files]
