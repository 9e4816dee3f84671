# SPDX-License-Identifier: BSD-3-Clause
"""What the tasks of Darcy flow share: from coefficients and pressures to parts that a network can learn from."""

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ..errors import DataError
from .splits import Splits

Fields = tuple[Tensor, Tensor]
"""Coefficients and pressures of so many flows, both ``(N, height, width)``, float32."""

VALID_SHARE = 0.1  # of the training file, at its end, as in the benchmark


def moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased deviation of every grid point over the first axis of ``(N, height, width)``.

    The deviation has 1e-5 added to it, for points that are constant.

    Raises:
        DataError: There are not even two values.
    """
    if len(values) < 2:
        raise DataError(f"the files of the task hold too few samples: the training part has {len(values)}, not even 2.")
    return values.mean(dim=0), values.std(dim=0) + 1e-5


class Pressure(nn.Module):
    """The last layer of a network for the flows: from normalised values to the pressure in its own units.

    Args:
        pressures: Those of the training part, ``(N, height, width)``.

    Shape:
        - Input: ``(batch, 1, height, width)``.
        - Output: ``(batch, height, width)``.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, pressures: Tensor) -> None:
        super().__init__()
        mean, deviation = moments(pressures)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, normalised: Tensor) -> Tensor:
        return normalised.squeeze(1) * self.deviation + self.mean


def with_coordinates(coefficient: Tensor) -> Tensor:
    """Puts two channels beside ``(N, height, width)``, the place along the columns and along the rows, 0 to 1."""
    n, height, width = coefficient.shape
    across = torch.linspace(0, 1, width).expand(n, height, width)
    down = torch.linspace(0, 1, height)[:, None].expand(n, height, width)
    return torch.stack([coefficient, across, down], dim=1)


def without_end(fields: Fields) -> tuple[Fields, Fields]:
    """The flows to train on, and those at the end that validate."""
    coefficient, pressure = fields
    size = len(coefficient) - round(VALID_SHARE * len(coefficient))
    return (coefficient[:size], pressure[:size]), (coefficient[size:], pressure[size:])


def flow_splits(*parts: Fields) -> Splits:
    """Training, validation and test part out of the fields of each.

    Inputs ``(3, height, width)`` are normalised by the training part alone, targets stay in their own units, and the
    decoder of the parts is fitted on those of the training part.
    """
    coefficients, pressures = parts[0]
    mean, deviation = moments(coefficients)
    return Splits(
        *(TensorDataset(with_coordinates((x - mean) / deviation), y) for x, y in parts), decoder=Pressure(pressures)
    )
