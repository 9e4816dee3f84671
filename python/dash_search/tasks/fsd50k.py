# SPDX-License-Identifier: BSD-3-Clause
"""fsd50k: which of 200 sounds are heard in a clip (NAS-Bench-360)."""

import json
from collections.abc import Sequence
from pathlib import Path

from ..config import RunConfig
from ..data.clips import AllChunks, Clip, RandomChunks, read_clips
from ..data.official import OfficialFile
from ..data.splits import Splits
from ..errors import DataError
from ..losses import multi_label
from ..metrics import MISSED_PRECISION
from .networks import wide_resnet
from .task import TEST_VALIDATES, Task

FOLDER = OfficialFile(
    name="fsd50k/data",
    holds="chunks/tr.csv, chunks/val.csv and chunks/eval.csv, which list chunks of clips, chunks/lbl_map.json, the "
    "number of each label, the chunks below chunks, and noise as noise_22050/*.wav",
    origin="NAS-Bench-360 (audio.zip), out of FSD50K by E. Fonseca et al., arXiv:2010.00475, and the noise of MUSAN by "
    "D. Snyder et al., arXiv:1510.08484",
    licence="Creative Commons, clip by clip (FSD50K: CC BY as a whole); stated by its publishers, not checked here",
)
CLASSES = 200


def read_parts(root: Path, *names: str) -> list[list[Clip]]:
    """The clips of these parts, "tr", "val" or "eval".

    Raises:
        DataError: A manifest or ``lbl_map.json`` is missing, or no such thing.
    """
    with FOLDER.reading(root / "chunks" / "lbl_map.json") as path:
        classes = json.loads(path.read_text(encoding="utf-8"))
        if sorted(classes.values()) != [*range(CLASSES)]:
            raise ValueError(f"it has {len(classes)} labels, whose numbers should be 0 to {CLASSES - 1}")
    return [read_clips(root / "chunks" / f"{name}.csv", classes) for name in names]


def noises(root: Path) -> list[Path]:
    """The files of noise, sorted.

    Raises:
        DataError: There are none.
    """
    found = sorted((root / "noise_22050").glob("*.wav"))
    if not found:
        raise DataError(f"{root / 'noise_22050'} holds no .wav: {root} should hold {FOLDER.holds}.")
    return found


def load(paths: Sequence[Path]) -> Splits:
    """Training draws a chunk of each clip; validation and test hear all chunks of each."""
    (root,) = paths
    train, valid, test = read_parts(root, "tr", "val", "eval")
    return Splits(RandomChunks(train, noises(root)), AllChunks(valid), AllChunks(test))


def load_paper(paths: Sequence[Path]) -> Splits:
    """The test part validates, and the clips of val.csv are not used."""
    (root,) = paths
    train, test = read_parts(root, "tr", "eval")
    heard = AllChunks(test)
    return Splits(RandomChunks(train, noises(root)), valid=heard, test=heard)


DASH = RunConfig(task="fsd50k", width=4, tune="short", batch_size=128, eval_batch_size=128)

CLEAN = Task(
    summary="NAS-Bench-360: 51,197 clips, mel spectrograms 96x102, 200 kinds of sound (2-D multi-label)",
    files=(FOLDER,),
    load=load,
    loss=multi_label(),
    metric=MISSED_PRECISION,
    backbones={"wrn": wide_resnet(1, CLASSES)},
    defaults=DASH,
)
FSD50K = CLEAN.with_paper(load=load_paper, loss=multi_label(10.0), leaks=TEST_VALIDATES)
