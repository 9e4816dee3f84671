# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of tasks that predict the distances between the residues of a protein."""

import torch
from torch import Tensor

from .metric import Metric
from .windows import glued

BORDER = 5  # pixels around the residues of a map, which do not count
NEAR = 8.0  # angstrom: such residues are in contact
APART = 24  # residues along the chain: a contact of long range
SMALLEST = 0.01  # angstrom: no distance is predicted below it


def contact_errors(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean absolute error of each protein's true long-range contacts, ``(N,)``, float64, in angstrom.

    Residues p and q count where q - p is at least 24 and their true distance at most 8 angstrom. Their prediction is
    the mean of those for (p, q) and (q, p), at least 0.01. A protein without such residues gets NaN.

    Args:
        outputs: Predicted maps ``(N, 1, side, side)`` with a border of 5 pixels, or windows of them.
        targets: True maps of that shape, at more than 8 angstrom where no residue is; for windows with the row that
            :func:`~dash_search.metrics.windows.labelled` adds, by which they are glued to maps first.

    Raises:
        ValueError: The shapes do not fit.

    Source: MAE_8 of Adhikari, "A fully open-source framework for deep learning protein real-valued distances",
    Scientific Reports 10, 2020, as NAS-Bench-360 and DASH use it. Their code takes 0.75 of one prediction and 0.25 of
    the other, cuts maps at the length of another protein, and gives infinity where nothing counts.
    """
    if targets.shape[:2] + targets.shape[3:] == outputs.shape[:2] + outputs.shape[3:]:
        if targets.shape[2] == outputs.shape[2] + 1:
            outputs, targets = glued(outputs, targets)
    if outputs.shape != targets.shape or outputs.dim() != 4 or outputs.shape[1] != 1:
        raise ValueError(
            f"outputs are {tuple(outputs.shape)}, targets {tuple(targets.shape)}: give both as (N, 1, side, side), or "
            "windows (N, 1, height, width) and targets with a labelled row more."
        )
    inner = slice(BORDER, -BORDER)
    errors = []
    for predicted, true in zip(outputs[:, 0, inner, inner], targets[:, 0, inner, inner], strict=True):
        p, q = (true <= NEAR).triu(APART).nonzero(as_tuple=True)
        mean = (predicted[p, q].double() + predicted[q, p].double()) / 2
        errors.append((true[p, q].double() - mean.clamp(min=SMALLEST)).abs().mean())
    return torch.stack(errors)


def _mae8(outputs: Tensor, targets: Tensor) -> float:
    return float(contact_errors(outputs, targets).nanmean())


MAE8 = Metric("MAE8 in angstrom", _mae8, higher_is_better=False)
