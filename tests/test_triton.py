# SPDX-License-Identifier: BSD-3-Clause
"""Runs the tests of the Triton engine under Triton's interpreter, which takes a process of its own.

There the shared tests see one engine more, and tests/triton is collected. ``make test-gpu`` runs the same on a device.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import dash_kernels as dk
from dash_kernels.engines import Problem, named

ROOT = Path(__file__).parent.parent

SHARED = ("test_ops.py", "test_functional.py", "test_mixed_conv_node.py", "test_compile.py", "test_properties.py")
# What these prove is no matter of the engine, or tests/triton has it, and interpreted they take minutes.
LONG = (
    "any_space_mixes", "are_adjoints", "dispatcher_and_the_short_way", "forward_mode", "reflect", "replicate",
    "sums_of_the_bias", "test_bias",
)  # fmt: skip


@pytest.mark.slow
def test_under_the_interpreter() -> None:
    environment = {
        **os.environ, "TRITON_INTERPRET": "1", "DASH_KERNELS_STRICT": "1", "OMP_NUM_THREADS": "1",
        "PYTEST_ADDOPTS": "", "DASH_TEST_EXAMPLES": "15",
    }  # fmt: skip
    chosen = "triton and not " + " and not ".join(LONG)
    files = ["tests/triton", *(f"tests/{name}" for name in SHARED)]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "-k", chosen, *files]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) > 500 and "skipped" not in done.stdout, done.stdout[-2000:]
    print(done.stdout.splitlines()[-1])


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a machine with a GPU it can run")
def test_what_is_missing_is_said() -> None:
    engine = named("triton")
    assert engine.available("cuda") == "torch finds no GPU here" == dk.engines()["triton"]
    assert "TRITON_INTERPRET=1" in str(engine.available("cpu"))


def test_what_it_cannot_run_it_says() -> None:
    def problem(dtype: torch.dtype = torch.float32, ndim: int = 1, **changes: object) -> Problem:
        size = (500,) * ndim
        of = {"out_size": size, "stride": (1,) * ndim, "offsets": (0,) * ndim, "circular": False, **changes}
        return Problem("tap_conv", "cuda", dtype, 1, 1, 1, 1, size, **of)  # type: ignore[arg-type]

    engine = named("triton")
    assert engine.can_run(problem()) is None and engine.can_run(problem(torch.float64, 3)) is None
    assert "float16" in str(engine.can_run(problem(torch.float16)))
    assert "4-D" in str(engine.can_run(problem(ndim=4)))
    twice = problem(ndim=2, circular=True, out_size=(500, 1001))
    assert "more than once" in str(engine.can_run(twice))


def test_the_package_does_without_triton() -> None:
    script = (
        "import sys; sys.modules['triton'] = None; import dash_kernels as dk; "
        "assert 'pip install triton' in dk.engines()['triton'], dk.engines(); "
        "sys.exit('dash_kernels.engines.triton.launch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
