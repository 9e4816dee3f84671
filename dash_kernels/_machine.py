# SPDX-License-Identifier: BSD-3-Clause
"""The processor, and what the compiled code makes of it."""

from __future__ import annotations

import importlib
import platform
from pathlib import Path
from types import ModuleType

from . import _env


def processor() -> str:
    """Its name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def core() -> ModuleType | str:
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
    found = core()
    return f"({found})" if isinstance(found, str) else str(found.isa())
