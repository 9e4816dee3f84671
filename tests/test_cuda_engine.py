# SPDX-License-Identifier: BSD-3-Clause
"""The CUDA engine as Python sees it: what it can run and why not, its errors, and layers that train on it, emulated."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import emulation
import pytest
import torch
from cases import kernel, mixture
from emulation import EmulatedEngine

import dash_kernels as dk
from dash_kernels import _load
from dash_kernels.engines import MixProblem, Problem, cuda, registry
from dash_kernels.engines.cuda import CudaEngine
from dash_kernels.engines.reference import ReferenceEngine

FLAT = tuple(n for row in mixture(2, (3, 5, 7, 9), (1, 3, 7, 15)) for n in row)
WIDE = Problem("tap_conv", "cuda", torch.float32, 8, 4, 4, 4, (32, 32), (32, 32), (1, 1), FLAT, False)
FEW = dataclasses.replace(WIDE, offsets=tuple(n for row in kernel(3, 3) for n in row), groups=1)


@pytest.fixture(scope="module", autouse=True)
def emulated() -> Iterator[None]:
    with emulation.instead_of_a_gpu():
        yield


@pytest.fixture
def in_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulated engine takes the place of that for GPUs."""
    everyone = (EmulatedEngine(), ReferenceEngine())
    monkeypatch.setattr(registry, "ENGINES", everyone)
    monkeypatch.setattr(registry, "_BY_NAME", {engine.name: engine for engine in everyone})


def test_it_goes_before_the_reference_and_says_what_is_missing() -> None:
    names = list(dk.engines())
    assert names.index("direct") < names.index("cuda") < names.index("reference")
    assert CudaEngine().available("cpu") == "it runs on NVIDIA GPUs, not on cpu"
    reason = CudaEngine().available("cuda")
    assert reason == _load.CUDA_LOAD.error or torch.cuda.is_available() or reason == "torch finds no GPU here"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"operator": "tap_conv_input_grad"}, None),
        ({"operator": "tap_conv_weight_grad"}, None),
        ({"dtype": torch.float64}, None),
        ({"dtype": torch.float16}, "it computes float32 and float64, not torch.float16"),
        ({"groups": 1}, "it transforms the maps of depthwise layers only, and it adds up no more than 25 taps"),
        ({"input_size": (150, 150), "out_size": (150, 150)}, "bytes of shared memory for maps of"),
        ({"circular": True}, None),
        ({"circular": True, "input_size": (31, 32), "out_size": (31, 32)}, "no length with a factor above 5"),
        ({"circular": True, "out_size": (33, 32)}, "goes round a circular map more than once"),
        ({"input_size": (2, 3, 4, 5), "out_size": (2, 3, 4, 5), "stride": (1,) * 4}, "not 4-D"),
        ({"input_size": (2**16, 2**15), "out_size": (1, 1)}, "31 bits"),
        ({"stride": (2**30, 1), "out_size": (3, 32)}, "31 bits"),
    ],
)
def test_what_it_can_run(change: dict[str, object], reason: str | None) -> None:
    said = EmulatedEngine().can_run(dataclasses.replace(WIDE, **change))  # type: ignore[arg-type]
    assert said is None if reason is None else said is not None and reason in said


def test_what_fits_into_a_block_hangs_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps of 128x128 need 208 KiB of shared memory, which an H100 has (227) and an A100 has not (163)."""
    large = dataclasses.replace(WIDE, input_size=(128, 128), out_size=(128, 128))
    assert EmulatedEngine().can_run(large) is None
    monkeypatch.setattr(cuda, "_most_shared_bytes", lambda: 163 << 10)
    cuda._no_transform.cache_clear()
    reason = EmulatedEngine().can_run(large)
    assert reason is not None and "need 212992 bytes of shared memory" in reason and "a block has 166912" in reason
    assert EmulatedEngine().can_run(WIDE) is None
    cuda._no_transform.cache_clear()


def test_long_columns_are_refused_before_they_are_launched() -> None:
    """Their taps' spectrum takes more shared memory than the maps do."""
    taps = tuple(n for row in range(-20, 21) for n in (row, 0))
    for size, fits in (((1500, 1), True), ((2000, 1), False)):
        tall = dataclasses.replace(
            WIDE, batch=1, in_channels=1, out_channels=1, groups=1, input_size=size, out_size=size, offsets=taps
        )
        said = EmulatedEngine().can_run(tall)
        assert (said is None) is fits and (fits or "need 259200 bytes" in str(said))
    x, kernel = torch.ones(1, 1, 1500, 1), torch.ones(1, 1, 41)
    y = EmulatedEngine().tap_conv(x, kernel, taps, (1500, 1), (1, 1), 1, False)
    torch.testing.assert_close(y, ReferenceEngine().tap_conv(x, kernel, taps, (1500, 1), (1, 1), 1, False))


