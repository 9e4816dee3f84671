# SPDX-License-Identifier: BSD-3-Clause
"""ecg: the rhythm of a heart from a single lead, 4 classes (NAS-Bench-360)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn

from ..data.extras import need
from ..data.official import OfficialFile
from ..data.pickles import read_pickle
from ..data.recordings import Windows
from ..data.splits import Splits
from ..data.stored import check_numbers
from ..metrics import F1_ERROR_OF_VOTES, f1_error_of_batches
from .networks import resnet1d, tcn
from .sequences import PAPER_SEARCH, SEQUENCES
from .task import TEST_VALIDATES, Task

FILE = OfficialFile(
    name="ecg/challenge2017.pkl",
    holds="a pickled dictionary of data, recordings of different lengths, and label, one of N, A, O, ~ for each",
    origin="the PhysioNet/CinC Challenge 2017 (AF Classification from a Short Single Lead ECG Recording)",
    licence="Open Data Commons Attribution License v1.0",
)
RHYTHMS = ("N", "A", "O", "~")  # normal, atrial fibrillation, another rhythm, noise
# 300 steps are a second. The rarer a rhythm, the closer its windows, in all parts: there are about as many of each.
WINDOW, STRIDES = 1000, (500, 83, 250, 25)
# Both ways to split take the recordings in one order of chance: half of those that the paper tests on are, in the
# benchmark's split, in the part that validates.
LEAKS = f"{TEST_VALIDATES} Where hyper-parameters are tuned, about half of it chose them, too."


def read_recordings(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Recordings ``(steps,)``, of the type that the file has, and their classes ``(N,)``, as in RHYTHMS.

    Raises:
        DataError: The file is no such pickle.
    """
    with FILE.reading(path), path.open("rb") as file:
        content = read_pickle(file, encoding="latin1")
        recordings = [np.asarray(one) for one in content["data"]]
        unknown = sorted({*content["label"]}.difference(RHYTHMS))
        if unknown:
            raise ValueError(f"there are labels {unknown}")
        classes = np.array([RHYTHMS.index(label) for label in content["label"]])
        if len(recordings) != len(classes):
            raise ValueError(f"there are {len(recordings)} recordings and {len(classes)} labels")
        if any(one.ndim != 1 or one.dtype.kind not in "iuf" for one in recordings):
            raise ValueError("a recording is no list of numbers")
        for one in recordings:
            check_numbers(one)
    return recordings, classes


def cut(path: Path, shares: Sequence[float], *, tell_recording: bool) -> list[Windows]:
    """Windows of the recordings of each part; those of the first one never tell from which recording they are.

    Args:
        path: The file.
        shares: Of the recordings that are left, how many a split of scikit-learn takes away for the next part.
        tell_recording: Whether the targets of the other parts carry the number of the recording.
    """
    recordings, classes = read_recordings(path)
    split = need("sklearn.model_selection").train_test_split
    with FILE.reading(path):
        parts = [np.arange(len(recordings))]
        for share in shares:
            rest = parts.pop()
            parts += split(rest, test_size=share, random_state=0)
        return [
            Windows(
                [recordings[i] for i in part],
                classes[part],
                length=WINDOW,
                strides=STRIDES,
                tell_recording=tell_recording and place > 0,
            )
            for place, part in enumerate(parts)
        ]


def load(paths: Sequence[Path]) -> Splits:
    """Windows ``(1, 1000)`` of eight, one and one tenths of the recordings: no recording is in two parts."""
    return Splits(*cut(paths[0], (0.2, 0.5), tell_recording=True))


def load_paper(paths: Sequence[Path]) -> Splits:
    """Nine tenths of the recordings are trained on, and the test part validates."""
    train, test = cut(paths[0], (0.1,), tell_recording=False)
    return Splits(train, valid=test, test=test)


DASH = SEQUENCES.changed({"task": "ecg", "batch_size": 1024, "eval_batch_size": 1024})

CLEAN = Task(
    summary="NAS-Bench-360: 8,528 electrocardiograms cut into windows of 1,000 steps, 4 rhythms (1-D classification)",
    files=(FILE,),
    load=load,
    loss=nn.functional.cross_entropy,
    metric=F1_ERROR_OF_VOTES,
    backbones={"resnet1d": resnet1d(1, 4, channels=4), "tcn": tcn(1, 4)},
    defaults=DASH,
)
ECG = CLEAN.with_paper(PAPER_SEARCH, load=load_paper, metric=f1_error_of_batches(1024), leaks=LEAKS)
