# SPDX-License-Identifier: BSD-3-Clause
"""ninapro: which of 18 gestures a hand makes, from 16 electrodes on its forearm (NAS-Bench-360)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import ConcatDataset, TensorDataset

from ..config import RunConfig
from ..data.official import OfficialFile
from ..data.splits import Splits
from ..data.stored import check_numbers, class_numbers
from ..metrics import ERROR
from .networks import wide_resnet
from .task import TEST_VALIDATES, Task

STEPS, ELECTRODES, CLASSES = 52, 16, 18
PARTS = ("train", "val", "test")


def official(name: str, holds: str) -> OfficialFile:
    return OfficialFile(
        name=f"ninapro/{name}.npy",
        holds=holds,
        origin="NAS-Bench-360 (NinaPro DB5 of S. Pizzolato and others, 2017)",
        licence="none stated by the benchmark",
    )


SIGNALS = [official(f"ninapro_{part}", "an array (N, 52, 16) of numbers") for part in PARTS]
LABELS = [official(f"label_{part}", "an array (N,) of integers from 0 to 17") for part in PARTS]


def read_parts(paths: Sequence[Path]) -> list[TensorDataset]:
    """Training, validation and test part: signals as images ``(1, 16, 52)``, a row per electrode, and classes.

    Raises:
        DataError: A file holds something else.
    """
    parts = []
    for signal_file, signal_path, label_file, label_path in zip(SIGNALS, paths[:3], LABELS, paths[3:], strict=True):
        with signal_file.reading(signal_path):
            signals = np.load(signal_path, allow_pickle=False)
            if signals.ndim != 3 or signals.shape[1:] != (STEPS, ELECTRODES) or signals.dtype.kind not in "iuf":
                raise ValueError(f"it is {signals.shape} of {signals.dtype}")
            check_numbers(signals)
        with label_file.reading(label_path):
            classes = class_numbers(np.load(label_path, allow_pickle=False), CLASSES)
            if len(classes) != len(signals):
                raise ValueError(f"there are {len(classes)} labels and {len(signals)} signals")
        images = torch.from_numpy(signals.astype(np.float32)).transpose(1, 2).unsqueeze(1)
        parts.append(TensorDataset(images.contiguous(), classes))
    return parts


def load(paths: Sequence[Path]) -> Splits:
    """The parts of the benchmark."""
    return Splits(*read_parts(paths))


def load_paper(paths: Sequence[Path]) -> Splits:
    """The training and the validation part are trained on, and the test part validates."""
    train, valid, test = read_parts(paths)
    return Splits(ConcatDataset([train, valid]), valid=test, test=test)


DASH = RunConfig(
    task="ninapro",
    tune="grid",
    kernel_sizes=(3, 5, 7),
    dilations=(1, 3, 7),
    width=4,
    batch_size=128,
    eval_batch_size=128,
)

CLEAN = Task(
    summary="NAS-Bench-360: 3,956 signals of 16 electrodes over 52 steps, 18 gestures (2-D classification)",
    files=(*SIGNALS, *LABELS),
    load=load,
    loss=nn.functional.cross_entropy,  # the focal loss of DASH has gamma 0, which is the same
    metric=ERROR,
    backbones={"wrn": wide_resnet(1, CLASSES)},
    defaults=DASH,
)
NINAPRO = CLEAN.with_paper(load=load_paper, leaks=TEST_VALIDATES)
