# SPDX-License-Identifier: BSD-3-Clause
"""deepsea: which of 36 chromatin features a piece of DNA has (NAS-Bench-360)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import ConcatDataset

from ..data.npz import map_member
from ..data.official import OfficialFile
from ..data.splits import Splits
from ..data.stored import Stored
from ..losses import multi_label
from ..metrics import AUROC_ERROR
from .networks import deepsea, resnet1d, tcn
from .sequences import PAPER_SEARCH, SEQUENCES
from .task import TEST_VALIDATES, Task

FILE = OfficialFile(
    name="deepsea/deepsea_filtered.npz",
    holds="the arrays x_train, x_val, x_test (N, 1000, 4), DNA one-hot, and y_train, y_val, y_test (N, 36) of 0 and 1",
    origin="NAS-Bench-360 (a part of the data of J. Zhou and O. G. Troyanskaya, DeepSEA, 2015)",
    licence="none stated by its authors",
)
LENGTH, LETTERS, FEATURES = 1000, 4, 36


def letters_first(sequence: np.ndarray) -> np.ndarray:
    """DNA ``(1000, 4)`` as ``(4, 1000)``.

    Raises:
        DataError: It has numbers other than 0 to 1.
    """
    with FILE.reading():
        if not 0 <= sequence.min() <= sequence.max() <= 1:
            raise ValueError(f"a piece of DNA has numbers from {sequence.min()} to {sequence.max()}")
    return sequence.T


def read_parts(path: Path) -> list[Stored]:
    """Training, validation and test part. Sequences stay in the file, or in memory as bytes where it is compressed.

    Raises:
        DataError: The file holds no such arrays.
    """
    parts = []
    with FILE.reading(path):
        for name in ("train", "val", "test"):
            sequences = map_member(path, f"x_{name}")
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                features = arrays[f"y_{name}"]  # read whole, so its checksum is verified
            if sequences.shape[1:] != (LENGTH, LETTERS) or features.shape != (len(sequences), FEATURES):
                raise ValueError(f"x_{name} is {sequences.shape}, y_{name} {features.shape}")
            if sequences.dtype.kind not in "buif":
                raise ValueError(f"x_{name} is of {sequences.dtype}")
            if not np.isin(features, (0, 1)).all():
                raise ValueError(f"y_{name} has other values than 0 and 1")
            parts.append(Stored(sequences, torch.from_numpy(features.astype(np.float32)), letters_first))
    return parts


def load(paths: Sequence[Path]) -> Splits:
    """DNA ``(4, 1000)`` and features ``(36,)``, in the parts of the file."""
    return Splits(*read_parts(paths[0]))


def load_paper(paths: Sequence[Path]) -> Splits:
    """The training and the validation part are trained on, and the test part validates."""
    train, valid, test = read_parts(paths[0])
    return Splits(ConcatDataset([train, valid]), valid=test, test=test)


DASH = SEQUENCES.changed({"task": "deepsea", "batch_size": 256, "eval_batch_size": 512, "grad_scale": 10.0})

CLEAN = Task(
    summary="NAS-Bench-360: 223,643 pieces of DNA, 1,000 letters, 36 features each (1-D, several labels)",
    files=(FILE,),
    load=load,
    loss=multi_label(),
    metric=AUROC_ERROR,
    backbones={
        "resnet1d": resnet1d(LETTERS, FEATURES, channels=64),
        "tcn": tcn(LETTERS, FEATURES),
        "deepsea": deepsea(LETTERS, FEATURES, LENGTH),
    },
    defaults=DASH,
)
DEEPSEA = CLEAN.with_paper(PAPER_SEARCH, load=load_paper, loss=multi_label(positive=4.0), leaks=TEST_VALIDATES)
