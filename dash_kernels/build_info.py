# SPDX-License-Identifier: BSD-3-Clause
"""What is installed and in force, for bug reports: ``python -m dash_kernels.build_info``."""

from __future__ import annotations

import importlib
import os
import platform
from types import ModuleType

import torch

from . import __version__, _env
from ._load import LOAD
from ._table import table
from .engines import ENGINES

VARIABLES = ("DASH_KERNELS_ISA", "DASH_KERNELS_ENGINE", "DASH_KERNELS_DISABLE", "DASH_KERNELS_STRICT")


def _core() -> ModuleType | str:
    """The torch-free core, or the reason it is not there. The library works without it."""
    if _env.disabled():
        return "compiled code is switched off by DASH_KERNELS_DISABLE=1"
    try:
        return importlib.import_module("dash_kernels._core")
    except ImportError as error:
        return f"unknown, the module that tells is missing ({error})"


def isa() -> str:
    """The instruction set in use, "baseline", "avx2" or "avx512", or in brackets the reason none is.

    Raises:
        ValueError: DASH_KERNELS_ISA names none, or one above the processor's.
    """
    _env.isa()
    core = _core()
    return f"({core})" if isinstance(core, str) else str(core.isa())


def facts() -> dict[str, str]:
    """Versions, instruction sets, what loaded, what did not and why, the engines, and the environment, as text."""
    core = _core()
    found = {
        "dash_kernels": __version__,
        "python": platform.python_version(),
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
        "platform": platform.platform(),
        "cuda": f"torch built for {torch.version.cuda or 'none'}, {torch.cuda.device_count()} devices",
        "compiled operators": LOAD.error or f"loaded from {LOAD.path}",
        "instruction set": isa(),
        "instruction sets here": core if isinstance(core, str) else ", ".join(core.supported_isas()),
    }
    found |= {f"engine {engine.name}": engine.available() or "works" for engine in ENGINES}
    return found | {name: os.environ.get(name, "not set") for name in VARIABLES}


if __name__ == "__main__":
    print(table(list(facts().items())))
