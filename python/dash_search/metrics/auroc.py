# SPDX-License-Identifier: BSD-3-Clause
"""Area under the receiver operating characteristic, of tasks that give every sample several labels."""

import torch
from torch import Tensor

from ..data.extras import need
from .metric import Metric


def aurocs(outputs: Tensor, targets: Tensor) -> Tensor:
    """The area under the curve of each label, ``(labels,)``, float64: how often a sample with it is above one without.

    Args:
        outputs: ``(N, labels)``; larger means likelier.
        targets: Zeros and ones of the same shape.

    Returns:
        NaN for a label that all samples have, or none: there is nothing to compare.

    Raises:
        ValueError: The shapes differ.
    """
    if outputs.dim() != 2 or outputs.shape != targets.shape:
        raise ValueError(
            f"outputs are {tuple(outputs.shape)}, targets {tuple(targets.shape)}: both need one shape (N, labels)."
        )
    area = need("sklearn.metrics").roc_auc_score
    return torch.tensor(
        [
            float(area(wanted, output)) if len(wanted.unique()) == 2 else torch.nan
            for output, wanted in zip(outputs.T, targets.T, strict=True)
        ],
        dtype=torch.float64,
    )


def _error(outputs: Tensor, targets: Tensor) -> float:
    return 1 - float(aurocs(outputs, targets).nanmean())


# Of the mean over the labels that some samples have and others do not; NaN where there is no such label.
AUROC_ERROR = Metric("1-AUROC", _error, higher_is_better=False)
