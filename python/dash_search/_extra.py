# SPDX-License-Identifier: BSD-3-Clause
"""Says how to install what the search needs beside the library, before an import fails on a bare name."""

from importlib.util import find_spec

_NEEDED = ("filelock", "platformdirs", "pydantic", "rich")  # the extra "search" in pyproject.toml

_missing = [name for name in _NEEDED if find_spec(name) is None]
if _missing:
    raise ModuleNotFoundError(
        f"dash_search needs {', '.join(_missing)}: run pip install 'dash_kernels[search]'", name=_missing[0]
    )
