# SPDX-License-Identifier: BSD-3-Clause
"""What every test starts from: known seeds, poisoned memory, a fresh compiler, and the engines that can run here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

# Read by OpenMP when torch is imported. Threads that spin while they wait for each other make small work on shared
# cores ten times slower: the suite would take most of an hour beside another program.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Read when CUDA starts: without it products by cuBLAS warn in deterministic mode, and warnings are errors.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# Choices must not depend on what somebody measured on this machine.
os.environ["DASH_KERNELS_CALIBRATION"] = "0"

import hypothesis
import pytest
import torch

import dash_kernels as dk
from dash_kernels import build_info, functional
from dash_kernels.engines import ENGINES, weigh
from dash_kernels.engines.calibration import in_force
from dash_kernels.ops import _choice

# "cuda" runs the tests of the engines that run there; by default everything is on the CPU.
if os.environ.get("DASH_TEST_DEVICE"):
    torch.set_default_device(os.environ["DASH_TEST_DEVICE"])
    # torch's convolution sets the bar for errors: in TF32, its default there, it would excuse a thousand times as much.
    torch.backends.cudnn.allow_tf32 = False

EXAMPLES = int(os.environ.get("DASH_TEST_EXAMPLES", "60"))  # of a drawn test; fewer where each takes long
hypothesis.settings.register_profile("default", deadline=None, max_examples=EXAMPLES)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=EXAMPLES, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") == "true" else "default")

DEVICE = torch.get_default_device().type
RUNNABLE = [engine.name for engine in ENGINES if engine.available(DEVICE) is None]

# Triton's kernels run on a GPU, or all of them interpreted: test_triton.py does that in a process of its own.
collect_ignore = [] if "triton" in RUNNABLE else ["triton"]


def pytest_configure(config: pytest.Config) -> None:
    """What torch says on a GPU of its own operators, and of what a model could set, is no fault of ours."""
    if DEVICE != "cpu":
        for text in ("TensorFloat32 tensor cores for float32", ".* does not have a deterministic implementation"):
            config.addinivalue_line("filterwarnings", f"ignore:{text}:UserWarning")


@pytest.fixture(scope="session", autouse=True)
def compiled_code_is_tested() -> None:
    """A strict run must not pass because it tested the fallback, or another instruction set than the one asked for."""
    if os.environ.get("DASH_KERNELS_STRICT") != "1" or DEVICE != "cpu":
        return
    for name in ("fourier", "direct"):
        assert name in RUNNABLE, f"engine {name} cannot run: {dk.engines().get(name, 'there is no such engine')}"
    asked = os.environ.get("DASH_KERNELS_ISA")
    if asked:
        assert build_info.isa() == asked


@pytest.fixture(params=RUNNABLE)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine that can run on this machine, by name."""
    return str(request.param)


@pytest.fixture(autouse=True)
def known_seed() -> None:
    torch.manual_seed(20220415)


@pytest.fixture(autouse=True)
def poisoned_memory() -> Iterator[None]:
    """Uninitialised memory is NaN, so a kernel that misses an element fails (deterministic mode fills torch.empty)."""
    torch.use_deterministic_algorithms(os.environ.get("DASH_TEST_DETERMINISTIC") != "0", warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    """Graphs compiled in one test must not be found, nor count as recompilations, in the next."""
    yield
    if "torch._dynamo" in sys.modules:
        sys.modules["torch._dynamo"].reset()


@pytest.fixture(autouse=True)
def forgotten_choices() -> Iterator[None]:
    """A test that exchanges engines must not leave its choices behind."""
    yield
    _choice._remembered.cache_clear()
    functional._layer.cache_clear()
    weigh.cache_clear()
    in_force.cache_clear()
