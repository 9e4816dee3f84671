# SPDX-License-Identifier: BSD-3-Clause
"""Packages that only some tasks need, imported when one does."""

import importlib
from typing import Any

from ..errors import DataError


def need(module: str) -> Any:
    """Imports a module of an optional package.

    Raises:
        DataError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise DataError(f"this task needs the package {error.name}: run pip install 'dash_kernels[tasks]'") from error
