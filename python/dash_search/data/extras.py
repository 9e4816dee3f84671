# SPDX-License-Identifier: BSD-3-Clause
"""Packages that only some tasks need, imported when one does."""

import importlib
from typing import Any

from ..errors import DataError


def need(module: str) -> Any:
    """Imports a module of an optional package.

    Raises:
        DataError: It is not installed, or lacks something itself.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # the latter: a library of the system that the package is made around
        package = module.partition(".")[0]
        said = " ".join(str(error).split())
        raise DataError(
            f"this task needs the package {package}, which cannot be imported ({said}): run pip install "
            "'dash_kernels[tasks]'."
        ) from error
