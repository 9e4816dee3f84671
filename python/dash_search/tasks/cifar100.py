# SPDX-License-Identifier: BSD-3-Clause
"""cifar100: photographs of 100 kinds of things, 32x32 in colour (NAS-Bench-360)."""

import dataclasses
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..config import RunConfig
from ..data.images import Images
from ..data.official import OfficialFile
from ..data.pickles import read_pickle
from ..data.splits import Splits
from ..metrics import ERROR
from .networks import wide_resnet
from .task import Task

FILE = OfficialFile(
    name="cifar100/cifar-100-python.tar.gz",
    holds="the archive of two pickles, cifar-100-python/train and .../test, of images and their fine_labels",
    origin="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009 (CIFAR-100, python version)",
    licence="none stated by its author",
)
MEAN, DEVIATION = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)
VALID = 10_000 / 50_000  # the end of the training file, as in the benchmark


def read_images(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Images ``(N, 3, 32, 32)``, uint8, and classes ``(N,)`` of the training and of the test file.

    Raises:
        DataError: The file is no such archive.
    """
    parts = []
    with FILE.reading(path), tarfile.open(path) as archive:
        for name in ("train", "test"):
            file = archive.extractfile(f"cifar-100-python/{name}")
            if file is None:
                raise ValueError(f"cifar-100-python/{name} is no file")
            content = read_pickle(file, encoding="bytes")
            images = torch.from_numpy(np.asarray(content[b"data"], dtype=np.uint8)).reshape(-1, 3, 32, 32)
            classes = torch.tensor(content[b"fine_labels"], dtype=torch.int64)
            if len(images) != len(classes) or not 0 <= int(classes.min()) <= int(classes.max()) < 100:
                raise ValueError(f"{name} has {len(images)} images and {len(classes)} classes, or classes beyond 99")
            parts.append((images, classes))
    return parts


def load(paths: Sequence[Path]) -> Splits:
    """Views of the training part are moved and mirrored at random; the other two are left as they are."""
    (images, classes), tested = read_images(paths[0])
    size = len(images) - round(VALID * len(images))
    return Splits(
        train=Images(images[:size], classes[:size], MEAN, DEVIATION, augment=True),
        valid=Images(images[size:], classes[size:], MEAN, DEVIATION),
        test=Images(*tested, MEAN, DEVIATION),
    )


def load_paper(paths: Sequence[Path]) -> Splits:
    """All 50,000 are trained on, and the test part validates."""
    trained, tested = read_images(paths[0])
    test = Images(*tested, MEAN, DEVIATION)
    return Splits(Images(*trained, MEAN, DEVIATION, augment=True), valid=test, test=test)


DASH = RunConfig(task="cifar100", width=4, grad_scale=5000.0)

CLEAN = Task(
    summary="NAS-Bench-360: 60,000 photographs, 32x32, 100 classes (2-D classification)",
    files=(FILE,),
    load=load,
    loss=nn.functional.cross_entropy,
    metric=ERROR,
    backbones={"wrn": wide_resnet(3, 100)},
    defaults=DASH,
)
CIFAR100 = dataclasses.replace(
    CLEAN,
    paper=dataclasses.replace(
        CLEAN,
        load=load_paper,
        defaults=DASH.model_copy(update={"protocol": "paper"}),
        leaks="the test part also chose the epoch whose weights were kept, as in DASH's own runs.",
    ),
)
