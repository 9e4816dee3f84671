# SPDX-License-Identifier: BSD-3-Clause
"""watch: which of seven shoulder exercises somebody does, by the accelerometer and gyroscope of a watch."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ..config import RunConfig
from ..data.damage import reading
from ..data.pickles import read_object_array
from ..data.sequences import normalised_splits, windows
from ..data.splits import Splits
from ..data.stored import check_numbers, class_numbers
from ..data.wheels import WheelFile
from ..metrics import ACCURACY
from .networks import resnet1d
from .task import Task

FILE = WheelFile(
    package="seglearn",
    version="1.2.5",
    member="seglearn/data/watch_dataset.npy",
    sha256="eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537",
    licence="BSD-3-Clause (seglearn); recorded for arXiv:1802.01489",
)
SUBJECTS = ((1, 2, 3, 4, 5, 6), (7, 8), (9, 10))  # of the three parts: nobody is in two of them
LENGTH, HOP = 200, 100  # steps of 1/50 s: windows of 4 seconds, half of each in the next


def read_recordings(path: Path) -> tuple[list[Tensor], Tensor, Tensor]:
    """Reads the recordings, each of one person doing one exercise with one arm.

    Returns:
        Recordings ``(steps, 6)``, float32: acceleration and rate of rotation along three axes, 50 a second. Exercises
        and subjects of each, ``(N,)``, int64, exercises from 0 and subjects from 1.

    Raises:
        DataError: The file holds no such thing.
    """
    with reading(
        path, "a dictionary of recordings X, (steps, 6) each, exercises y, 0 to 6, and of each a subject, 1 to 10"
    ):
        content = read_object_array(path).item()
        for one in content["X"]:
            check_numbers(one)
        recordings = [torch.tensor(one, dtype=torch.float32) for one in content["X"]]
        exercises, subjects = class_numbers(content["y"], 7), class_numbers(content["subject"], 11)
        if not all(one.dim() == 2 and one.shape[1] == 6 and len(one) >= LENGTH for one in recordings):
            raise ValueError(f"a recording has other than 6 channels, or fewer than {LENGTH} steps")
        if not len(recordings) == len(exercises) == len(subjects):
            raise ValueError(f"{len(recordings)} recordings, {len(exercises)} exercises, {len(subjects)} subjects")
        if {*subjects.tolist()} != {one for part in SUBJECTS for one in part}:
            raise ValueError(f"subjects {sorted({*subjects.tolist()})}")
    return recordings, exercises, subjects


def load(paths: Sequence[Path]) -> Splits:
    """Windows ``(6, 200)`` and the exercise of each."""
    (path,) = paths
    recordings, exercises, subjects = read_recordings(path)
    parts = []
    for chosen in SUBJECTS:
        members = [i for i, subject in enumerate(subjects.tolist()) if subject in chosen]
        cut = [windows(recordings[i], LENGTH, HOP) for i in members]
        of_each = torch.tensor([len(one) for one in cut])
        parts.append((torch.cat(cut), exercises[members].repeat_interleave(of_each)))
    return normalised_splits(*parts)


# Minutes on two cores. The space is DASH's for sequences; for grad_scale and alpha_lr see smnist5k.
DEMONSTRATION = RunConfig(
    task="watch",
    backbone="resnet1d",
    kernel_sizes=(3, 7, 11, 15, 19),
    dilations=(1, 3, 7, 15),
    search_epochs=8,
    search_fraction=1.0,
    grad_scale=10.0,
    epochs=10,
    batch_size=32,
)

WATCH = Task(
    summary="2,229 windows of a watch's motion, 200 steps in 6 channels, 7 exercises (1-D classification)",
    files=(FILE,),
    load=load,
    loss=nn.functional.cross_entropy,
    metric=ACCURACY,
    backbones={"resnet1d": resnet1d(6, 7, channels=16)},
    defaults=DEMONSTRATION,
)
