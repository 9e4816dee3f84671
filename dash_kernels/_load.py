# SPDX-License-Identifier: BSD-3-Clause
"""Loads the library of compiled operators once, and remembers why it could not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from . import _env

LIBRARY = Path(__file__).parent / "lib" / "libdash_kernels_ops.so"
CUDA_LIBRARY = LIBRARY.with_name("libdash_kernels_cuda.so")


@dataclass(frozen=True)
class Load:
    """Outcome of loading the compiled operators.

    Attributes:
        path: The library file.
        error: None when it is loaded, else one sentence saying why not.
    """

    path: Path
    error: str | None


def load(path: Path) -> Load:
    """Loads the operators in ``path`` into torch, unless the environment forbids it."""
    _env.isa()  # a name the compiled code would not know must not get as far as the compiled code
    if _env.disabled():
        return Load(path, "compiled code is switched off by DASH_KERNELS_DISABLE=1")
    if not path.is_file():
        return Load(path, f"not compiled ({path.name} is missing): build it with pip install --no-build-isolation -e .")
    try:
        torch.ops.load_library(path)  # type: ignore[no-untyped-call]
    except (OSError, RuntimeError) as error:
        return Load(path, f"{path.name} did not load under torch {torch.__version__}: {error}")
    return Load(path, None)


LOAD = load(LIBRARY)


def load_cuda(path: Path) -> Load:
    """Loads the operators for CUDA devices in ``path``, where torch knows of such devices."""
    if _env.disabled():
        return Load(path, "compiled code is switched off by DASH_KERNELS_DISABLE=1")
    if torch.version.cuda is None:
        return Load(path, f"torch {torch.__version__} is built without CUDA")
    if not path.is_file():
        return Load(path, f"not compiled ({path.name} is missing): build it with DASH_CUDA=1")
    return load(path)


CUDA_LOAD = load_cuda(CUDA_LIBRARY)
