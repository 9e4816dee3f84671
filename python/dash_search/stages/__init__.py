# SPDX-License-Identifier: BSD-3-Clause
"""The stages of a run, a file each: search, read the architecture off, retrain, test."""

from .readoff import Architecture, read_off
from .retrain import retrain
from .search import SearchSteps, build_supernet, search_supernet
from .test import score

__all__ = ["Architecture", "SearchSteps", "build_supernet", "read_off", "retrain", "score", "search_supernet"]
