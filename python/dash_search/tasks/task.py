# SPDX-License-Identifier: BSD-3-Clause
"""What a built-in task consists of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils.data import Dataset

from ..config import RunConfig
from ..metrics import Loss, Metric
from .wheels import WheelFile


def as_it_is(outputs: Tensor) -> Tensor:
    """The decoding of outputs that need none."""
    return outputs


@dataclass(frozen=True)
class Splits:
    """Three disjoint data sets of ``(input, target)`` pairs.

    Attributes:
        train, valid, test: The parts.
        decode: Takes an output of the network to the units of the targets, before the loss and the metric see it.
    """

    train: Dataset[Any]
    valid: Dataset[Any]
    test: Dataset[Any]
    decode: Callable[[Tensor], Tensor] = as_it_is


@dataclass(frozen=True)
class Task:
    """A problem that ``dash-search run`` can search a network for.

    Attributes:
        name: What the command line calls it.
        summary: One line for ``dash-search tasks``.
        files: The files its data comes from.
        load: Fetches the files if need be and returns the three parts, preprocessed.
        loss: What training minimises.
        metric: What is reported and what the validation part chooses by.
        backbone: Builds the network of a given width; the module names must not depend on the width.
        defaults: Budget, optimiser settings and search space unless the user says otherwise.
        initialise: Draws the convolutions of a backbone anew, in place; None if torch's way of drawing them is right.
    """

    name: str
    summary: str
    files: tuple[WheelFile, ...]
    load: Callable[[], Splits]
    loss: Loss
    metric: Metric
    backbone: Callable[[int], nn.Module]
    defaults: RunConfig
    initialise: Callable[[Any], None] | None = None
