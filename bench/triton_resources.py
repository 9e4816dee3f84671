# SPDX-License-Identifier: BSD-3-Clause
"""What each Triton kernel needs of a GPU's registers and shared memory, from compiling it for chips that are not here.

``python -m bench.triton_resources`` writes bench/results/triton_resources.csv, which the tests hold every build to.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas
from triton.compiler import ASTSource

from dash_kernels.engines.triton.configurations import KERNELS
from dash_kernels.engines.triton.launch import PRECISIONS, Configuration, Kernel

TABLE = Path(__file__).parent / "results" / "triton_resources.csv"

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
"""A100, H100, B200 and MI300."""

VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "analyse_direct": ({},),
    "synthesise_direct": ({"HAS_BIAS": True},),
    "analyse_factored": ({"HAS_TWIDDLE": False, "step2": 1}, {"HAS_TWIDDLE": True, "step1": 1}),
    "synthesise_factored": (
        {"HAS_TWIDDLE": False, "HAS_BIAS": True, "step2": 1},
        {"HAS_TWIDDLE": True, "HAS_BIAS": True, "step1": 1},
    ),
    "product_matrix": ({"CONJUGATE": "b", "ACCUMULATE": False}, {"CONJUGATE": "a", "ACCUMULATE": True}),
    "product_pointwise": ({"CONJUGATE": "b", "ACCUMULATE": False}, {"CONJUGATE": "a", "ACCUMULATE": True}),
    "mix": ({},),
    "mix_gradients": ({"OF_WEIGHT": True, "OF_MIXTURE": True},),
    "sum_candidates": ({},),
}
"""By kernel: what is known when it is compiled, as calls from the engine have it. A stride of one is known too."""

INTEGERS = {"members", "candidate", "index", "bounds"}
DOUBLES = {"partial"}
POINTERS = {
    "source", "table", "spectrum", "share", "bias", "result", "left", "right", "twiddle", "a", "b",
    "weight", "mixture", "taps", "grad", "grad_weight", "grad_mixture",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One compiled kernel. Bytes of shared memory; registers per thread; ``spilled`` is bytes, of AMD registers."""

    kernel: str
    variant: str
    dtype: str
    target: str
    num_warps: int
    registers: int
    shared: int
    spilled: int


def compile_kernel(
    kernel: Kernel, variant: dict[str, Any], dtype: torch.dtype, precision: str, target: str, how: Configuration
) -> Any:
    """What Triton makes of a kernel for a chip; there need be none here."""
    names = kernel.function.arg_names
    element = "fp64" if dtype == torch.float64 else "fp32"
    known = {**variant, **dict(how.blocks)}
    known |= {name: 1 for name in names if name.endswith("_frequency")}
    if "PRECISION" in names:
        known["PRECISION"] = precision
    signature = {}
    for name in names:
        pointer = "*i32" if name in INTEGERS else "*fp64" if name in DOUBLES else f"*{element}"
        signature[name] = "constexpr" if name in known else pointer if name in INTEGERS | DOUBLES | POINTERS else "i32"
    aligned = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(names) if signature[name][0] == "*"}
    source = ASTSource(fn=kernel.function, signature=signature, constexprs=known, attrs=aligned)
    options = {"num_warps": how.num_warps, "num_stages": how.num_stages, "enable_fp_fusion": True}
    return triton.compile(source, target=TARGETS[target], options=options)


def measure(kernel: Kernel, variant: dict[str, Any], dtype: torch.dtype, target: str) -> Row:
    """The resources of a kernel's default configuration at full precision."""
    precision = "ieee" if dtype == torch.float64 else PRECISIONS["highest"][TARGETS[target].backend]
    compiled = compile_kernel(kernel, variant, dtype, precision, target, kernel.default)
    registers, spilled = resources(compiled, target)
    label = " ".join(f"{name}={value}" for name, value in variant.items())
    name = str(dtype).removeprefix("torch.")
    warps = kernel.default.num_warps
    return Row(kernel.function.__name__, label, name, target, warps, registers, compiled.metadata.shared, spilled)


def resources(compiled: Any, target: str) -> tuple[int, int]:
    """Registers per thread, and how much of them is kept in memory instead."""
    if TARGETS[target].backend == "hip":
        assembly = compiled.asm["amdgcn"]
        spilled = _number(r"\.vgpr_spill_count:\s+(\d+)", assembly) + _number(r"\.sgpr_spill_count:\s+(\d+)", assembly)
        return _number(r"\.vgpr_count:\s+(\d+)", assembly), spilled
    ptx = compiled.asm["ptx"]
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(ptx)
        file.flush()
        chip = re.search(r"\.target (\w+)", ptx)
        assert chip is not None
        command = [
            get_ptxas(int(TARGETS[target].arch)).path,
            "-v",
            f"--gpu-name={chip[1]}",
            "-o",
            "/dev/null",
            file.name,
        ]
        report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    spilled = _number(r"(\d+) bytes spill stores", report) + _number(r"(\d+) bytes spill loads", report)
    return _number(r"Used (\d+) registers", report), spilled


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found is not None, pattern
    return int(found[1])


def cases() -> Iterator[tuple[Kernel, dict[str, Any], torch.dtype, str]]:
    """Every row of the table."""
    for kernel in KERNELS:
        for variant in VARIANTS[kernel.function.__name__]:
            for dtype in (torch.float32, torch.float64):
                for target in TARGETS:
                    yield kernel, variant, dtype, target


def read() -> list[Row]:
    """The table as it is kept."""
    with TABLE.open(newline="") as file:
        lines = list(csv.DictReader(file))
    numbers = ("num_warps", "registers", "shared", "spilled")
    return [
        Row(line["kernel"], line["variant"], line["dtype"], line["target"], *(int(line[name]) for name in numbers))
        for line in lines
    ]


def main() -> int:
    rows = [measure(*case) for case in cases()]
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, rows))
    spilling = [row for row in rows if row.spilled]
    for row in spilling:
        print("spills:", row)
    return 1 if spilling else 0


if __name__ == "__main__":
    sys.exit(main())
