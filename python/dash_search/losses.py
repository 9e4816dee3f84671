# SPDX-License-Identifier: BSD-3-Clause
"""Losses that torch does not have."""

from torch import Tensor

from .metrics import relative_l2


def summed_relative_l2(outputs: Tensor, targets: Tensor) -> Tensor:
    """Relative L2 errors of outputs and targets ``(N, ...)``, summed over the batch as in DASH."""
    return relative_l2(outputs, targets).sum()
