# SPDX-License-Identifier: BSD-3-Clause
"""What the documentation shows must run: the README's Python blocks, and every docstring's examples."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import dash_kernels as dk

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def modules() -> list[str]:
    names = []
    for package in ("dash_kernels", "dash_search"):
        paths = importlib.import_module(package).__path__
        names += [package, *(module.name for module in pkgutil.walk_packages(paths, prefix=f"{package}."))]
    return [name for name in names if not name.endswith("__main__") and not name.startswith("dash_kernels._core")]


def test_readme_has_an_example() -> None:
    assert BLOCKS


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_readme_block_runs_as_it_stands(number: int, tmp_path: Path) -> None:
    command = (sys.executable, "-W", "error", "-c", BLOCKS[number])
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout


@pytest.mark.parametrize("name", modules())
def test_docstring_examples(name: str) -> None:
    torch.manual_seed(0)
    # An example may use what its module imports and every public name, as after `from dash_kernels import *`.
    public = {public_name: getattr(dk, public_name) for public_name in dk.__all__} | {"torch": torch, "dk": dk}
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs=public, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples of {name} fail: see the output above"
