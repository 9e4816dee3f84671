# SPDX-License-Identifier: BSD-3-Clause
"""Builds one target of CMakeLists.txt that an installation does not have, for a tool or a test."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from torch.utils import cpp_extension

ROOT = Path(__file__).resolve().parent.parent


def build(target: str, option: str) -> Path:
    """Builds ``target``, which the CMake option ``option`` switches on, into a folder of its own, and returns that.

    Raises:
        RuntimeError: CMake or the compiler failed; the message holds what they said.
    """
    tree = ROOT / "build" / target
    settings = [
        "-DCMAKE_BUILD_TYPE=Release",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-DDASH_TORCH_INCLUDE_DIRS={';'.join(cpp_extension.include_paths())}",
        f"-DDASH_TORCH_LIBRARY_DIRS={';'.join(cpp_extension.library_paths())}",
        f"-D{option}=ON",
    ]
    ninja = _tool("ninja")
    if ninja is not None:
        settings += ["-GNinja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    cmake = _tool("cmake") or "cmake"
    _run(cmake, f"-S{ROOT}", f"-B{tree}", *settings)
    _run(cmake, "--build", str(tree), "--target", target, "--parallel", "2")
    return tree


def _tool(name: str) -> str | None:
    return shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}")
