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


ACCURACY = Metric("accuracy %", _accuracy, higher_is_better=True)
