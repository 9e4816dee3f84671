# SPDX-License-Identifier: BSD-3-Clause
"""Hands the compiled parts over to CMake, which owns sources and flags; all metadata is in pyproject.toml."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
HINT = "Set DASH_KERNELS_NO_BUILD=1 to install without compiled kernels (the slow plain-PyTorch reference then runs)."


def stop(reason: str) -> SystemExit:
    return SystemExit(f"\ndash_kernels: cannot build the compiled kernels: {reason}\n{HINT}\n")


def wants_build() -> bool:
    value = os.environ.get("DASH_KERNELS_NO_BUILD", "0")
    if value not in ("0", "1"):
        raise SystemExit(f"DASH_KERNELS_NO_BUILD is {value!r}: allowed are 0 (build, the default) and 1.")
    return value == "0"


def wants_cuda() -> bool:
    value = os.environ.get("DASH_CUDA", "0")
    if value not in ("0", "1"):
        raise SystemExit(
            f"DASH_CUDA is {value!r}: allowed are 0 (the default) and 1 (build the CUDA kernels, with nvcc)."
        )
    return value == "1"


def tool(name: str) -> str | None:
    """The tool beside this interpreter (pip install cmake ninja), else the one on PATH."""
    return shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)


def torch_definitions() -> list[str]:
    try:
        extension = importlib.import_module("torch.utils.cpp_extension")
    except ImportError as error:
        raise stop(
            f"{sys.executable} cannot import torch ({error}). They are built against the torch that is installed: "
            "install torch>=2.10 first, then run pip with --no-build-isolation."
        ) from error
    return [
        f"-DDASH_TORCH_INCLUDE_DIRS={';'.join(extension.include_paths())}",
        f"-DDASH_TORCH_LIBRARY_DIRS={';'.join(extension.library_paths())}",
    ]


def pybind11_definitions() -> list[str]:
    try:
        return [f"-Dpybind11_DIR={importlib.import_module('pybind11').get_cmake_dir()}"]
    except ImportError:  # dash_kernels._core is optional: CMake says that it is left out
        return []


def run(*command: str) -> None:
    print("+", " ".join(command), flush=True)
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise stop(f"the last command above failed ({error.__class__.__name__}); its own words stand there.") from error


class CMakeBuild(build_ext):
    """Builds once with CMake and installs into the package: of the source tree when editable, else of the wheel."""

    def run(self) -> None:
        cmake, ninja = tool("cmake"), tool("ninja")
        if cmake is None:
            raise stop("cmake was not found. Install it: pip install cmake ninja.")
        in_place = self.inplace or self.editable_mode
        package = (ROOT if in_place else Path(self.build_lib).resolve()) / "dash_kernels"
        settings = [
            *(["-GNinja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else []),
            "-DCMAKE_BUILD_TYPE=Release",
            *torch_definitions(),
            *pybind11_definitions(),
            *(["-DDASH_CUDA=ON"] if wants_cuda() else []),
        ]
        # Another Python, torch or tool gets another folder: CMake's cache would still name the old ones.
        key = hashlib.sha256("\0".join([sys.prefix, cmake, *settings]).encode()).hexdigest()[:8]
        tree = ROOT / "build" / f"cmake-{sys.implementation.cache_tag}-{key}"
        run(cmake, f"-S{ROOT}", f"-B{tree}", f"-DPython_EXECUTABLE={sys.executable}", *settings)
        run(cmake, "--build", str(tree), "--parallel", str(os.cpu_count() or 1))
        run(cmake, "--install", str(tree), "--prefix", str(package))

    def get_outputs(self) -> list[str]:
        package = Path(self.build_lib) / "dash_kernels"
        return [str(path) for path in (*package.glob("lib/*.so"), *package.glob("_core*.so"))]

    def get_output_mapping(self) -> dict[str, str]:
        return {}  # an editable install reads the source tree, where run() has put the files


setup(
    # Named for the wheel's tag: the pybind11 module belongs to one Python. CMake's other product is the operators.
    ext_modules=[Extension("dash_kernels._core", sources=[])] if wants_build() else [],
    cmdclass={"build_ext": CMakeBuild},
)
