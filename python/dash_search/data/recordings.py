# SPDX-License-Identifier: BSD-3-Clause
"""Recordings of different lengths, from which windows are cut when they are asked for."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """Windows of recordings, each normalised by the mean and the deviation of its whole recording.

    A recording of n steps has the windows that start at 0, s, 2s, ... below n - length, with the stride s of its
    class; so one that is no longer than a window has none.

    Args:
        recordings: Any number of ``(steps,)``, kept as they are.
        classes: ``(N,)``, the class of each.
        length: Steps of a window.
        strides: The stride of each class.
        tell_recording: Targets ``(2,)``, the class and the number of the recording, in place of the class alone.

    Raises:
        ValueError: No recording is longer than a window.
    """

    def __init__(
        self,
        recordings: Sequence[np.ndarray],
        classes: np.ndarray,
        *,
        length: int,
        strides: Sequence[int],
        tell_recording: bool,
    ) -> None:
        starts = [np.arange(0, len(one) - length, strides[c]) for one, c in zip(recordings, classes, strict=True)]
        self.recording = np.repeat(np.arange(len(starts)), [len(one) for one in starts])
        if len(self.recording) == 0:
            raise ValueError(f"none of {len(starts)} recordings is longer than a window of {length} steps")
        self.start = np.concatenate(starts)
        self._recordings, self._length = recordings, length
        self._mean = [one.mean(dtype=np.float64) for one in recordings]
        self._deviation = [one.std(dtype=np.float64) or 1.0 for one in recordings]  # a constant recording is all zeros
        numbers = torch.from_numpy(self.recording)
        of_class = torch.from_numpy(classes)[numbers]
        self.targets = torch.stack([of_class, numbers], dim=1) if tell_recording else of_class

    def __len__(self) -> int:
        return len(self.recording)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        n, start = self.recording[i], self.start[i]
        window = self._recordings[n][start : start + self._length]
        normalised = (window - self._mean[n]) / self._deviation[n]
        return torch.from_numpy(normalised.astype(np.float32)[None]), self.targets[i]
