# SPDX-License-Identifier: BSD-3-Clause
"""What a figure depends on besides the code: the experiment's details, written beside every table."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path

import torch

from dash_kernels import _machine
from dash_kernels._load import LIBRARY

ROOT = Path(__file__).resolve().parent.parent
CHANGED = "with changes"


def facts() -> dict[str, str]:
    """Processor, cores, instruction set, versions, commit and date, as text."""
    return {
        "processor": _machine.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "threads": str(torch.get_num_threads()),
        "instruction set": _machine.isa(),
        "torch": torch.__version__,
        "compiler": compiler(),
        "python": platform.python_version(),
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }


def compiler() -> str:
    """What the compiler wrote into the operator library."""
    found = re.search(rb"GCC: \([^)]*\) [0-9.]+|clang version [0-9.]+", LIBRARY.read_bytes())
    return found.group().decode() if found else "unknown"


def commit() -> str:
    """The commit, marked where the working tree differs from it; results that were just written make no difference."""
    changed = git("status", "--porcelain", "-uno", "--", ".", ":!bench/results")
    return git("rev-parse", "--short=12", "HEAD") + (f" {CHANGED}" if changed else "")


def git(*arguments: str) -> str:
    return subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
