# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of tasks that say what is heard in clips of which a network hears chunks."""

import math

import torch
from torch import Tensor

from ..data.extras import need
from .metric import Metric


def _mean_missed_precision(outputs: Tensor, targets: Tensor) -> float:
    r"""The mean of :math:`1 - \mathrm{AP}` over the classes that are heard in at least one clip.

    A class that no clip has has no average precision; the test part of FSD50K has all of them.

    Args:
        outputs: Logits of the chunks, ``(N, classes)``; their mean is the logit of a clip.
        targets: ``(N, classes + 1)``: the labels of the chunk's clip, and its number.
    """
    if outputs.dim() != 2 or targets.shape != (len(outputs), outputs.shape[1] + 1):
        raise ValueError(
            f"outputs are {tuple(outputs.shape)}, targets {tuple(targets.shape)}: give logits (N, classes) and labels "
            "with the number of the clip, (N, classes + 1)."
        )
    numbers, clips = torch.unique(targets[:, -1].long(), return_inverse=True)
    sums = torch.zeros(len(numbers), outputs.shape[1], dtype=torch.float64).index_add(0, clips, outputs.double())
    logits = sums / clips.bincount().unsqueeze(1)
    labels = torch.zeros(len(numbers), outputs.shape[1], dtype=torch.int64)
    labels[clips] = targets[:, :-1].long()  # all chunks of a clip have the same
    heard = labels.any(dim=0).nonzero().flatten().tolist()
    average_precision = need("torchmetrics.functional.classification").binary_average_precision
    missed = [1 - float(average_precision(logits[:, one].sigmoid(), labels[:, one])) for one in heard]
    return sum(missed) / len(missed) if missed else math.nan


MISSED_PRECISION = Metric("1 - mAP", _mean_missed_precision, higher_is_better=False)
