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


def masked_bce(outputs: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of the pixels that count, divided by the number of all pixels, as in DASH.

    Args:
        outputs: Logits ``(N, 1, height, width)``; a large one of either sign costs no precision.
        targets: ``(N, 2, height, width)``: the mask, and 1 where a pixel does not count.
    """
    mask, ignored = targets[:, :1], targets[:, 1:]
    return F.binary_cross_entropy_with_logits(outputs, mask, weight=1 - ignored)


def summed_relative_l2(outputs: Tensor, targets: Tensor) -> Tensor:
    """Relative L2 errors of outputs and targets ``(N, ...)``, summed over the batch as in DASH."""
    return relative_l2(outputs, targets).sum()
