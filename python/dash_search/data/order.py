# SPDX-License-Identifier: BSD-3-Clause
"""Pixels in another order, the same for all samples: what is near on the grid is then far in the data."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


class Reordered(Dataset[tuple[Tensor, Tensor]]):
    """The samples of another data set, their inputs in another order.

    Args:
        samples: Pairs of an input ``(channels, ...)`` and a target.
        order: ``(n,)``: place i of every axis behind the channels holds what was at place ``order[i]``. All these
            axes are n long.
    """

    def __init__(self, samples: Dataset[Any], order: Tensor) -> None:
        self._samples, self._order = samples, order

    def __len__(self) -> int:
        return len(self._samples)  # type: ignore[arg-type]

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        values, target = self._samples[i]
        for axis in range(1, values.dim()):
            values = values.index_select(axis, self._order)
        return values, target


def bit_reversal(n: int) -> Tensor:
    """The numbers below n, a power of two, in the order of their mirrored binary digits: 0, 4, 2, 6, ... for 8."""
    bits = n.bit_length() - 1
    if n != 1 << bits:
        raise ValueError(f"n is {n}: it must be a power of two.")
    return torch.tensor([int(f"{i:0{bits}b}"[::-1], 2) if bits else 0 for i in range(n)])


def drawn_order(n: int, seed: int) -> Tensor:
    """The numbers below n in an order of chance; the global generators are neither read nor moved.

    It is what ``numpy.random.permutation(n)`` gives after ``numpy.random.seed(seed)``, whichever version of NumPy.
    """
    return torch.from_numpy(np.random.RandomState(seed).permutation(n))
