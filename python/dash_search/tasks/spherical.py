# SPDX-License-Identifier: BSD-3-Clause
"""spherical: the photographs of CIFAR-100 on a sphere, each turned at random (NAS-Bench-360)."""

import gzip
import io
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from ..config import RunConfig
from ..data.images import channel_moments, image_splits, image_tensors, training_size
from ..data.official import OfficialFile, read_to_end
from ..data.pickles import read_pickle
from ..data.splits import Splits
from ..metrics import ERROR
from .networks import convnext, wide_resnet
from .task import TEST_VALIDATES, Task

FILE = OfficialFile(
    name="spherical/s2_cifar100.gz",
    holds="a gzipped pickle of train and test, each of images (N, 3, 60, 60) of bytes and labels 0 to 99",
    origin="the authors of NAS-Bench-360, who made it from CIFAR-100",
    licence="none stated by its authors",
)
VALID = 0.2  # the end of the training images, as in the benchmark


def read_images(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Images ``(N, 3, 60, 60)``, uint8, rows by colatitude, and classes ``(N,)`` of training and test.

    Raises:
        DataError: The file is no such pickle.
    """
    with FILE.reading(path), gzip.open(path) as packed, io.BufferedReader(packed) as file:
        content = read_pickle(file, encoding="latin1")
        parts = [
            image_tensors(content[name]["images"], content[name]["labels"], (3, 60, 60), 100)
            for name in ("train", "test")
        ]
        read_to_end(file)
    return parts


def load(paths: Sequence[Path]) -> Splits:
    """Each channel is normalised by its mean and deviation over the training part."""
    trained, tested = read_images(paths[0])
    seen = trained[0][: training_size(len(trained[0]), VALID)]
    return image_splits(trained, tested, *channel_moments(seen), valid=VALID)


def load_paper(paths: Sequence[Path]) -> Splits:
    """Values 0 to 255 go into the network as they are; all 50,000 are trained on, and the test part validates."""
    trained, tested = read_images(paths[0])
    return image_splits(trained, tested, (0.0,) * 3, (1 / 255,) * 3, valid=0.0)


DASH = RunConfig(task="spherical", width=4, tune="grid", grad_scale=500.0)

CLEAN = Task(
    summary="NAS-Bench-360: 60,000 photographs on turned spheres, 60x60, 100 classes (2-D classification)",
    files=(FILE,),
    load=load,
    loss=nn.functional.cross_entropy,
    metric=ERROR,
    backbones={"wrn": wide_resnet(3, 100), "convnext": convnext(3, 100)},
    defaults=DASH,
)
SPHERICAL = CLEAN.with_paper(load=load_paper, leaks=TEST_VALIDATES)
