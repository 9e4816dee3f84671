# SPDX-License-Identifier: BSD-3-Clause
"""Searches the kernel size and the dilation of every convolution of a network, with dash_kernels."""

from . import _extra as _extra  # first: it explains what the next imports would fail on
from .config import Config
from .core import Result, search
from .errors import DashSearchError, DataError, RunFolderError, SettingsError, TrainingError
from .metrics import ACCURACY, RELATIVE_L2, Metric

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
    "search",
]
