# SPDX-License-Identifier: BSD-3-Clause
"""The library that nvcc makes, on a machine without a GPU: its symbols, its operators, what its kernels take."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bench import cuda_resources
from bench.cuda_resources import Row

ROOT = Path(__file__).resolve().parent.parent


needs_nvcc = pytest.mark.skipif(
    cuda_resources.nvcc() is None, reason="nvcc is not installed here: the CUDA kernels cannot be compiled"
)


@pytest.fixture(scope="module")
def library() -> Path:
    return cuda_resources.library()


@needs_nvcc
@pytest.mark.slow
def test_no_kernel_spills_or_needs_more_registers(library: Path) -> None:
    rows = cuda_resources.measured(library.parent)
    assert {row.architecture for row in rows} == {"sm_80", "sm_90", "sm_100"}
    assert cuda_resources.complaints(rows, cuda_resources.read()) == []


@needs_nvcc
@pytest.mark.slow
def test_symbols(library: Path) -> None:
    """Nothing of it is seen by others, and of torch it needs the stable ABI alone."""
    symbols = cuda_resources.symbols(library)
    assert set(symbols["defines"]) <= {"_edata", "_end", "__bss_start", "_init", "_fini"}
    assert "aoti_torch_get_current_cuda_stream" in symbols["needs"]
    needed = subprocess.run(["readelf", "--dynamic", library], check=True, capture_output=True, text=True).stdout
    names = {line.split("[")[1].split("]")[0] for line in needed.splitlines() if "NEEDED" in line}
    assert {"libtorch_cuda.so", "libtorch_cpu.so"} <= names
    assert not {name for name in names if name.startswith(("libcudart", "libcuda.", "libc10_cuda"))}


@needs_nvcc
@pytest.mark.slow
def test_it_registers_the_operators_for_cuda(library: Path) -> None:
    """In a process of its own, with a library in place of torch's for CUDA if torch has none."""
    program = """
        import ctypes, sys, torch
        from pathlib import Path
        library = Path(sys.argv[1])
        stub = library.parent / "libtorch_cuda.so"
        if stub.exists():
            ctypes.CDLL(str(stub), mode=ctypes.RTLD_GLOBAL)
        torch.ops.load_library(library)
        names = ["depthwise_maps", "depthwise_weights", "direct_maps", "direct_weights", "mix_taps", "gather_taps",
                 "mixture_grad"]
        for name in names:
            assert torch._C._dispatch_has_kernel_for_dispatch_key(f"dash_kernels::cuda_{name}", "CUDA"), name
        bytes = torch.ops.dash_kernels.cuda_depthwise_maps_shared(64, 4, (64, 64), (32, 32), (1, 1), (32, 32), (1, 1))
        try:
            torch.ops.dash_kernels.cuda_gather_taps(torch.ones(1, 1, 1), torch.ones(1), torch.ones(2))
        except NotImplementedError as error:
            print(bytes, "CPU" in str(error))
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(library)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["33024", "True"]


def test_without_nvcc_it_says_so_and_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cuda_resources, "nvcc", lambda: None)
    assert cuda_resources.main([]) == 1 and "nvcc is not installed here" in capsys.readouterr().out


def test_what_ptxas_says_is_read() -> None:
    output = """
        ptxas info    : Compiling entry function '_ZN4dash4cuda5entryINS0_10DirectMapsIfLi8ELb1EEEEEvT_' for 'sm_90'
        ptxas info    : Function properties for _ZN4dash4cuda5entryINS0_10DirectMapsIfLi8ELb1EEEEEvT_
            8 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads
        ptxas info    : Used 64 registers, used 1 barriers, 8 bytes cumulative stack size
    """
    assert cuda_resources.parse(output) == [Row("DirectMaps<float, 8, 1>", "sm_90", 64, 8, 28)]


def test_worse_figures_are_complaints() -> None:
    kept = [Row("A<float>", "sm_80", 40, 0, 0), Row("B<float>", "sm_80", 40, 0, 0)]
    rows = [Row("A<float>", "sm_80", 41, 0, 0), Row("C<float>", "sm_80", 8, 16, 4)]
    assert cuda_resources.complaints(rows, kept) == [
        "A<float> on sm_80 takes 41 registers, not 40",
        "B<float> on sm_80 is not compiled any more",
        "C<float> on sm_80 is not in cuda_resources.csv",
        "C<float> on sm_80 spills 4 bytes and keeps 16 on a stack",
    ]


def test_an_unknown_value_of_the_switch_is_an_error() -> None:
    command = [sys.executable, "setup.py", "build_ext"]
    built = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"DASH_CUDA": "yes"}, capture_output=True, text=True, timeout=120
    )
    assert built.returncode != 0 and "DASH_CUDA is 'yes'" in built.stderr
