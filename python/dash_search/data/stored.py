# SPDX-License-Identifier: BSD-3-Clause
"""Samples kept as they are stored, in memory or in a file, and made numbers one by one."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

LARGEST = 1e15  # no measurement is larger; its square is still a number in float32


def check_numbers(values: np.ndarray, name: str = "it") -> None:
    """Checks that an array is of real numbers that can be computed with; errors call it by the name.

    Raises:
        ValueError: It holds something else, or numbers that are not finite or above 1e15.
    """
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {values.dtype}, no real numbers")
    if values.dtype.kind != "f" or not values.size:
        return
    # the extremes are NaN if anything is, and need no copy of the values
    if not -LARGEST <= float(values.min()) <= float(values.max()) <= LARGEST:
        raise ValueError(f"{name} holds numbers that are not finite, or above {LARGEST:g}")


class Stored(Dataset[tuple[Tensor, Tensor]]):
    """Samples of any type and their targets; only those that are asked for become float32.

    Args:
        samples: ``(N, ...)``; may be mapped from a file.
        targets: ``(N, ...)``, given out as they are.
        prepare: From one stored sample to the input of a network.

    Raises:
        ValueError: There are no samples, or not as many targets.
    """

    def __init__(self, samples: np.ndarray, targets: Tensor, prepare: Callable[[np.ndarray], np.ndarray]) -> None:
        if len(samples) != len(targets) or len(samples) == 0:
            raise ValueError(f"there are {len(samples)} samples and {len(targets)} targets")
        self.samples, self.targets, self._prepare = samples, targets, prepare

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        prepared = np.ascontiguousarray(self._prepare(self.samples[i]), dtype=np.float32)
        return torch.from_numpy(prepared), self.targets[i]


def class_numbers(numbers: np.ndarray, classes: int) -> Tensor:
    """Class numbers ``(N,)`` of a file as int64.

    Raises:
        ValueError: They are not one list of integers from 0 to ``classes`` - 1.
    """
    with np.errstate(invalid="ignore"):  # what is not finite differs from what it becomes
        whole = np.asarray(numbers).astype(np.int64)
    if whole.ndim != 1 or not np.array_equal(whole, numbers) or not np.isin(whole, range(classes)).all():
        raise ValueError(f"the classes of shape {whole.shape} are not all integers from 0 to {classes - 1}")
    return torch.from_numpy(whole)


def standardised(samples: np.ndarray) -> np.ndarray:
    """Samples with mean 0 and (population) deviation 1 over all their values; zeros where they are constant."""
    centred: np.ndarray = samples - samples.mean(dtype=np.float64)
    return centred / (samples.std(dtype=np.float64) or 1.0)
