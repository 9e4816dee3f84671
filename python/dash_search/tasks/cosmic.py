# SPDX-License-Identifier: BSD-3-Clause
"""cosmic: the pixels of Hubble images that a cosmic ray has hit (NAS-Bench-360)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..config import RunConfig
from ..data.official import OfficialFile
from ..data.splits import Splits
from ..data.stored import check_numbers
from ..losses import masked_bce
from ..metrics import FNR, FNR_BY_FOUR
from .networks import wide_resnet
from .task import Task


def _folder(name: str, archive: str) -> OfficialFile:
    return OfficialFile(
        name=f"cosmic/{name}",
        holds="f435w/PROPOSAL/VISIT/*.npy, each an image of 256x256 pixels with its cosmic-ray mask and, if any, its "
        "ignore mask, and one sky.npy per visit",
        origin=f"NAS-Bench-360 ({archive}) out of deepCR by K. Zhang and J. Bloom, 2020",
        licence="stated by its publishers, not checked here",
    )


TRAIN, TEST = _folder("npy_train", "deepCR.ACS-WFC.train.tar"), _folder("npy_test", "deepCR.ACS-WFC.test.tar")
# PROPOSAL_VISIT of the images of resolved galaxies, the only ones that the benchmark takes
GALAXIES = frozenset(
    "10760_2 10760_4 13737_2 13737_3 9490_a3 9490_a2 12513_2 12513_3 10182_pb 10182_pd 10584_13 10342_3 14343_1 "
    "13057_1 10260_7 10260_5 10407_3 13364_95 10190_28 10190_13 13691_11 12058_12 12058_16 12058_1 12058_6 14704_1 "
    "13804_6".split()
)
MIDDLE = slice(64, 192)  # rows and columns that are used
SKY = (-0.9, 3.0)  # how much of the sky's brightness is added in training, at least and at most
VALID = 483 / 4_830  # the end of the training folder in the order of the paths, as in the benchmark
PAPER_VALID, PAPER_SEED = 420 / 4_830, 420  # DASH draws as many as are tested on


class Exposures(Dataset[tuple[Tensor, Tensor]]):
    """Images ``(1, 128, 128)`` in their own units, and targets ``(2, 128, 128)``: 1 where a cosmic ray was, and 1 where
    a pixel does not count. Of a file only the middle is read, whenever it is asked for.

    Args:
        folder: What the files are of.
        paths: Of the images.
        brighten: Add the brightness of the sky, if it is known, times a number of ``SKY`` that is drawn anew at every
            call from torch's global generator.
    """

    def __init__(self, folder: OfficialFile, paths: Sequence[Path], *, brighten: bool = False) -> None:
        self._folder, self.paths, self._brighten = folder, paths, brighten

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        path = self.paths[i]
        with self._folder.reading(path):
            stored = np.load(path, mmap_mode="r", allow_pickle=False)
            if stored.shape not in ((2, 256, 256), (3, 256, 256)):
                raise ValueError(f"it has shape {stored.shape}, not (3, 256, 256) or (2, 256, 256)")
            middle = stored[:, MIDDLE, MIDDLE]
            check_numbers(middle)
            layers = torch.from_numpy(middle.astype(np.float32))
            image, target = layers[:1], torch.zeros(2, *layers.shape[1:])
            target[: len(layers) - 1] = layers[1:]
            if not ((target == 0) | (target == 1)).all():
                raise ValueError("its masks have values other than 0 and 1")
        sky = path.with_name("sky.npy")
        if self._brighten and sky.exists():
            with self._folder.reading(sky):
                levels, number = np.load(sky, allow_pickle=False), int(path.name.split("_")[0])
                check_numbers(levels)
                if not 1 <= number <= len(levels):
                    raise ValueError(f"it has {len(levels)} values, and {path.name} needs number {number}")
                low, high = SKY
                image = image + float(levels[number - 1]) * (low + (high - low) * torch.rand(()))
        return image, target


def images(folder: OfficialFile, root: Path) -> list[Path]:
    """The images of galaxies in a folder, sorted: how a folder lists its files differs from machine to machine.

    Raises:
        DataError: There are not even two.
    """
    with folder.reading(root):
        found = [
            path
            for path in sorted(root.glob("f435w/*/*/*.npy"))
            if path.name != "sky.npy" and f"{path.parts[-3]}_{path.parts[-2]}" in GALAXIES
        ]
        if len(found) < 2:
            raise ValueError(f"it holds {len(found)} images of the {len(GALAXIES)} visits that are used")
    return found


def load(paths: Sequence[Path]) -> Splits:
    """The sky's brightness changes in training only, so scores do not depend on chance."""
    trained, tested = images(TRAIN, paths[0]), images(TEST, paths[1])
    size = len(trained) - max(1, round(VALID * len(trained)))
    return Splits(
        train=Exposures(TRAIN, trained[:size], brighten=True),
        valid=Exposures(TRAIN, trained[size:]),
        test=Exposures(TEST, tested),
    )


def load_paper(paths: Sequence[Path]) -> Splits:
    """As many images of the training folder as are tested on validate, drawn once for all runs."""
    trained, tested = images(TRAIN, paths[0]), images(TEST, paths[1])
    order = torch.randperm(len(trained), generator=torch.Generator().manual_seed(PAPER_SEED)).tolist()
    size = len(trained) - max(1, round(PAPER_VALID * len(trained)))
    return Splits(
        train=Exposures(TRAIN, [trained[i] for i in order[:size]], brighten=True),
        valid=Exposures(TRAIN, [trained[i] for i in order[size:]]),
        test=Exposures(TEST, tested),
    )


DASH = RunConfig(
    task="cosmic",
    width=4,
    tune="short",
    search_lr=0.01,
    alpha_lr=0.005,
    grad_scale=1000.0,
    lr=0.01,
    batch_size=4,
    eval_batch_size=4,
)

CLEAN = Task(
    summary="NAS-Bench-360: 5,250 Hubble images, 128x128, to masks of cosmic rays (2-D dense classification)",
    files=(TRAIN, TEST),
    load=load,
    loss=masked_bce,
    metric=FNR,
    backbones={"wrn": wide_resnet(1, 1, dense=True)},
    defaults=DASH,
)
# DASH validated this task on images of the training folder, so its test part decides nothing: nothing leaks.
COSMIC = CLEAN.with_paper(load=load_paper, metric=FNR_BY_FOUR)
