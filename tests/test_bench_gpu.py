# SPDX-License-Identifier: BSD-3-Clause
"""What the GPU benchmark prints and keeps, tried out on the CPU; and the roofline in docs/gpu.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import emulation
import pytest
import torch
from emulation import EmulatedEngine

import dash_kernels as dk
from bench import (
    cuda_resources,
    cuda_roofline,
    document,
    gpu,
    gpu_ideas,
    gpu_roofline,
    kernel_tables,
    triton_resources,
)
from bench.layers import Layer, all_layers
from dash_kernels.engines import Problem, named

SMALL = Layer("Satellite", 4, (2, 2), (12,), (3, 5), (1, 3))


@pytest.mark.parametrize(
    ("page", "name", "text"),
    [
        (document.GPU, "roofline", gpu_roofline.bounds),
        (document.GPU, "lengths", gpu_roofline.lengths),
        (document.GPU, "ideas", gpu_ideas.savings),
        (document.GPU, "kernels", kernel_tables.triton_table),
        (document.CUDA, "kernels", kernel_tables.cuda_table),
        (document.CUDA, "roofline", cuda_roofline.table),
    ],
    ids=lambda value: getattr(value, "name", None) or getattr(value, "__module__", value),
)
def test_tables_in_the_docs_are_what_the_commands_write(page: Path, name: str, text: Callable[[], str]) -> None:
    """`python -m bench.MODULE` writes each anew."""
    assert document.section(page, name) == text()


def test_every_kernel_is_in_the_tables_and_its_proofs_exist() -> None:
    assert set(kernel_tables.TRITON) == {row.kernel for row in triton_resources.read()}
    assert set(kernel_tables.CUDA) == {row.kernel.split("<")[0] for row in cuda_resources.read()}
    for about in (*kernel_tables.TRITON.values(), *kernel_tables.CUDA.values()):
        for proof in about.proof:
            file, _, test = proof.partition("::")
            assert f"def {test}" in (document.ROOT / "tests" / file).read_text(), proof


def test_blocks_of_the_cuda_engine_are_those_of_its_kernels() -> None:
    """The formulas in the bench beside what the compiled kernels ask for."""
    with emulation.instead_of_a_gpu():
        for layer in (one for one in all_layers() if one.groups > 1 and one.stride == 1):
            found = cuda_roofline.cost(layer)
            sides, one = (layer.size, layer.out_size), (1,) * len(layer.size)
            lengths = found.circle.lengths[-len(layer.size) :]
            call = layer.batch, 4, lengths
            maps = emulation.OPERATORS.cuda_depthwise_maps_shared(*call, sides[0], one, sides[1], one)
            weights = emulation.OPERATORS.cuda_depthwise_weights_shared(*call, *sides, one, len(found.circle.rows))
            assert max(found.blocks.maps, found.blocks.spectrum) == maps and found.blocks.weights == weights


def test_savings_by_hand() -> None:
    """One transform of the taps is spared; a fused kernel reads and writes a map once, and the taps' spectrum."""
    passes, fewer = list(gpu_roofline.passes(SMALL)), list(gpu_ideas.without(SMALL, "taps", 1))
    assert [one.name for one in fewer].count("taps") == 2 and fewer == passes[:6] + passes[7:]
    depthwise = Layer("Satellite", 4, (2, 2), (12,), (3, 5), (1, 3), groups=2)
    fused = [one for one in gpu_ideas.fused(depthwise) if one.name == "fused"]
    assert [one.numbers for one in fused] == [2 * 8 * 12 + 2 * 10 * 2] * 3
    assert [one.products for one in fused] == [2 * 8 * 2 * 16 * 16] * 3


def test_the_engine_of_every_layer_follows_the_roofline() -> None:
    """By docs/cuda.md: depthwise layers that fit a block go to "cuda", all others of the ten tasks to "triton"."""
    for layer in all_layers():
        taps = dk.TapLattice.of(layer.candidates).flat
        shape = (
            layer.batch,
            *layer.channels,
            layer.groups,
            layer.size,
            layer.out_size,
            (layer.stride,) * len(layer.size),
        )
        problem = Problem("tap_conv", "cuda", torch.float32, *shape, taps, False)
        assert named("triton").can_run(problem) is None
        with emulation.instead_of_a_gpu():
            reason = EmulatedEngine().can_run(problem)
        assert (reason is None) is (layer.groups > 1), (layer.name, reason)
    names = list(dk.engines())
    assert names.index("cuda") < names.index("triton")


def test_work_of_a_layer_by_hand() -> None:
    """A circle of 18 points, 10 frequencies, 8 rows of maps each way, 4 pairs with 9 taps."""
    passes = list(gpu_roofline.passes(SMALL))
    assert [one.name for one in passes] == [
        "mixing",
        *["maps", "taps", "product", "maps"] * 2,
        "maps",
        "taps",
        "product",
        "mixing",
    ]
    assert passes[1].numbers == 8 * (12 + 2 * 10) and passes[1].products == 8 * 2 * 16 * 16
    assert passes[2].numbers == 4 * (9 + 2 * 10) and passes[3].products == 4 * 4 * 2 * 2 * 10
    assert gpu_roofline.Pass("", 1e9, 0).seconds(gpu_roofline.DEVICES[0]) == pytest.approx(4e9 / 1.555e12)


def test_a_layer_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DASH_KERNELS_STRICT", "1")
    monkeypatch.setattr(gpu, "layers", lambda task: [SMALL])
    monkeypatch.setattr(torch, "compile", lambda function: function)
    assert gpu.main(["--device", "cpu", "--quick"]) == 0
    printed = capsys.readouterr().out
    for label in (
        "MixedConv",
        "MixedConv, fourier",
        "MixedConv, direct",
        "plain, contiguous",
        "plain, channels last, torch.compile",
        "mixed results",
        "torch.fft",
    ):
        assert label in printed
    assert "% of" not in printed and "| 1 dense |" in printed


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a machine with a GPU it measures")
def test_without_a_gpu_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([]) == 1
    assert "no GPU" in capsys.readouterr().err


def test_the_table_replaces_what_the_readme_says(tmp_path: Path) -> None:
    times = {"MixedConv": 2.0, "MixedConv, torch.compile": 3.0, "mixed results": 8.0}
    times |= {"plain, contiguous": 4.0, "plain, channels last": 1.0}
    times |= {"plain, contiguous, torch.compile": 4.0, "plain, channels last, torch.compile": 6.0}
    times |= {"MixedConv, triton": 3.0, "MixedConv, cuda": 2.0}
    run: dict[str, Any] = {"facts": {"device": "a GPU"}, "rows": [{"kind": "dense", "milliseconds": times}]}
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- gpu -->\nnothing measured\n<!-- end of gpu -->\nafter\n")
    document.replace(readme, "gpu", gpu.table(run))
    text = readme.read_text()
    assert "| 1 dense | 2.00 | 0.75 | 4.00 (1) | 1.50 (1) |" in text and "a GPU" in text
    assert text.startswith("before\n") and text.endswith("after\n") and "nothing measured" not in text
