# SPDX-License-Identifier: BSD-3-Clause
"""Every Triton kernel compiles for GPUs that are not here, and keeps its tiles in registers."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import triton_resources
from bench.triton_resources import TARGETS, VARIANTS, Row, compile_kernel, measure, read, resources
from dash_kernels.engines.triton.configurations import KERNELS, PRODUCT_MATRIX
from dash_kernels.engines.triton.launch import PRECISIONS, Kernel

TABLE = {(row.kernel, row.variant, row.dtype, row.target): row for row in read()}
PINNED = re.search(r"^triton==(.+)$", (Path(__file__).parent.parent / "constraints.txt").read_text(), re.MULTILINE)
KEEPS = {PRODUCT_MATRIX: ("BLOCK_FREQUENCIES",)}
"""Blocks that are not fitted to anything."""


def named(kernel: Kernel) -> str:
    return str(kernel.function.__name__)


@pytest.mark.parametrize("kernel", KERNELS, ids=named)
@pytest.mark.parametrize("target", TARGETS)
def test_default_configurations(kernel: Kernel, target: str) -> None:
    """As the table of this version of Triton says; another version's compiler must not spill either."""
    assert PINNED is not None
    for variant in VARIANTS[named(kernel)]:
        for dtype in (torch.float32, torch.float64):
            row = measure(kernel, variant, dtype, target)
            assert row.spilled == 0, row
            if importlib.metadata.version("triton") == PINNED[1]:
                assert row == TABLE[row.kernel, row.variant, row.dtype, row.target]


@pytest.mark.parametrize("kernel", [k for k in KERNELS if k.others], ids=named)
def test_other_configurations_do_not_spill(kernel: Kernel) -> None:
    for configuration in kernel.others:
        for variant in VARIANTS[named(kernel)]:
            compiled = compile_kernel(kernel, variant, torch.float32, "tf32x3", "sm_90", configuration)
            assert resources(compiled, "sm_90")[1] == 0, (configuration, variant)


@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
@pytest.mark.parametrize("kernel", KERNELS, ids=named)
def test_the_smallest_blocks_compile(kernel: Kernel, target: str) -> None:
    """As they are fitted to layers of a few numbers."""
    smallest = kernel.default.fitted(
        {name: 1 for name, _ in kernel.default.blocks if name not in KEEPS.get(kernel, ())}
    )
    for dtype in (torch.float32, torch.float64):
        precision = PRECISIONS["highest"][TARGETS[target].backend] if dtype == torch.float32 else "ieee"
        compiled = compile_kernel(kernel, VARIANTS[named(kernel)][0], dtype, precision, target, smallest)
        assert resources(compiled, target)[1] == 0


@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
@pytest.mark.parametrize("option", ["high", "medium"])
def test_lower_precisions_compile(option: str, target: str) -> None:
    for kernel in KERNELS:
        if "PRECISION" in kernel.function.arg_names:
            precision = PRECISIONS[option][TARGETS[target].backend]
            variant = VARIANTS[named(kernel)][0]
            compiled = compile_kernel(kernel, variant, torch.float32, precision, target, kernel.default)
            assert resources(compiled, target)[1] == 0


def test_full_precision_splits_and_rounds_as_the_model_does() -> None:
    """The model in triton_model.py rounds to nearest, ties away: so must the instructions."""
    kernel = next(k for k in KERNELS if named(k) == "product_matrix")
    compiled = compile_kernel(kernel, VARIANTS[named(kernel)][0], torch.float32, "tf32x3", "sm_80", kernel.default)
    ptx = compiled.asm["ptx"]
    assert "cvt.rna.tf32.f32" in ptx and "cvt.rn.tf32" not in ptx and "cvt.rz.tf32" not in ptx
    assert "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32" in ptx


def test_a_spill_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tile that is too large for the registers is noticed."""
    kernel = next(k for k in KERNELS if named(k) == "product_matrix")
    large = dict(kernel.default.blocks) | {"BLOCK_I": 32, "BLOCK_J": 32}
    configuration = type(kernel.default)(tuple(large.items()), num_warps=4)
    compiled: Any = compile_kernel(
        kernel, VARIANTS["product_matrix"][0], torch.float32, "tf32x3", "sm_80", configuration
    )
    assert resources(compiled, "sm_80")[1] > 0


def test_the_table_has_every_row() -> None:
    rows = [Row(named(k), *_label(v), str(d)[6:], t, k.default.num_warps, 0, 0, 0)
            for k, v, d, t in triton_resources.cases()]  # fmt: skip
    assert [(r.kernel, r.variant, r.dtype, r.target) for r in rows] == [
        (r.kernel, r.variant, r.dtype, r.target) for r in read()
    ]


def _label(variant: dict[str, Any]) -> tuple[str]:
    return (" ".join(f"{name}={value}" for name, value in variant.items()),)
