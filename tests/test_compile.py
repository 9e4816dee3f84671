# SPDX-License-Identifier: BSD-3-Clause
"""The functions under torch.compile and torch.export: one graph, any batch, the same numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

import dash_kernels as dk
from dash_kernels.functional import PADDING_MODES, mixed_conv, tap_conv

SPACE = dk.SearchSpace((3, 5), (1, 2))


def operands(batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, weight, mixture and bias, all needing gradients."""
    x, weight, mixture, bias = torch.randn(batch, 4, 11), torch.randn(6, 2, 32), torch.randn(4), torch.randn(6)
    return x.requires_grad_(), weight[..., :16].requires_grad_(), mixture.requires_grad_(), bias.requires_grad_()


def assert_same(eager: Callable[..., Tensor], compiled: Callable[..., Tensor], leaves: tuple[Tensor, ...]) -> None:
    expected, got = eager(*leaves), compiled(*leaves)
    grad = torch.randn_like(expected)
    torch.testing.assert_close(got, expected)
    pairs = zip(torch.autograd.grad(got, leaves, grad), torch.autograd.grad(expected, leaves, grad), strict=True)
    for a, b in pairs:
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("padding_mode", PADDING_MODES)
def test_one_graph_for_every_batch(padding_mode: str, engine: str) -> None:
    def call(x: Tensor, weight: Tensor, mixture: Tensor, bias: Tensor) -> Tensor:
        return mixed_conv(x, weight, mixture, SPACE, bias, 2, 2, padding_mode, engine)

    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(call, backend=counter, fullgraph=True, dynamic=True)
    for batch in (3, 5, 7):  # not 2, which a kernel dimension is and would be fixed to
        assert_same(call, compiled, operands(batch))
    assert counter.frame_count == 1


def test_a_static_graph_turns_dynamic_once(engine: str) -> None:
    def call(x: Tensor, weight: Tensor, mixture: Tensor, bias: Tensor) -> Tensor:
        return mixed_conv(x, weight, mixture, SPACE, bias, groups=2, engine=engine)

    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(call, backend=counter, fullgraph=True)
    for batch in (2, 3, 5, 8):
        assert_same(call, compiled, operands(batch))
    assert counter.frame_count == 2


def test_tap_conv(engine: str) -> None:
    offsets = ((-3,), (0,), (1,))

    def call(x: Tensor, taps: Tensor) -> Tensor:
        return tap_conv(x, taps, offsets, stride=2, groups=2, circular=True, engine=engine)

    compiled = torch.compile(call, backend="aot_eager", fullgraph=True, dynamic=True)
    for batch in (2, 5):
        leaves = torch.randn(batch, 4, 9, requires_grad=True), torch.randn(2, 2, 3, requires_grad=True)
        assert_same(call, compiled, leaves)


def test_numbers_from_around_the_function(engine: str) -> None:
    """With dynamic=True the compiler takes them for symbols; they become constants of the graph."""
    stride, groups, offsets = 2, 2, [-1, 0, 4]

    def call(x: Tensor, weight: Tensor, mixture: Tensor, bias: Tensor) -> Tensor:
        y = mixed_conv(x, weight, mixture, SPACE, bias, stride, groups, engine=engine)
        return y + tap_conv(x, weight[..., :3], offsets, stride=(stride,), groups=groups, engine=engine)

    compiled = torch.compile(call, backend="aot_eager", fullgraph=True, dynamic=True)
    for batch in (3, 5):
        assert_same(call, compiled, operands(batch))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # from inside inductor
def test_inductor(engine: str) -> None:
    def call(x: Tensor, weight: Tensor, mixture: Tensor, bias: Tensor) -> Tensor:
        return mixed_conv(x, weight, mixture.softmax(0), SPACE, bias, groups=2, engine=engine).relu()

    compiled = torch.compile(call, fullgraph=True, dynamic=True)
    for batch in (2, 3):
        assert_same(call, compiled, operands(batch))


def test_autocast_inside_a_graph(engine: str) -> None:
    device = torch.get_default_device().type

    def call(x: Tensor, weight: Tensor, mixture: Tensor, bias: Tensor) -> Tensor:
        with torch.autocast(device, dtype=torch.bfloat16):
            return mixed_conv(x.bfloat16(), weight, mixture, SPACE, bias, groups=2, engine=engine)

    compiled = torch.compile(call, backend="aot_eager", fullgraph=True, dynamic=True)
    leaves = operands(2)
    assert compiled(*leaves).dtype == torch.float32
    assert_same(call, compiled, leaves)


def test_a_graph_looks_for_the_engine_in_force_when_it_runs(engine: str) -> None:
    compiled = torch.compile(lambda x, w, m: mixed_conv(x, w, m, SPACE, groups=2), backend="aot_eager", fullgraph=True)
    x, weight, mixture, _ = (t.detach() for t in operands(2))
    with dk.use_engine(engine):
        expected = compiled(x, weight, mixture)
    assert torch.equal(expected, mixed_conv(x, weight, mixture, SPACE, groups=2, engine=engine))
    with dk.use_engine("auto"), pytest.raises(ValueError, match="engine"):
        torch.compile(lambda x, w, m: mixed_conv(x, w, m, SPACE, groups=2, engine="none"), backend="aot_eager")(
            x, weight, mixture
        )


def test_errors_reach_the_caller_as_they_are() -> None:
    compiled = torch.compile(lambda x, w, m: mixed_conv(x, w, m, SPACE), backend="aot_eager")
    with pytest.raises(ValueError, match="input has 3 channels"):
        compiled(torch.zeros(1, 3, 9), torch.zeros(6, 2, 16), torch.zeros(4))


def test_export_with_a_dynamic_batch(engine: str) -> None:
    class Module(torch.nn.Module):
        def forward(self, x: Tensor, weight: Tensor, mixture: Tensor) -> Tensor:
            return mixed_conv(x, weight, mixture, SPACE, groups=2, engine=engine)

    leaves = tuple(t.detach() for t in operands(3)[:3])
    batch = torch.export.Dim("batch")
    program = torch.export.export(Module(), leaves, dynamic_shapes=({0: batch}, None, None))
    x, weight, mixture = (t.detach() for t in operands(5)[:3])
    torch.testing.assert_close(program.module()(x, weight, mixture), Module()(x, weight, mixture))
