# SPDX-License-Identifier: BSD-3-Clause
"""music-jsb, music-nottingham: the next frame of a piece of music, 88 keys (extras of DASH's code)."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..data.official import OfficialFile
from ..data.piano_rolls import KEYS, benchmark_splits, paper_splits
from ..data.splits import Splits
from ..metrics import CROSS_ENTROPY, scored_cross_entropy
from .networks import resnet1d, tcn
from .sequences import PAPER_SEARCH, SEQUENCES
from .task import TEST_VALIDATES, Task

JSB_FILE, NOTTINGHAM_FILE = (
    OfficialFile(
        name=f"music/{name}.mat",
        holds="traindata, validdata and testdata, cells of piano rolls (frames, 88) of 0 and 1, in MATLAB's format",
        origin="the code of S. Bai, J. Z. Kolter and V. Koltun, Temporal Convolutional Networks, 2018",
        licence="none stated for the data",
    )
    for name in ("JSB_Chorales", "Nottingham")
)


def load(file: OfficialFile, frames: int, paths: Sequence[Path]) -> Splits:
    """Frames ``(88, frames - 1)`` of each piece and those that follow them; behind its end nothing is scored."""
    return benchmark_splits(file, paths[0], frames)


def load_paper(file: OfficialFile, frames: int, paths: Sequence[Path]) -> Splits:
    """Silence behind the end is scored; training and validation part are trained on, and the test part validates."""
    return paper_splits(file, paths[0], frames)


def music(name: str, summary: str, file: OfficialFile, frames: int) -> Task:
    """The task of a file of pieces: longer ones are cut after so many frames, shorter ones filled with silence.

    The metric is a mean over keys; the log-likelihood per frame of the literature is 88 times it.
    """
    clean = Task(
        summary=f"{summary}, up to {frames} frames of {KEYS} keys, the next frame of each (1-D dense)",
        files=(file,),
        load=partial(load, file, frames),
        loss=scored_cross_entropy,
        metric=CROSS_ENTROPY,
        backbones={
            "resnet1d": resnet1d(KEYS, KEYS, channels=64, dense=True, causal=True),
            "tcn": tcn(KEYS, KEYS, dense=True),
        },
        defaults=SEQUENCES.changed(
            {"task": name, "batch_size": 4, "eval_batch_size": 4, "search_lr": 0.01, "alpha_lr": 0.005, "lr": 0.01}
        ),
    )
    return clean.with_paper(PAPER_SEARCH, load=partial(load_paper, file, frames), leaks=TEST_VALIDATES)


MUSIC_JSB = music("music-jsb", "382 chorales by J. S. Bach", JSB_FILE, frames=255)
MUSIC_NOTTINGHAM = music("music-nottingham", "1,037 folk tunes", NOTTINGHAM_FILE, frames=513)