@pytest.mark.skipif(emulation.ON_A_GPU, reason="the numbers lie in a file with holes")
def test_more_than_two_to_the_31_numbers(tmp_path: Path) -> None:
    """Three maps of 2^30 pixels, of which the first is read each."""
    x = torch.from_file(str(tmp_path / "x"), shared=True, size=3 * 2**30).view(3, 1, 2**30)
    x[:, 0, 0] = torch.tensor([1.0, 2.0, 3.0])
    table, starts = torch.zeros(1, 4, dtype=torch.int32), torch.tensor([0, 1], dtype=torch.int32)
    y = emulation.OPERATORS.cuda_direct_maps(x, torch.full((1, 1, 1), 2.0), table, [1], [1], [1], 1, False)
    assert y.flatten().tolist() == [2, 4, 6]
    grad = torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1)
    assert emulation.OPERATORS.cuda_direct_weights(grad, x, table, starts, [1], 1).item() == 321


def test_few_taps_are_added_up_in_any_layer() -> None:
    engine = EmulatedEngine()
    for change in ({}, {"groups": 4}, {"circular": True}, {"input_size": (31, 500), "out_size": (31, 500)}):
        problem = dataclasses.replace(FEW, **change)  # type: ignore[arg-type]
        assert engine.can_run(problem) is None and engine.no_transform(problem) is not None
    assert engine.no_transform(WIDE) is None


def test_mixing_has_bounds_too() -> None:
    problem = MixProblem("mix_taps", "cuda", torch.float32, 12, 6, 5, 2)
    assert EmulatedEngine().can_run(problem) is None
    assert "2^31" in str(EmulatedEngine().can_run(dataclasses.replace(problem, packed=2**31)))


X, TAPS = torch.ones(2, 3, 8, 8), torch.ones(3, 3, 2)
TABLE = torch.tensor([[0, 0, 0, 1], [1, 0, -1, 0]], dtype=torch.int32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"taps": TAPS[:, :2]}, "shapes of maps and taps do not fit"),
        ({"taps": TAPS.double()}, "tensors must share one dtype"),
        ({"source": X.half(), "taps": TAPS.half()}, "dtype must be float32 or float64"),
        ({"table": TABLE.long()}, "tables must hold int32"),
        ({"table": TABLE[:, :3]}, "rows of a tap and three offsets"),
        ({"result_size": [8]}, "one entry per axis|sizes and steps"),
        ({"result_size": [0, 8]}, "at least 1"),
        ({"result_size": [2**16, 2**15]}, "less than 2\\^31 pixels"),
        ({"bias": torch.ones(4)}, "one number per output channel"),
    ],
)
def test_the_compiled_operator_refuses_bad_input(change: dict[str, object], message: str) -> None:
    call: dict[str, object] = dict(
        source=X, taps=TAPS, table=TABLE, result_size=[8, 8], source_step=[1, 1], result_step=[1, 1], groups=1,
        transposed=False,
    )  # fmt: skip
    assert emulation.OPERATORS.cuda_direct_maps(**call).shape == X.shape
    with pytest.raises(RuntimeError, match=f"cuda_direct_maps.*({message})"):
        emulation.OPERATORS.cuda_direct_maps(**(call | change))


def test_a_launch_that_fails_names_operator_and_shape() -> None:
    problem = dataclasses.replace(WIDE, input_size=(200, 200), out_size=(200, 200))
    geometry = cuda.Geometry.of(problem.offsets, problem.input_size, problem.out_size, problem.stride, False)
    x, taps = torch.ones(2, 4, 200, 200), torch.ones(4, 1, problem.num_taps)
    message = r"cuda_depthwise_maps of a tensor of shape \(2, 4, 200, 200\): no GPU starts blocks of 256 threads with"
    with pytest.raises(RuntimeError, match=message):
        cuda.transform_forward(geometry, x, taps, None)


@pytest.mark.usefixtures("in_registry")
@pytest.mark.parametrize("groups", [1, 6])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_layer_trains_as_on_the_reference(groups: int, stride: int) -> None:
    sizes = (3,) if groups == 1 else (3, 5)
    layer = dk.MixedConv2d(6, 6, kernel_sizes=sizes, dilations=(1, 2), groups=groups, stride=stride, mixture="softmax")
    x, grad, results = torch.randn(3, 6, 11, 14), torch.randn(3, 6, -(-11 // stride), -(-14 // stride)), []
    for name in ("cuda", "reference"):
        layer.zero_grad()
        source = x.clone().requires_grad_()
        with dk.use_engine(name):
            layer(source).backward(grad)
        assert layer.alpha.grad is not None and layer.weight.grad is not None and layer.bias is not None
        results.append([t.grad.clone() for t in (source, layer.weight, layer.alpha, layer.bias)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    chosen = {row.engine for row in dk.explain(layer, x.shape).rows if row.chosen}
    assert chosen == {"cuda"}
