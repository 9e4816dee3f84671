# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of tasks that find the pixels of something rare: false negatives, and the area under the ROC curve."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.extras import need
from .metric import Metric


@dataclass(frozen=True)
class Counts:
    """How many pixels of each image were found, missed, called wrongly and left rightly, each ``(N,)``, int64."""

    hits: Tensor
    misses: Tensor
    false_alarms: Tensor
    rejections: Tensor


def pixels(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, truth and use of every pixel.

    Args:
        outputs: Logits ``(N, 1, height, width)``.
        targets: ``(N, 2, height, width)``: the mask, 1 where something is to be found and else 0, and 1 where a pixel
            does not count.

    Returns:
        The logits, and two masks of bool: what is to be found, and what counts. All ``(N, pixels)``.

    Raises:
        ValueError: The shapes do not fit.
    """
    if outputs.dim() != 4 or targets.shape != (outputs.shape[0], 2, *outputs.shape[2:]) or outputs.shape[1] != 1:
        raise ValueError(
            f"outputs are {tuple(outputs.shape)}, targets {tuple(targets.shape)}: give logits (N, 1, height, width), "
            "and targets (N, 2, height, width) of a mask and of what to ignore."
        )
    return outputs.flatten(1), targets[:, 0].flatten(1) > 0.5, targets[:, 1].flatten(1) < 0.5


def counts(outputs: Tensor, targets: Tensor) -> Counts:
    """Counts the pixels that are not ignored, at the probability 0.5; arguments as of :func:`pixels`."""
    logits, wanted, used = pixels(outputs, targets)
    called = logits > 0
    return Counts(
        hits=(called & wanted & used).sum(1),
        misses=(~called & wanted & used).sum(1),
        false_alarms=(called & ~wanted & used).sum(1),
        rejections=(~called & ~wanted & used).sum(1),
    )


def _missed(outputs: Tensor, targets: Tensor) -> float:
    found = counts(outputs, targets)
    return 100 * float(found.misses.sum() / (found.misses.sum() + found.hits.sum()))


def _missed_by_four(outputs: Tensor, targets: Tensor) -> float:
    found = counts(outputs, targets)
    hits, misses = (torch.stack([part.sum() for part in torch.split(one, 4)]) for one in (found.hits, found.misses))
    return 100 * float((misses / (misses + hits)).nanmean())


def _one_minus_auroc_of_decisions(outputs: Tensor, targets: Tensor) -> float:
    found = counts(outputs, targets)
    false_negatives = found.misses.sum() / (found.misses.sum() + found.hits.sum())
    false_positives = found.false_alarms.sum() / (found.false_alarms.sum() + found.rejections.sum())
    return float((false_negatives + false_positives) / 2)


def _one_minus_auroc_of_probabilities(outputs: Tensor, targets: Tensor) -> float:
    auroc = need("torchmetrics.functional.classification").binary_auroc
    logits, wanted, used = pixels(outputs, targets)
    wanted = wanted[used]
    if wanted.all() or not wanted.any():
        return math.nan
    # Ranks in place of probabilities, which are 1 for every large logit.
    values, ranks = torch.unique(logits[used], return_inverse=True)
    return 1 - float(auroc(ranks.double() / len(values), wanted.long()))


HARD_AUROC = Metric("1-AUROC of decisions at 0.5", _one_minus_auroc_of_decisions, higher_is_better=False)
SOFT_AUROC = Metric("1-AUROC of probabilities", _one_minus_auroc_of_probabilities, higher_is_better=False)
# Of all pixels of a part together. Nothing found where nothing is to be found gives NaN.
FNR = Metric("FNR % at 0.5", _missed, higher_is_better=False, beside=(HARD_AUROC, SOFT_AUROC))
# As DASH has it: the mean over four images each in the order of the part, leaving out those with nothing to be found.
FNR_BY_FOUR = Metric("FNR % at 0.5, mean of batches of 4", _missed_by_four, False, beside=(FNR, HARD_AUROC, SOFT_AUROC))
