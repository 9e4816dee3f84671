# SPDX-License-Identifier: BSD-3-Clause
"""What the tasks of sequences share: channels normalised by the training part, and cutting long recordings."""

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from .splits import Splits


def normalised_splits(*parts: tuple[Tensor, Tensor]) -> Splits:
    """Training, validation and test part out of sequences ``(N, channels, length)`` and classes ``(N,)`` of each.

    Every channel has mean 0 and deviation 1 over all steps of the training part.
    """
    deviation, mean = torch.std_mean(parts[0][0], dim=(0, 2), keepdim=True)
    deviation[deviation == 0] = 1  # a constant channel is all zeros
    return Splits(*(TensorDataset((sequences - mean) / deviation, classes) for sequences, classes in parts))


def windows(recording: Tensor, length: int, hop: int) -> Tensor:
    """Every window of a recording ``(steps, channels)`` that lies wholly in it, as ``(N, channels, length)``.

    Args:
        recording: The recording.
        length: Steps of a window.
        hop: Steps from the start of one window to that of the next.

    Raises:
        RuntimeError: The recording is shorter than a window.
    """
    return recording.unfold(0, length, hop).contiguous()
