# SPDX-License-Identifier: BSD-3-Clause
"""Searches the kernel size and the dilation of every convolution of a network, with dash_kernels."""

from . import _extra as _extra  # first: it explains what the next imports would fail on
from .config import Config
from .core import search, search_architecture
from .errors import DashSearchError, DataError, RunFolderError, SettingsError, TrainingError
from .export import export_program
from .metrics import ACCURACY, RELATIVE_L2, Metric
from .pipeline import Result

__all__ = [
    "ACCURACY",
    "RELATIVE_L2",
    "Config",
    "DashSearchError",
    "DataError",
    "Metric",
    "Result",
    "RunFolderError",
    "SettingsError",
    "TrainingError",
    "export_program",
    "search",
    "search_architecture",
]
