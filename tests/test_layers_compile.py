# SPDX-License-Identifier: BSD-3-Clause
"""The layers under torch's transformations: compile, export, autocast, checkpoint."""

import copy

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils.checkpoint import checkpoint

import dash_kernels as dk


def build(**options):
    torch.manual_seed(0)
    return dk.MixedConv2d(3, 4, **({"kernel_sizes": (3, 1), "dilations": (1, 2)} | options))


def step(layer, module, x, upstream):
    """Output and all gradients of one training step; the same seed draws the same mixture."""
    torch.manual_seed(1)
    x = x.clone().requires_grad_()
    y = module(x)
    return (y, *torch.autograd.grad(y, (x, *layer.parameters()), upstream))


def assert_same_step(layer, module, x):
    upstream = torch.randn(x.shape[0], layer.out_channels, *x.shape[2:])
    for got, expected in zip(step(layer, module, x, upstream), step(layer, layer, x, upstream), strict=True):
        torch.testing.assert_close(got, expected)


def test_graphs_of_a_gpu_leave_the_operators_out():
    """What is made at the first call with a shape must neither be captured nor lie in a graph's memory."""
    for name in ("tap_conv", "tap_conv_input_grad", "tap_conv_weight_grad", "mix_taps", "gather_taps", "mixture_grad"):
        assert torch.Tag.cudagraph_unsafe in getattr(torch.ops.dash_kernels, name).default.tags


class TestCompile:
    def test_many_layers_are_compiled_one_by_one(self):
        """As blocks of a model often are: torch stops at eight versions of one function."""
        torch._dynamo.reset()
        for layer in [build() for _ in range(10)] + [copy.deepcopy(build())]:
            torch.compile(layer, backend="eager", fullgraph=True)(torch.randn(2, 3, 5, 5))

    def test_one_graph_serves_every_batch_size(self):
        layer, counter = build(), CompileCounterWithBackend("aot_eager")
        compiled = torch.compile(layer, fullgraph=True, backend=counter)
        for batch in (2, 3, 5):
            assert_same_step(layer, compiled, torch.randn(batch, 3, 6, 7))
        assert counter.frame_count == 2  # the first size, then all sizes
        for temperature in (0.9, 0.8, 0.7):
            layer.temperature = temperature
            assert_same_step(layer, compiled, torch.randn(2, 3, 6, 7))
        assert counter.frame_count == 3  # annealing compiles once more, not once per value

    def test_marked_dynamic_batch(self):
        layer, counter = build(mixture="softmax"), CompileCounterWithBackend("aot_eager")
        compiled = torch.compile(layer, fullgraph=True, backend=counter)
        for batch in (2, 5):
            x = torch.randn(batch, 3, 6, 7)
            torch._dynamo.mark_dynamic(x, 0)
            torch.testing.assert_close(compiled(x), layer(x))
        assert counter.frame_count == 1

    @pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # from inside inductor
    def test_inductor(self):
        layer = build(mixture="softmax")
        assert_same_step(layer, torch.compile(layer, fullgraph=True), torch.randn(2, 3, 6, 7))

    @pytest.mark.parametrize(
        "options",
        [{"engine": "reference"}, {"padding_mode": "circular"}, {"kernel_size": 7, "padding": 3}, {}],
        ids=str,
    )
    def test_plain_convolutions(self, options):
        conv = dk.Conv2d(3, 4, **({"kernel_size": 3, "padding": 1} | options))
        compiled = torch.compile(conv, fullgraph=True, dynamic=True, backend="aot_eager")
        for shape in ((2, 3, 6, 7), (3, 3, 9, 5)):
            x = torch.randn(shape)
            torch.testing.assert_close(compiled(x), conv(x))

    def test_converted_model(self):
        model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3))
        dk.convert(model, dk.SearchSpace(kernel_sizes=(3,), dilations=(1, 2)))
        x = torch.randn(2, 3, 9, 9)
        compiled = torch.compile(model.eval(), fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), model(x))

    def test_export(self):
        layer = build().eval()
        shapes = {"x": {0: torch.export.Dim("batch")}}
        program = torch.export.export(layer, (torch.randn(2, 3, 6, 7),), dynamic_shapes=shapes)
        x = torch.randn(5, 3, 6, 7)
        torch.testing.assert_close(program.module()(x), layer(x))


class TestAutocast:
    def test_mixed_layer_computes_in_single(self):
        layer = build(mixture="softmax")
        x = torch.randn(2, 3, 6, 7)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = layer(x.bfloat16())
        assert y.dtype == torch.float32
        torch.testing.assert_close(y, layer(x.bfloat16().float()))
        y.square().sum().backward()
        assert all(parameter.grad.dtype == torch.float32 for parameter in layer.parameters())

    def test_between_other_layers(self):
        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.Flatten())
        dk.convert(model, dk.SearchSpace(kernel_sizes=(3,), dilations=(1, 2)), skip="0")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(torch.randn(2, 3, 6, 7)).square().mean()
        loss.backward()
        assert all(p.grad.isfinite().all() and p.grad.any() for p in model.parameters())

    def test_convolution_on_an_engine(self):
        conv = dk.Conv2d(3, 4, 3, padding=1, engine="reference")
        x = torch.randn(2, 3, 6, 7)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = conv(x)
        assert y.dtype == torch.float32
        torch.testing.assert_close(y, conv(x))


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoint_draws_the_same_noise_again(reentrant):
    layer = build()

    def checkpointed(x):
        return checkpoint(layer, x, use_reentrant=reentrant)

    torch.manual_seed(1)
    x = torch.randn(2, 3, 6, 7, requires_grad=True)
    upstream = torch.randn(2, 4, 6, 7)
    results = []
    for run in (layer, checkpointed):
        torch.manual_seed(2)
        layer.zero_grad()
        x.grad = None
        run(x).backward(upstream)
        results.append([x.grad, *(parameter.grad.clone() for parameter in layer.parameters())])
    for plain, again in zip(*results, strict=True):
        assert torch.equal(plain, again)
