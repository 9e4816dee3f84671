# SPDX-License-Identifier: BSD-3-Clause
"""cifar100: photographs of 100 kinds of things, 32x32 in colour (NAS-Bench-360)."""

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
    name="cifar100/cifar-100-python.tar.gz",
    holds="the archive of two pickles, cifar-100-python/train and .../test, of images and their fine_labels",
    origin="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009 (CIFAR-100, python version)",
    licence="none stated by its author",
)
TRAIN, TEST = "cifar-100-python/train", "cifar-100-python/test"
MEAN, DEVIATION = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)
VALID = 10_000 / 50_000  # the end of the training file, as in the benchmark


def load(paths: Sequence[Path], valid: float = VALID) -> Splits:
    """Views of the training part are moved and mirrored at random; the other two are left as they are."""
    trained, tested = (read_cifar(FILE, paths[0], [name], "fine_labels", 100) for name in (TRAIN, TEST))
    return image_splits(trained, tested, MEAN, DEVIATION, valid=valid, augment=True)


DASH = RunConfig(task="cifar100", width=4, tune="grid", grad_scale=5000.0)

CLEAN = Task(
    summary="NAS-Bench-360: 60,000 photographs, 32x32, 100 classes (2-D classification)",
    files=(FILE,),
    load=load,
    loss=nn.functional.cross_entropy,
    metric=ERROR,
    backbones={"wrn": wide_resnet(3, 100), "convnext": convnext(3, 100)},
    defaults=DASH,
)
CIFAR100 = CLEAN.with_paper(load=partial(load, valid=0.0), leaks=TEST_VALIDATES)  # all 50,000 are trained on
