# SPDX-License-Identifier: BSD-3-Clause
"""The one folder that holds the data of every task."""

import os
from pathlib import Path

import platformdirs

from ..errors import DataError

DATA_VARIABLE = "DASH_SEARCH_DATA"


def data_dir() -> Path:
    """The folder that holds data: ``DASH_SEARCH_DATA`` if set, else the user's cache folder.

    Raises:
        DataError: The variable names the home of a user who is not there.
    """
    chosen = os.environ.get(DATA_VARIABLE)
    try:
        return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("dash_search"))
    except RuntimeError as error:
        raise DataError(f"{DATA_VARIABLE} is {chosen!r}, a home that is not there: name a folder.") from error
