# SPDX-License-Identifier: BSD-3-Clause
"""spherical-mnist: the digits of mnist5k on a sphere, each turned at random, as spherical has photographs."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ..config import RunConfig
from ..data.sphere import project, random_rotations
from ..data.splits import Splits
from ..metrics import ACCURACY
from .mnist5k import FILE, split_digits
from .networks import convnext, wide_resnet
from .task import Task

BANDWIDTH = 30  # of the benchmark: 60x60 places on the sphere
ROTATION_SEED = 5000  # a property of the task: the same rotations whatever the seed of a run


def on_spheres(images: Tensor) -> Tensor:
    """``(N, 1, 28, 28)`` to ``(N, 1, 60, 60)``, rows by colatitude; the geometry is told in ``data/sphere.py``."""
    return project(images, random_rotations(len(images), seed=ROTATION_SEED), bandwidth=BANDWIDTH)


def load(paths: Sequence[Path]) -> Splits:
    """The digits on spheres, in the same parts as those of mnist5k."""
    return Splits(*(TensorDataset(*part) for part in split_digits(paths, on_spheres)))


# Minutes on two cores. A pass over the digits takes about four times as long as in mnist5k, so there are fewer; with
# batches half as large they have as many steps. What the logits take from a step is as in mnist5k.
DEMONSTRATION = RunConfig(
    task="spherical-mnist",
    search_epochs=4,
    search_fraction=1.0,
    alpha_lr=0.5,
    epochs=4,
    batch_size=32,
)

SPHERICAL_MNIST = Task(
    summary="the digits of mnist5k on turned spheres, 60x60, 10 classes (2-D classification)",
    files=(FILE,),
    load=load,
    loss=nn.functional.cross_entropy,
    metric=ACCURACY,
    backbones={"wrn": wide_resnet(1, 10), "convnext": convnext(1, 10)},
    defaults=DEMONSTRATION,
)
