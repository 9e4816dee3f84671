# SPDX-License-Identifier: BSD-3-Clause
"""What a run ran on, for its folder."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

import dash_kernels as dk


def environment() -> dict[str, Any]:
    """Versions, processor, threads, and the engines with the reasons of those that cannot run here."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "dash_kernels": _version("dash_kernels"),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "engines": dk.engines(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed, run from a source tree"
