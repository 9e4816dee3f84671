# SPDX-License-Identifier: BSD-3-Clause
"""vowels: which of nine men says the two vowels "ae", by cepstra of linear prediction."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ..config import RunConfig
from ..data.damage import reading
from ..data.sequences import normalised_splits
from ..data.splits import Splits, stratified_split
from ..data.stored import check_numbers
from ..data.wheels import WheelFile
from ..metrics import ACCURACY
from .networks import resnet1d
from .task import Task

# "eq": all were brought to 25 steps by whoever made the file; the recordings have 7 to 29
FOLDER = "aeon/datasets/data/JapaneseVowels/JapaneseVowels_eq"
LICENCE = "BSD-3-Clause (aeon); recorded by M. Kudo, J. Toyama and M. Shimbo"
TRAIN_FILE = WheelFile(
    package="aeon",
    version="1.6.0",
    member=f"{FOLDER}_TRAIN.ts",
    sha256="8958279c6296b97c8e34038346407935222db171492b84dffa3b930d087bc2d6",
    licence=LICENCE,
)
TEST_FILE = WheelFile(
    package="aeon",
    version="1.6.0",
    member=f"{FOLDER}_TEST.ts",
    sha256="bb83bb1aa6bfb17faae269f6829b7cac71de36fdd3264ee34137fe90270d5895",
    licence=LICENCE,
)
CHANNELS, LENGTH, SPEAKERS = 12, 25, 9
SPLIT = (0.8, 0.2)  # of the training file
SPLIT_SEED = 5000  # a property of the task: the same parts whatever the seed of a run


def read_utterances(path: Path) -> tuple[Tensor, Tensor]:
    """Reads a ``.ts`` file of series of one length.

    After a line ``@data`` there is a series a line: its channels and then its class, with colons between them, and the
    values of a channel with commas.

    Returns:
        Sequences ``(N, 12, 25)``, float32, and speakers ``(N,)``, int64, from 0.

    Raises:
        DataError: The file is no such thing.
    """
    with reading(path, f"after @data lines of {CHANNELS} channels of {LENGTH} values, and a speaker, 1 to {SPEAKERS}"):
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [line.split(":") for line in lines[lines.index("@data") + 1 :] if line]
        sequences = torch.tensor([[[float(v) for v in channel.split(",")] for channel in row[:-1]] for row in rows])
        speakers = torch.tensor([int(row[-1]) for row in rows]) - 1
        if sequences.shape[1:] != (CHANNELS, LENGTH) or not 0 <= int(speakers.min()) <= int(speakers.max()) < SPEAKERS:
            raise ValueError(f"the series are of shape {tuple(sequences.shape[1:])}, or of speakers beyond {SPEAKERS}")
        check_numbers(sequences.numpy())
    return sequences, speakers


def load(paths: Sequence[Path]) -> Splits:
    """Sequences ``(12, 25)``; a fifth of the training file is the validation part, the test file is the test part."""
    (sequences, speakers), tested = (read_utterances(path) for path in paths)
    train, valid = stratified_split(speakers, SPLIT, seed=SPLIT_SEED)
    return normalised_splits((sequences[train], speakers[train]), (sequences[valid], speakers[valid]), tested)


# Minutes on two cores. DASH's space for sequences without its dilation of 15, which leaves 25 steps. For grad_scale and
# alpha_lr see smnist5k.
DEMONSTRATION = RunConfig(
    task="vowels",
    backbone="resnet1d",
    kernel_sizes=(3, 7, 11, 15, 19),
    dilations=(1, 3, 7),
    search_epochs=20,
    search_fraction=1.0,
    grad_scale=10.0,
    epochs=40,
    batch_size=16,
)

VOWELS = Task(
    summary='640 utterances of "ae", 25 steps in 12 channels, 9 speakers (1-D classification)',
    files=(TRAIN_FILE, TEST_FILE),
    load=load,
    loss=nn.functional.cross_entropy,
    metric=ACCURACY,
    backbones={"resnet1d": resnet1d(CHANNELS, SPEAKERS, channels=32)},
    defaults=DEMONSTRATION,
)
