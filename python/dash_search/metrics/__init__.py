# SPDX-License-Identifier: BSD-3-Clause
"""Metrics, a file for each kind of prediction. A metric sees a whole split at once, never averages of batches."""

from .classes import ACCURACY, ERROR
from .clips import MISSED_PRECISION
from .distances import MAE8
from .fields import RELATIVE_L2, relative_l2
from .masks import FNR, FNR_BY_FOUR
from .metric import Loss, Metric

__all__ = [
    "ACCURACY",
    "ERROR",
    "FNR",
    "FNR_BY_FOUR",
    "MAE8",
    "MISSED_PRECISION",
    "RELATIVE_L2",
    "Loss",
    "Metric",
    "relative_l2",
]
