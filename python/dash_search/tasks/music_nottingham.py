# SPDX-License-Identifier: BSD-3-Clause
"""music-nottingham: the next frame of British and American folk tunes, 88 keys (an extra of DASH's code)."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ..data.official import OfficialFile
from ..data.piano_rolls import KEYS, benchmark_splits, paper_splits
from ..data.splits import Splits
from ..metrics import CROSS_ENTROPY, scored_cross_entropy
from .networks import resnet1d, tcn
from .sequences import SEQUENCES
from .task import TEST_VALIDATES, Task

FILE = OfficialFile(
    name="music/Nottingham.mat",
    holds="traindata, validdata and testdata, cells of piano rolls (frames, 88) of 0 and 1, in MATLAB's format",
    origin="the code of S. Bai, J. Z. Kolter and V. Koltun, Temporal Convolutional Networks, 2018",
    licence="none stated for the data",
)
FRAMES = 513  # longer pieces are cut, shorter ones filled with silence


def load(paths: Sequence[Path]) -> Splits:
    """Frames ``(88, 512)`` of each tune and those that follow them; behind its end nothing is scored."""
    return benchmark_splits(FILE, paths[0], FRAMES)


def load_paper(paths: Sequence[Path]) -> Splits:
    """Silence behind the end is scored; training and validation part are trained on, and the test part validates."""
    return paper_splits(FILE, paths[0], FRAMES)


DASH = SEQUENCES.changed(
    {
        "task": "music-nottingham",
        "batch_size": 4,
        "eval_batch_size": 4,
        "search_lr": 0.01,
        "alpha_lr": 0.005,
        "lr": 0.01,
    }
)

# The metric is a mean over keys; the log-likelihood per frame of the literature is 88 times it.
CLEAN = Task(
    summary="1,037 folk tunes, up to 513 frames of 88 keys, the next frame of each (1-D dense)",
    files=(FILE,),
    load=load,
    loss=scored_cross_entropy,
    metric=CROSS_ENTROPY,
    backbones={
        "resnet1d": resnet1d(KEYS, KEYS, channels=64, dense=True, causal=True),
        "tcn": tcn(KEYS, KEYS, dense=True),
    },
    defaults=DASH,
)
MUSIC_NOTTINGHAM = dataclasses.replace(
    CLEAN,
    paper=dataclasses.replace(
        CLEAN, load=load_paper, defaults=DASH.changed({"protocol": "paper"}), leaks=TEST_VALIDATES
    ),
)
