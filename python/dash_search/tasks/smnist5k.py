# SPDX-License-Identifier: BSD-3-Clause
"""smnist5k: the digits of mnist5k read row by row, as sequences of 784 grey values."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn
from torch.utils.data import TensorDataset

from ..config import RunConfig
from ..data.splits import Splits
from ..metrics import ACCURACY
from .mnist5k import FILE, split_digits
from .networks import resnet1d, tcn
from .task import Task


def load(paths: Sequence[Path]) -> Splits:
    """The digits as sequences ``(1, 784)``, in the same parts as those of mnist5k."""
    parts = split_digits(paths)
    return Splits(*(TensorDataset(images.flatten(2), classes) for images, classes in parts))


# Minutes on two cores. The space is DASH's for digits as sequences: the pixel below lies 28 steps away, so only
# dilations near that see neighbouring rows. With DASH's grad_scale of 100 the size penalty of these wide kernels
# (up to 1,017 steps) outweighs the task. Beside mnist5k both grad_scale and alpha_lr are a tenth, 10 and 0.05: the
# task moves the logits of a layer as far, alpha_lr / grad_scale = 0.005 a step, and the penalty a tenth as far.
# DASH has grad_scale 10 for DeepSEA, and alpha_lr 0.05 everywhere. Its milestones for sequences are five; three are
# enough here, as eight epochs have no room for five.
DEMONSTRATION = RunConfig(
    task="smnist5k",
    backbone="resnet1d",
    dilations=(1, 3, 7, 15, 31, 63, 127),
    search_epochs=6,
    search_fraction=1.0,
    grad_scale=10.0,
    epochs=8,
)

SMNIST5K = Task(
    summary="the digits of mnist5k as sequences of 784 steps, 10 classes (1-D classification)",
    files=(FILE,),
    load=load,
    loss=nn.functional.cross_entropy,
    metric=ACCURACY,
    backbones={"resnet1d": resnet1d(1, 10, channels=16), "tcn": tcn(1, 10)},
    defaults=DEMONSTRATION,
)
