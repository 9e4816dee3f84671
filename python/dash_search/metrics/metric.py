# SPDX-License-Identifier: BSD-3-Clause
"""What a metric is: it sees the predictions of a whole split at once, never averages of batches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import SupportsFloat

from torch import Tensor

from ..errors import SettingsError

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Metric:
    """A score of predictions.

    Attributes:
        name: For logs and tables, with the unit if it has one.
        compute: Takes the network's outputs and the targets of a whole split, on the CPU, and returns the score, one
            number or a tensor of one. Before a run it is tried on the first batch of the validation and of the test
            part, where its value does not matter.
        higher_is_better: Which way the score improves.
        beside: Further metrics of the test part, for the tables only: they choose nothing.
    """

    name: str
    compute: Callable[[Tensor, Tensor], SupportsFloat]
    higher_is_better: bool
    beside: tuple["Metric", ...] = ()

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
