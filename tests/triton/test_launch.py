# SPDX-License-Identifier: BSD-3-Clause
"""How kernels are launched: measured choices, precision, the device, and grids that a GPU starts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from accuracy import relative_error
from triton.runtime.autotuner import Autotuner

from dash_kernels import _env
from dash_kernels.engines.triton import convolution, launch, mixing, transforms
from dash_kernels.engines.triton.configurations import KERNELS, PRODUCT_MATRIX
from dash_kernels.engines.triton.convolution import Convolution, _product
from dash_kernels.engines.triton.launch import Kernel

Ints = tuple[int, ...]


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """As on a device without deterministic mode: configurations are tried, but the last one is always the fastest."""
    tried: list[int] = []

    def measure(call: Callable[[], None], quantiles: Any = None) -> list[float]:
        call()
        call()
        tried.append(len(tried))
        return [1.0 / len(tried)] * 3

    torch.use_deterministic_algorithms(False)
    monkeypatch.setattr(_env, "triton_interpret", lambda: False)
    monkeypatch.setattr(Autotuner, "do_bench", property(lambda self: measure))
    launch._tuned.cache_clear()
    yield tried
    launch._tuned.cache_clear()


def test_configurations_are_measured_once_and_leave_sums_alone(trials: list[int]) -> None:
    """A product that adds to what is there adds once, however often it was tried."""

    def check(size: int, dtype: torch.dtype) -> None:
        a, b = torch.randn(2, 1, size, 6, 2, dtype=dtype), torch.randn(2, 1, 6, 3, 2, dtype=dtype)
        before = torch.randn(2, 1, size, 3, 2, dtype=dtype)
        result = before.clone()
        _product(a, b, result, accumulate=True)
        za, zb = (torch.complex(*t.double().unbind()) for t in (a, b))
        exact = torch.view_as_real(torch.einsum("gimf,gmjf->gijf", za, zb)).movedim(-1, 0) + before
        assert relative_error(result, exact) < 4 * torch.finfo(dtype).eps

    check(17, torch.float32)
    assert len(trials) == 1 + len(PRODUCT_MATRIX.others)
    check(20, torch.float32)  # the same power of two: nothing new to measure
    assert len(trials) == 1 + len(PRODUCT_MATRIX.others)
    check(17, torch.float64)
    assert len(trials) == 2 * (1 + len(PRODUCT_MATRIX.others))


def test_configurations_that_do_not_differ_are_not_measured(trials: list[int]) -> None:
    small = {name: 1 for name, _ in PRODUCT_MATRIX.default.blocks if name != "BLOCK_FREQUENCIES"}
    assert len(launch._tuned(PRODUCT_MATRIX, tuple(small.items())).configs) == 2
    for kernel in KERNELS:
        everything = tuple((name, 1) for name, _ in kernel.default.blocks)
        found = [(dict(c.kwargs), c.num_warps) for c in launch._tuned(kernel, everything).configs]
        assert all(found.count(one) == 1 for one in found) and len(found) <= 1 + len(kernel.others)


def test_launches_are_on_the_device_of_the_operands(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[torch.Tensor] = []
    guard = torch.cuda.device_of

    def spy(operand: torch.Tensor) -> Any:
        entered.append(operand)
        return guard(operand)

    monkeypatch.setattr(torch.cuda, "device_of", spy)
    taps = torch.randn(3, 4)
    mixing.scatter(taps, (0, 1, 2, 3), 5)
    assert entered[0].data_ptr() == taps.data_ptr()


@pytest.mark.parametrize(
    ("setting", "precision"), [("highest", "tf32x3"), ("high", "tf32"), ("medium", "bfloat16")], ids=str
)
def test_torch_says_how_float32_is_multiplied(setting: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_env, "triton_interpret", lambda: False)
    monkeypatch.setattr(torch.version, "hip", None)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(setting)
        assert launch.precision(torch.float32) == precision and launch.precision(torch.float64) == "ieee"
    finally:
        torch.set_float32_matmul_precision(before)


def test_torch_may_say_so_per_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then ``torch.get_float32_matmul_precision`` raises."""
    monkeypatch.setattr(_env, "triton_interpret", lambda: False)
    monkeypatch.setattr(torch.version, "hip", None)
    before = torch.backends.cuda.matmul.fp32_precision
    try:
        for setting, precision in (("tf32", "tf32"), ("ieee", "tf32x3")):
            torch.backends.cuda.matmul.fp32_precision = setting
            assert launch.precision(torch.float32) == precision
    finally:
        torch.backends.cuda.matmul.fp32_precision = before


@pytest.mark.parametrize(
    ("batch", "channels", "groups", "size", "reach", "stride"),
    [
        (1, (8, 8), 8, (8192, 8192), 60, 1),
        (1, (2, 2), 2, (320, 320, 320), 8, 1),
        (2, (16, 16), 1, (160, 160, 160), 30, 2),
        (1, (1, 1), 1, (2**27,), 100, 1),
        (1, (1, 1), 1, (2**20,), 0, 1),
        (2**20, (17, 17), 1, (1,), 0, 1),
        (2**20, (5, 5), 1, (2,), 1, 1),
        (1, (4096, 4096), 1, (1, 1), 0, 1),
        (1024, (4096, 4096), 4096, (46,), 20, 1),
        (4096, (1024, 4096), 1024, (8, 8), 2, 2),
    ],
    ids=str,
)
def test_no_launch_is_larger_than_a_gpu_starts(
    batch: int, channels: tuple[int, int], groups: int, size: Ints, reach: int, stride: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Of each axis but the first 65,535 programs. Tensors on the device "meta" have sizes and no numbers."""
    largest = [0, 0, 0]

    def note(kernel: Kernel, sizes: Mapping[str, int], grid: Callable[..., Ints], **arguments: Any) -> None:
        assert all(value.is_meta for value in arguments.values() if isinstance(value, torch.Tensor))
        for configuration in (kernel.default, *kernel.others):
            programs = grid(dict(configuration.fitted(sizes).blocks))
            assert min(programs) > 0
            for axis, count in enumerate(programs):
                largest[axis] = max(largest[axis], count)

    for module in (transforms, convolution, mixing):
        monkeypatch.setattr(module, "launch", note)
    monkeypatch.setattr(convolution, "PART_BYTES", 2**31)  # more than in use, for fewer turns
    out = tuple(-(-n // stride) for n in size)
    offsets = tuple(o for tap in {-reach, 0, reach} for o in (tap,) * len(size))
    x, grad = (torch.empty(batch, c, *s, device="meta") for c, s in zip(channels, (size, out), strict=True))
    taps = torch.empty(channels[1], channels[0] // groups, len(offsets) // len(size), device="meta")
    how = Convolution.of(x, math.prod(grad.shape), offsets, size, out, (stride,) * len(size), groups, False)
    assert how.forward(x, taps, None).shape == grad.shape
    assert how.input_grad(grad, taps).shape == x.shape
    assert how.weight_grad(grad, x).shape == taps.shape
    assert largest[0] < 2**31 and max(largest[1:]) < 2**16, largest
