# SPDX-License-Identifier: BSD-3-Clause
"""Metrics, a file for each kind of prediction. A metric sees a whole split at once, never averages of batches."""

from .auroc import AUROC_ERROR, aurocs
from .classes import ACCURACY, ERROR
from .clips import MISSED_PRECISION
from .distances import MAE8
from .f1 import F1_ERROR_OF_VOTES, f1_error_of_batches, votes
from .fields import RELATIVE_L2, relative_l2
from .frames import CROSS_ENTROPY, NOT_SCORED, scored_cross_entropy
from .masks import FNR, FNR_BY_FOUR
from .metric import Loss, Metric

__all__ = [
    "ACCURACY",
    "AUROC_ERROR",
    "CROSS_ENTROPY",
    "ERROR",
    "F1_ERROR_OF_VOTES",
    "FNR",
    "FNR_BY_FOUR",
    "MAE8",
    "MISSED_PRECISION",
    "NOT_SCORED",
    "RELATIVE_L2",
    "Loss",
    "Metric",
    "aurocs",
    "f1_error_of_batches",
    "relative_l2",
    "scored_cross_entropy",
    "votes",
]
