# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of tasks that predict a field of numbers."""

from torch import Tensor

from .metric import Metric


def relative_l2(outputs: Tensor, targets: Tensor) -> Tensor:
    r"""The relative error :math:`\lVert y' - y \rVert_2 / \lVert y \rVert_2` of each sample, ``(N,)``.

    Args:
        outputs, targets: Predictions y' and true values y, both ``(N, ...)`` of one shape.

    Raises:
        ValueError: The shapes differ, or a target is zero everywhere.
    """
    if outputs.shape != targets.shape:
        raise ValueError(f"outputs are {tuple(outputs.shape)}, targets {tuple(targets.shape)}: both need one shape.")
    norm = targets.flatten(1).norm(dim=1)
    if not norm.all():
        raise ValueError(
            f"target {int((norm == 0).nonzero()[0])} of {len(norm)} is zero everywhere: it has no relative error. "
            "Leave such samples out."
        )
    error: Tensor = (outputs - targets).flatten(1).norm(dim=1) / norm
    return error


def _mean_relative_l2(outputs: Tensor, targets: Tensor) -> float:
    return float(relative_l2(outputs.double(), targets.double()).mean())


RELATIVE_L2 = Metric("relative L2", _mean_relative_l2, higher_is_better=False)
