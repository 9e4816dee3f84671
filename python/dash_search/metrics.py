# SPDX-License-Identifier: BSD-3-Clause
"""Losses and metrics. A metric sees the predictions of a whole split at once, never averages of batches."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Metric:
    """A score of predictions.

    Attributes:
        name: For logs and tables, with the unit if it has one.
        compute: Takes the network's outputs and the targets of a whole split, on the CPU, and returns the score.
        higher_is_better: Which way the score improves.
    """

    name: str
    compute: Callable[[Tensor, Tensor], float]
    higher_is_better: bool

    def better(self, score: float, than: float) -> bool:
        """Whether ``score`` beats the best one so far (NaN: there is none yet)."""
        return math.isnan(than) or (score > than if self.higher_is_better else score < than)


def _accuracy(outputs: Tensor, targets: Tensor) -> float:
    return 100 * float((outputs.argmax(dim=1) == targets).double().mean())


def relative_l2(outputs: Tensor, targets: Tensor) -> Tensor:
    r"""The relative error :math:`\lVert y' - y \rVert_2 / \lVert y \rVert_2` of each sample, ``(N,)``.

    Args:
        outputs, targets: Predictions y' and true values y, both ``(N, ...)`` of one shape.

    Raises:
        ValueError: The shapes differ.
    """
    if outputs.shape != targets.shape:
        raise ValueError(f"outputs are {tuple(outputs.shape)}, targets {tuple(targets.shape)}: both need one shape.")
    norm = targets.flatten(1).norm(dim=1)
    error: Tensor = (outputs - targets).flatten(1).norm(dim=1) / norm
    return error


def _mean_relative_l2(outputs: Tensor, targets: Tensor) -> float:
    return float(relative_l2(outputs.double(), targets.double()).mean())


ACCURACY = Metric("accuracy %", _accuracy, higher_is_better=True)
RELATIVE_L2 = Metric("relative L2", _mean_relative_l2, higher_is_better=False)
