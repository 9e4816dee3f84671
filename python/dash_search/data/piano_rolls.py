# SPDX-License-Identifier: BSD-3-Clause
"""Piano rolls: which of 88 keys sound in each frame of a piece, and the task to name those of the next frame."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from ..metrics import NOT_SCORED
from .extras import need
from .official import OfficialFile
from .splits import Splits

KEYS = 88


def read_rolls(file: OfficialFile, path: Path) -> list[list[np.ndarray]]:
    """The pieces ``(frames, 88)``, uint8, of the training, the validation and the test part of a MATLAB file.

    Raises:
        DataError: The file is no such file, or SciPy is not installed.
    """
    io = need("scipy.io")
    with file.reading(path):
        content = io.loadmat(path)
        parts = [[_roll(cell) for cell in content[name].ravel()] for name in ("traindata", "validdata", "testdata")]
        if not all(parts):
            raise ValueError("a part holds no piece")
    return parts


def _roll(cell: np.ndarray) -> np.ndarray:
    if cell.ndim != 2 or cell.shape[1] != KEYS or len(cell) < 2 or not np.isin(cell, (0, 1)).all():
        raise ValueError(f"a piece of shape {cell.shape} is not two or more frames of {KEYS} zeros and ones")
    return cell.astype(np.uint8)


def benchmark_splits(file: OfficialFile, path: Path, frames: int) -> Splits:
    """Pieces in the parts of the file; what is filled in behind their end is not scored."""
    return Splits(*(NextFrames(rolls, frames, score_silence=False) for rolls in read_rolls(file, path)))


def paper_splits(file: OfficialFile, path: Path, frames: int) -> Splits:
    """As in DASH: silence is scored; training and validation part are trained on, and the test part validates."""
    train, valid, test = read_rolls(file, path)
    tested = NextFrames(test, frames, score_silence=True)
    return Splits(NextFrames(train + valid, frames, score_silence=True), valid=tested, test=tested)


class NextFrames(Dataset[tuple[Tensor, Tensor]]):
    """Pieces as pairs: the frames from the first to the last but one, and the frames that follow each of them.

    Args:
        rolls: The pieces, ``(frames, 88)`` each.
        frames: Longer pieces are cut after so many frames, shorter ones filled with silence.
        score_silence: The frames that were filled in are targets like the others, of zeros; else they hold NOT_SCORED.

    Items: inputs and targets ``(88, frames - 1)``, float32.
    """

    def __init__(self, rolls: Sequence[np.ndarray], frames: int, *, score_silence: bool) -> None:
        self._rolls = [torch.from_numpy(roll[:frames]) for roll in rolls]
        self._frames, self._fill = frames, 0.0 if score_silence else NOT_SCORED

    def __len__(self) -> int:
        return len(self._rolls)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        roll = self._rolls[i].T.float()
        missing = (0, self._frames - roll.shape[1])
        return (
            F.pad(roll[:, :-1], missing),
            F.pad(roll[:, 1:], missing, value=self._fill),
        )
