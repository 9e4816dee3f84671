# SPDX-License-Identifier: BSD-3-Clause
"""Losses that torch does not have."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from .metrics import Loss, relative_l2


def multi_label(positive: float = 1.0) -> Loss:
    """Mean binary cross-entropy of logits with zeros and ones, in which a one counts as so many zeros."""
    return partial(F.binary_cross_entropy_with_logits, pos_weight=torch.tensor(positive))


def summed_relative_l2(outputs: Tensor, targets: Tensor) -> Tensor:
    """Relative L2 errors of outputs and targets ``(N, ...)``, summed over the batch as in DASH."""
    return relative_l2(outputs, targets).sum()
