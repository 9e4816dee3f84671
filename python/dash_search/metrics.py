# SPDX-License-Identifier: BSD-3-Clause
"""Losses and metrics. A metric sees the predictions of a whole split at once, never averages of batches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import SupportsFloat

from torch import Tensor

from .errors import SettingsError

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Metric:
    """A score of predictions.

    Attributes:
        name: For logs and tables, with the unit if it has one.
        compute: Takes the network's outputs and the targets of a whole split, on the CPU, and returns the score, one
            number or a tensor of one. Before a run it is tried on the first batch of each split, where its value does
            not matter.
        higher_is_better: Which way the score improves.
    """

    name: str
    compute: Callable[[Tensor, Tensor], SupportsFloat]
    higher_is_better: bool

    def score(self, outputs: Tensor, targets: Tensor) -> float:
        """The score as a number of Python.

        Raises:
            SettingsError: ``compute`` returns something else than one number.
        """
        value: object = self.compute(outputs, targets)
        try:
            return float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, RuntimeError) as error:
            shown = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
            raise SettingsError(f"the metric {self.name!r} returned {shown}: it must return one number.") from error

    def better(self, score: float, than: float | None) -> bool:
        """Whether ``score`` beats the best one so far (None: there is none yet)."""
        return than is None or (score > than if self.higher_is_better else score < than)


def _accuracy(outputs: Tensor, targets: Tensor) -> float:
    if outputs.dim() < 2 or outputs.shape[:1] + outputs.shape[2:] != targets.shape:
        raise ValueError(
            f"outputs are {tuple(outputs.shape)}, targets {tuple(targets.shape)}: give outputs (N, classes, ...) and "
            "class numbers (N, ...)."
        )
    return 100 * float((outputs.argmax(dim=1) == targets).double().mean())


def relative_l2(outputs: Tensor, targets: Tensor) -> Tensor:
    r"""The relative error :math:`\lVert y' - y \rVert_2 / \lVert y \rVert_2` of each sample, ``(N,)``.

    Args:
        outputs, targets: Predictions y' and true values y, both ``(N, ...)`` of one shape.

    Raises:
        ValueError: The shapes differ, or a target is zero everywhere.
    """
    if outputs.shape != targets.shape:
        raise ValueError(f"outputs are {tuple(outputs.shape)}, targets {tuple(targets.shape)}: both need one shape.")
    norm = targets.flatten(1).norm(dim=1)
    if not norm.all():
        raise ValueError(
            f"target {int((norm == 0).nonzero()[0])} of {len(norm)} is zero everywhere: it has no relative error. "
            "Leave such samples out."
        )
    error: Tensor = (outputs - targets).flatten(1).norm(dim=1) / norm
    return error


def _mean_relative_l2(outputs: Tensor, targets: Tensor) -> float:
    return float(relative_l2(outputs.double(), targets.double()).mean())


ACCURACY = Metric("accuracy %", _accuracy, higher_is_better=True)
RELATIVE_L2 = Metric("relative L2", _mean_relative_l2, higher_is_better=False)
