# SPDX-License-Identifier: BSD-3-Clause
"""cifar10: photographs of 10 kinds of things, 32x32 in colour (one of DASH's further tasks)."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from torch import nn

from ..config import RunConfig
from ..data.cifar import read_cifar
from ..data.images import image_splits
from ..data.official import OfficialFile
from ..data.splits import Splits
from ..metrics import ERROR
from .networks import convnext, wide_resnet
from .task import TEST_VALIDATES, Task

FILE = OfficialFile(
    name="cifar10/cifar-10-python.tar.gz",
    holds="the archive of six pickles, cifar-10-batches-py/data_batch_1 to _5 and .../test_batch, of images and labels",
    origin="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009 (CIFAR-10, python version)",
    licence="none stated by its author",
)
TRAIN = [f"cifar-10-batches-py/data_batch_{i}" for i in range(1, 6)]
TEST = ["cifar-10-batches-py/test_batch"]
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
DASH_DEVIATION = (0.2023, 0.1994, 0.2010)  # the mean of the images' deviations, not that of all pixels
VALID = 10_000 / 50_000  # the last of the five batches


def load(paths: Sequence[Path], valid: float = VALID, deviation: tuple[float, ...] = DEVIATION) -> Splits:
    """Views of the training part are moved and mirrored at random; the other two are left as they are."""
    trained, tested = (read_cifar(FILE, paths[0], members, "labels", 10) for members in (TRAIN, TEST))
    return image_splits(trained, tested, MEAN, deviation, valid=valid, augment=True)


DASH = RunConfig(task="cifar10", width=4, tune="grid", grad_scale=5000.0)

CLEAN = Task(
    summary="60,000 photographs, 32x32, 10 classes (2-D classification)",
    files=(FILE,),
    load=load,
    loss=nn.functional.cross_entropy,
    metric=ERROR,
    backbones={"wrn": wide_resnet(3, 10), "convnext": convnext(3, 10)},
    defaults=DASH,
)
CIFAR10 = CLEAN.with_paper(load=partial(load, valid=0.0, deviation=DASH_DEVIATION), leaks=TEST_VALIDATES)
