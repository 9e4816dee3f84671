# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of tasks that name one class per sample."""

from torch import Tensor

from .metric import Metric


def _accuracy(outputs: Tensor, targets: Tensor) -> float:
    if outputs.dim() < 2 or outputs.shape[:1] + outputs.shape[2:] != targets.shape:
        raise ValueError(
            f"outputs are {tuple(outputs.shape)}, targets {tuple(targets.shape)}: give outputs (N, classes, ...) and "
            "class numbers (N, ...)."
        )
    return 100 * float((outputs.argmax(dim=1) == targets).double().mean())


def _error(outputs: Tensor, targets: Tensor) -> float:
    return 100 - _accuracy(outputs, targets)


ACCURACY = Metric("accuracy %", _accuracy, higher_is_better=True)
ERROR = Metric("0-1 error %", _error, higher_is_better=False)
