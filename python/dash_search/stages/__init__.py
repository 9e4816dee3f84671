# SPDX-License-Identifier: BSD-3-Clause
"""The stages of a run, a file each: search, retrain, test."""

from .retrain import retrain
from .search import Architecture, SearchSteps, build_supernet, choice, search_supernet
from .test import score

__all__ = ["Architecture", "SearchSteps", "build_supernet", "choice", "retrain", "score", "search_supernet"]
