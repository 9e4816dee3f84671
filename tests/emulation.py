# SPDX-License-Identifier: BSD-3-Clause
"""The CUDA engine on the host: its operators run on the emulation, with tensors of the CPU."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import pytest
import torch

from bench.cmake_target import build
from dash_kernels.engines import cuda
from dash_kernels.engines.cuda import CudaEngine
from dash_kernels.engines.cuda_plan import Geometry, circle

OPERATORS = torch.ops.dash_kernels_emulated

ON_A_GPU = torch.get_default_device().type == "cuda"
"""Whether the tests run on a device, as in ``make test-gpu``: then nothing is emulated."""

PLANTS = (
    "nothing", "missing_barrier", "divergent_barrier", "uninitialised_shared", "uninitialised_global", "shared_bounds",
    "global_bounds", "global_twice", "shuffle_mask", "lonely_shuffle", "too_much_shared",
)  # fmt: skip
"""In the order of csrc/tests/faults.h."""


@functools.cache
def load() -> None:
    """Compiles the emulation, if anything changed, and loads its operators."""
    tree = build("dash_kernels_emulation", "DASH_EMULATION")
    torch.ops.load_library(tree / "libdash_kernels_emulation.so")


@contextlib.contextmanager
def instead_of_a_gpu() -> Iterator[None]:
    """The engine's functions call the emulated operators, unless there is a GPU to test."""
    if ON_A_GPU:
        yield
        return
    load()
    kept = (cuda._no_transform, cuda._most_shared_bytes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "_operator", lambda name: getattr(OPERATORS, name).default)
        for cached in kept:
            cached.cache_clear()
        yield
    for cached in kept:
        cached.cache_clear()


class EmulatedEngine(CudaEngine):
    """The engine as it is, but for where it runs."""

    def available(self, device_type: str | None = None) -> str | None:
        if ON_A_GPU:
            return super().available(device_type)
        return None if device_type in (None, "cpu") else f"it is emulated on the CPU, not on {device_type}"


@contextlib.contextmanager
def order(seed: int, without_barrier: int = -1) -> Iterator[None]:
    """Threads and blocks run in this random order; perhaps every thread passes one barrier by."""
    torch.ops.dash_emulation.set(seed, without_barrier)
    try:
        yield
    finally:
        torch.ops.dash_emulation.set(0, -1)


def has_circle(geometry: Geometry) -> bool:
    """Whether transforms could compute a depthwise layer of this geometry, in shared memory of any size."""
    return not isinstance(circle(geometry), str)
