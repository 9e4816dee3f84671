# SPDX-License-Identifier: BSD-3-Clause
"""darcy16: steady flow through a porous square, from the coefficient to the pressure, on a 16x16 grid."""

from collections.abc import Sequence
from pathlib import Path

import torch

from ..config import RunConfig
from ..data.damage import reading
from ..data.flows import Fields, flow_splits, without_end
from ..data.splits import Splits
from ..data.stored import check_numbers
from ..data.wheels import WheelFile
from ..losses import summed_relative_l2
from ..metrics import RELATIVE_L2
from .networks import fno_conv, wide_resnet
from .task import Task

LICENCE = "MIT, by its LICENSE file (neuraloperator)"
TRAIN_FILE = WheelFile(
    package="neuraloperator",
    version="0.3.0",
    member="neuralop/datasets/data/darcy_train_16.pt",
    sha256="0be662acdb1dab7dfd1a1da0b140e97f75cc94f98a14edcf768abe6968b3b418",
    licence=LICENCE,
)
# The wheel's other test file holds the same 50 problems on a finer grid, so it would add nothing.
TEST_FILE = WheelFile(
    package="neuraloperator",
    version="0.3.0",
    member="neuralop/datasets/data/darcy_test_16.pt",
    sha256="d2b19af9d4a6ae04ba2de54b8ecccc8b89766472faf6ce7f506c0b2a60f69a4c",
    licence=LICENCE,
)
SIDE = 16


def read_fields(path: Path) -> Fields:
    """Reads a file of problems and solutions, tensors only.

    Returns:
        Coefficients (0 or 1) and pressures, both ``(N, 16, 16)``, float32.

    Raises:
        DataError: The file is no such pair.
    """
    with reading(path, f"tensors x and y of one shape (N, {SIDE}, {SIDE})"):
        fields = torch.load(path, weights_only=True)
        coefficient, pressure = fields["x"], fields["y"]
        if coefficient.shape != pressure.shape or coefficient.shape[1:] != (SIDE, SIDE):
            raise ValueError(f"x has shape {tuple(coefficient.shape)}, y {tuple(pressure.shape)}")
        for name in ("x", "y"):
            check_numbers(fields[name].numpy(), name)
    return coefficient.float().contiguous(), pressure.float().contiguous()


def load(paths: Sequence[Path]) -> Splits:
    """Inputs ``(3, 16, 16)``, targets ``(16, 16)``; the end of the training file is the validation part."""
    fields, tested = (read_fields(path) for path in paths)
    return flow_splits(*without_end(fields), tested)


# Minutes on two cores; learning rates and batches as DASH has them for dense tasks, ten times larger ones for the
# logits because the search is shorter. DASH's dilation of 15 is left out: on 16 pixels nearly all of its taps fall
# outside.
DEMONSTRATION = RunConfig(
    task="darcy16",
    dilations=(1, 3, 7),
    search_epochs=6,
    search_fraction=1.0,
    search_lr=0.01,
    alpha_lr=0.05,
    epochs=12,
    lr=0.01,
    batch_size=10,
)

DARCY16 = Task(
    summary="1,050 flows through porous squares, 16x16, coefficient to pressure (2-D dense regression)",
    files=(TRAIN_FILE, TEST_FILE),
    load=load,
    loss=summed_relative_l2,
    metric=RELATIVE_L2,
    backbones={"wrn": wide_resnet(3, 1, dense=True), "fno-conv": fno_conv(3, 1)},
    defaults=DEMONSTRATION,
)
