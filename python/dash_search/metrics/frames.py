# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of tasks that say of every label in every frame whether it is there."""

import torch.nn.functional as F
from torch import Tensor

from .metric import Metric

NOT_SCORED = -1.0  # a target that counts neither in the loss nor in the metric


def scored_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean binary cross-entropy of logits over all targets that are scored.

    Args:
        outputs: Logits of any shape.
        targets: Zeros, ones and NOT_SCORED, of the same shape.

    Raises:
        ValueError: The shapes differ.
    """
    if outputs.shape != targets.shape:
        raise ValueError(f"outputs are {tuple(outputs.shape)}, targets {tuple(targets.shape)}: both need one shape.")
    scored = targets != NOT_SCORED
    return F.binary_cross_entropy_with_logits(outputs[scored], targets[scored])


def _mean_cross_entropy(outputs: Tensor, targets: Tensor) -> float:
    return float(scored_cross_entropy(outputs.double(), targets.double()))


CROSS_ENTROPY = Metric("cross-entropy", _mean_cross_entropy, higher_is_better=False)
