# SPDX-License-Identifier: BSD-3-Clause
"""What a network is searched for: models, data, loss and metric, as they were given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from . import preflight
from .metrics import Loss, Metric
from .stages import Tuning
from .training import Batches, samples


@dataclass(frozen=True)
class Problem:
    """What the stages of a run work on; :func:`dash_search.search` tells what each of these is."""

    model: nn.Module
    final_model: nn.Module
    train: Batches
    valid: Batches
    test: Batches | None
    loss: Loss
    metric: Metric
    initialise: Callable[[nn.Module], None] | None
    set_dropout: Callable[[nn.Module, float], None] | None
    tuning: Tuning
    remarks: tuple[str, ...]

    @property
    def parts(self) -> dict[str, Batches]:
        """The loaders by name."""
        parts = {"train": self.train, "valid": self.valid}
        return parts if self.test is None else {**parts, "test": self.test}

    @property
    def apart(self) -> dict[str, Batches]:
        """The loaders that tuning has for itself, by name, if any."""
        own = self.tuning.train is not self.train
        return {"train": self.tuning.train, "valid": self.tuning.valid} if own else {}

    def identity(self) -> Mapping[str, Any]:
        """What is the same whenever the same problem is given again, by name, ready for JSON.

        The test part is not in it: it chooses nothing, and is scored anew whenever a run is resumed.
        """
        return {
            "metric": self.metric.name,
            "higher_is_better": self.metric.higher_is_better,
            "samples of train": samples(self.train),
            "samples of valid": samples(self.valid),
            "shapes of model": preflight.shapes_digest(self.model),
            "shapes of final_model": preflight.shapes_digest(self.final_model),
            "remarks": [*self.remarks] or None,  # they tell apart other data of the same shapes
        }
