# SPDX-License-Identifier: BSD-3-Clause
"""satellite: what covers a piece of land, from how it looked at 46 times, 24 classes (NAS-Bench-360)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from ..data.official import OfficialFile
from ..data.pickles import read_object_array
from ..data.splits import Splits
from ..data.stored import Stored, check_numbers, class_numbers, standardised
from ..metrics import ERROR
from .networks import resnet1d, tcn
from .sequences import PAPER_SEARCH, SEQUENCES
from .task import TEST_VALIDATES, Task

TRAIN_FILE, TEST_FILE = (
    OfficialFile(
        name=f"satellite/satellite_{part}.npy",
        holds="a dictionary, pickled in NumPy's format, of data (N, 46) and label (N,), 1 to 24",
        origin="NAS-Bench-360 (Formosat-2 time series of C. W. Tan, G. I. Webb and F. Petitjean)",
        licence="none stated by its authors",
    )
    for part in ("train", "test")
)
STEPS, CLASSES = 46, 24


def read_series(file: OfficialFile, path: Path) -> tuple[np.ndarray, Tensor]:
    """Series ``(N, 46)``, of the type that the file has, and classes ``(N,)``, 0 to 23.

    Raises:
        DataError: The file holds no such dictionary.
    """
    with file.reading(path):
        content = read_object_array(path)[()]
        series, classes = content["data"], class_numbers(np.asarray(content["label"]) - 1, CLASSES)
        if series.shape != (len(classes), STEPS) or series.dtype.kind not in "iuf":
            raise ValueError(f"the data is {series.shape} of {series.dtype}, for {len(classes)} labels")
        check_numbers(series)
    return series, classes


def normalised(series: np.ndarray) -> np.ndarray:
    """A series ``(46,)`` as ``(1, 46)``, with mean 0 and deviation 1 over its own steps."""
    return standardised(series)[None]


def raw(series: np.ndarray) -> np.ndarray:
    """A series ``(46,)`` as ``(1, 46)``."""
    return series[None]


def load(paths: Sequence[Path]) -> Splits:
    """As in the benchmark as many series validate as test: the last 100,000 of the training file."""
    series, classes = read_series(TRAIN_FILE, paths[0])
    tested = read_series(TEST_FILE, paths[1])
    size = len(series) - len(tested[0])
    with TRAIN_FILE.reading(paths[0]):
        if size < 1:
            raise ValueError(f"{len(series)} series to train on, where {len(tested[0])} validate and as many test")
        return Splits(
            train=Stored(series[:size], classes[:size], normalised),
            valid=Stored(series[size:], classes[size:], normalised),
            test=Stored(*tested, normalised),
        )


def load_paper(paths: Sequence[Path]) -> Splits:
    """The series as they are; all of the training file is trained on, and the test part validates."""
    test = Stored(*read_series(TEST_FILE, paths[1]), raw)
    return Splits(Stored(*read_series(TRAIN_FILE, paths[0]), raw), valid=test, test=test)


DASH = SEQUENCES.changed({"task": "satellite", "batch_size": 256, "eval_batch_size": 256})

CLEAN = Task(
    summary="NAS-Bench-360: 1,000,000 pieces of land seen at 46 times, 24 classes (1-D classification)",
    files=(TRAIN_FILE, TEST_FILE),
    load=load,
    loss=nn.functional.cross_entropy,
    metric=ERROR,
    backbones={"resnet1d": resnet1d(1, CLASSES, channels=64), "tcn": tcn(1, CLASSES)},
    defaults=DASH,
)
SATELLITE = CLEAN.with_paper(PAPER_SEARCH, load=load_paper, leaks=TEST_VALIDATES)
