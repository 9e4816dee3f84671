# SPDX-License-Identifier: BSD-3-Clause
"""What the GPU benchmark prints and keeps, tried out on the CPU; and the roofline in docs/gpu.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench import gpu, gpu_roofline
from bench.layers import Layer

SMALL = Layer("Satellite", 4, (2, 2), (12,), (3, 5), (1, 3))


def test_the_roofline_in_the_docs_is_that_of_the_plans() -> None:
    """`python -m bench.gpu_roofline` writes it anew."""
    text = gpu_roofline.DOCUMENT.read_text()
    assert text.split(gpu_roofline.BEGIN)[1].split(gpu_roofline.END)[0] == gpu_roofline.table()


def test_work_of_a_layer_by_hand() -> None:
    """A circle of 18 points, 10 frequencies, 8 rows of maps each way, 4 pairs with 9 taps."""
    passes = list(gpu_roofline.passes(SMALL))
    assert [one.name for one in passes] == ["mixing", *["maps", "taps", "product", "maps"] * 3, "mixing"]
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
    run: dict[str, Any] = {"facts": {"device": "a GPU"}, "rows": [{"kind": "dense", "milliseconds": times}]}
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{gpu.BEGIN}nothing measured\n{gpu.END}after\n")
    gpu.write_readme(run, readme)
    text = readme.read_text()
    assert "| 1 dense | 2.00 | 0.75 | 4.00 |" in text and "a GPU" in text
    assert text.startswith("before\n") and text.endswith("after\n") and "nothing measured" not in text
