# SPDX-License-Identifier: BSD-3-Clause
"""The one folder that holds the data of every task."""

import os
from pathlib import Path

import platformdirs

DATA_VARIABLE = "DASH_SEARCH_DATA"


def data_dir() -> Path:
    """The folder that holds data: ``DASH_SEARCH_DATA`` if set, else the user's cache folder."""
    chosen = os.environ.get(DATA_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("dash_search"))
