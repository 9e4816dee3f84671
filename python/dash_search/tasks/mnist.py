# SPDX-License-Identifier: BSD-3-Clause
"""mnist: 70,000 handwritten digits read row by row, as sequences of 784 grey values (one of DASH's further tasks)."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from torch import nn

from ..data.idx import read_idx
from ..data.images import image_splits, image_tensors
from ..data.official import OfficialFile
from ..data.splits import Splits
from ..metrics import ACCURACY
from .networks import resnet1d, tcn
from .sequences import PAPER_SEARCH, SEQUENCES
from .task import TEST_VALIDATES, Task


def _file(name: str, holds: str) -> OfficialFile:
    return OfficialFile(
        name=f"mnist/{name}.gz",
        holds=f"{holds}, gzipped IDX",
        origin="Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits",
        licence="none stated by its authors",
    )


FILES = (
    _file("train-images-idx3-ubyte", "60,000 images of 28x28 bytes"),
    _file("train-labels-idx1-ubyte", "60,000 classes, a byte each"),
    _file("t10k-images-idx3-ubyte", "10,000 images of 28x28 bytes"),
    _file("t10k-labels-idx1-ubyte", "10,000 classes, a byte each"),
)
STEPS = 28 * 28
MEAN, DEVIATION = (0.1307,), (0.3081,)  # of the training files
VALID = 10_000 / 60_000  # the end of the training files; DASH's split is drawn anew whenever the data is loaded


def load(paths: Sequence[Path], valid: float = VALID) -> Splits:
    """The digits as sequences ``(1, 784)``."""
    parts = []
    for i in (0, 2):
        images, classes = read_idx(FILES[i], paths[i], (28, 28)), read_idx(FILES[i + 1], paths[i + 1], ())
        with FILES[i + 1].reading(paths[i + 1]):
            parts.append(image_tensors(images.reshape(-1, 1, STEPS), classes, (1, STEPS), 10))
    trained, tested = parts
    return image_splits(trained, tested, MEAN, DEVIATION, valid=valid)


# The pixel below lies 28 steps away, so the dilations are more than DASH has for other sequences. With its grad_scale
# the penalty on sizes of up to 1,017 steps outweighs the task.
DASH = SEQUENCES.changed(
    {
        "task": "mnist",
        "kernel_sizes": (3, 5, 7, 9),
        "dilations": (1, 3, 7, 15, 31, 63, 127),
        "batch_size": 256,
    }
)

CLEAN = Task(
    summary="70,000 handwritten digits as sequences of 784 steps, 10 classes (1-D classification)",
    files=FILES,
    load=load,
    loss=nn.functional.cross_entropy,
    metric=ACCURACY,
    backbones={"resnet1d": resnet1d(1, 10, channels=16), "tcn": tcn(1, 10)},
    defaults=DASH,
)
# All 60,000 are trained on.
MNIST = CLEAN.with_paper(PAPER_SEARCH, load=partial(load, valid=0.0), leaks=TEST_VALIDATES)
