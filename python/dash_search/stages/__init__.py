# SPDX-License-Identifier: BSD-3-Clause
"""The stages of a run, a file each: search, tune, retrain, test."""

from .retrain import retrain
from .search import Architecture, SearchSteps, build_supernet, choice, search_supernet
from .test import score, scores_on_test
from .tune import Hyperparameters, Tuning, settings, tune

__all__ = [
    "Architecture",
    "Hyperparameters",
    "SearchSteps",
    "Tuning",
    "build_supernet",
    "choice",
    "retrain",
    "score",
    "search_supernet",
    "settings",
    "scores_on_test",
    "tune",
]
