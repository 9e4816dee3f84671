# SPDX-License-Identifier: BSD-3-Clause
"""Memory formats: channels_last in and out, by torch's rule, and without a copy in the compiled engines."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import dash_kernels as dk
from dash_kernels.formats import in_format_of, memory_format
from dash_kernels.functional import PADDING_MODES, mixed_conv, tap_conv

LAST = torch.channels_last
SPACE = dk.SearchSpace((3, 5), (1, 2))
COMPILED = "fourier", "direct"


def operands(channels: int, groups: int, filters: int, batch: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x (channels_last), weight, mixture and bias, all needing gradients."""
    packed = sum(c.taps for c in SPACE.candidates(2))
    shapes = (filters, channels // groups, packed), (4,), (filters,)
    x = torch.randn(batch, channels, 9, 8).contiguous(memory_format=LAST).requires_grad_()
    return x, *(torch.randn(shape, requires_grad=True) for shape in shapes)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("shape", "strides", "found"),
    [
        ((2, 3, 4, 5), (60, 20, 5, 1), torch.contiguous_format),
        ((2, 3, 4, 5), (60, 1, 15, 3), LAST),
        ((2, 1, 4, 5), (20, 1, 5, 1), LAST),  # with one channel its stride tells
        ((2, 1, 4, 5), (20, 20, 5, 1), torch.contiguous_format),
        ((2, 3, 1, 1), (3, 1, 1, 1), torch.contiguous_format),
        ((1, 3, 4, 5), (60, 1, 15, 3), LAST),
        ((2, 3, 4, 5), (120, 2, 30, 6), LAST),  # every other channel
        ((2, 3, 4, 5), (120, 1, 30, 6), LAST),  # some of the channels
        ((2, 3, 4, 5), (0, 1, 15, 3), torch.contiguous_format),  # expanded
        ((2, 3, 5), (15, 1, 3), torch.contiguous_format),  # torch has no such format of one spatial axis
        ((2, 3, 2, 4, 5), (120, 1, 60, 15, 3), torch.channels_last_3d),
    ],
)
def test_which_format_maps_have(
    shape: tuple[int, ...], strides: tuple[int, ...], found: torch.memory_format, engine: str
) -> None:
    x = torch.randn(shape).as_strided(shape, strides) if 0 in strides else torch.empty_strided(shape, strides).normal_()
    assert memory_format(x) == found
    plain = torch.nn.functional.conv2d(x, torch.randn(4, shape[1], 1, 1)) if x.dim() == 4 else x
    assert memory_format(plain) == found, "torch's own convolution keeps another format"
    assert in_format_of(x, torch.randn(shape)).is_contiguous(memory_format=found)
    if x.dim() == 5 and engine == "fourier":
        pytest.skip("fourier computes no 3-D convolutions")
    taps = torch.randn(4, shape[1], 1)
    y = tap_conv(x, taps, torch.zeros(1, x.dim() - 2, dtype=torch.long).tolist(), engine=engine)
    assert memory_format(y) == found
    torch.testing.assert_close(y, torch.einsum("oc,bc...->bo...", taps[..., 0], x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [(4, 1, 6), (16, 1, 32), (24, 24, 24), (6, 3, 12)])
def test_results_and_gradients_are_channels_last_too(channels: tuple[int, int, int], engine: str) -> None:
    x, *rest = leaves = operands(*channels)
    y = mixed_conv(*leaves[:3], SPACE, leaves[3], groups=channels[1], engine=engine)
    grad = torch.randn(y.shape)
    assert memory_format(y) == LAST
    plain = (x.detach().contiguous().requires_grad_(), *rest)
    expected = mixed_conv(*plain[:3], SPACE, plain[3], groups=channels[1], engine=engine)
    wanted = torch.autograd.grad(expected, plain, grad, retain_graph=True)
    for upstream in grad, grad.contiguous(memory_format=LAST):
        got = torch.autograd.grad(y, leaves, upstream, retain_graph=True)
        (alone,) = torch.autograd.grad(
            mixed_conv(x, *(t.detach() for t in rest[:2]), SPACE, rest[2].detach(), groups=channels[1], engine=engine),
            x, upstream,
        )  # fmt: skip
        assert memory_format(got[0]) == LAST and memory_format(alone) == LAST
        for one, other in zip((y, *got, alone), (expected, *wanted, wanted[0]), strict=True):
            torch.testing.assert_close(one, other, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("channels", [(3, 1, 16), (16, 1, 16), (24, 24, 24)])
@pytest.mark.parametrize("name", COMPILED)
def test_nothing_is_copied(name: str, channels: tuple[int, int, int]) -> None:
    leaves = operands(*channels, batch=40)
    upstream = torch.randn(40, channels[2], 9, 8).contiguous(memory_format=LAST)
    copies = ("aten::copy_", "aten::clone", "aten::contiguous")

    def copied(*tensors: Tensor) -> set[str]:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            y = mixed_conv(*tensors[:3], SPACE, tensors[3], groups=channels[1], engine=name)
            torch.autograd.grad(y, tensors[:4], tensors[4])
        return {event.key for event in profile.key_averages()} & set(copies)

    assert not copied(*leaves, upstream)
    x = leaves[0].detach()[:, :, ::2].requires_grad_()
    assert copied(x, *leaves[1:], upstream[:, :, ::2]), "the profiler shows copies where there are some"


@pytest.mark.parametrize("padding_mode", PADDING_MODES)
def test_a_network_stays_in_its_format(padding_mode: str) -> None:
    choices = {"kernel_sizes": SPACE.kernel_sizes, "dilations": SPACE.dilations, "padding_mode": padding_mode}
    layers = dk.MixedConv2d(16, 24, **choices), dk.MixedConv2d(24, 24, **choices, groups=24)
    net = nn.Sequential(layers[0], nn.BatchNorm2d(24), nn.ReLU(), layers[1])
    seen = []
    for module in net:
        module.register_forward_hook(lambda _module, _inputs, output: seen.append(memory_format(output)))
    x = torch.randn(2, 16, 8, 8).contiguous(memory_format=LAST)
    net.to(memory_format=LAST)(x).sum().backward()
    assert seen == [LAST] * 4


@pytest.mark.parametrize("name", ["tap_conv", "tap_conv_input_grad", "tap_conv_weight_grad"])
def test_fake_results_have_the_format_too(name: str, engine: str) -> None:
    maps = torch.randn(2, 4, 6, 5).contiguous(memory_format=LAST).requires_grad_()
    tail = [1, 1], 1, False
    first = {
        "tap_conv": (maps, torch.randn(3, 4, 2), [0, 0, 1, -1], [6, 5], *tail, None),
        "tap_conv_input_grad": (maps, torch.randn(4, 3, 2), [0, 0, 1, -1], [6, 5], *tail),
        "tap_conv_weight_grad": (maps, torch.randn(2, 3, 6, 5).contiguous(memory_format=LAST), [0, 0, 1, -1], *tail),
    }
    operator = getattr(torch.ops.dash_kernels, name).default
    torch.library.opcheck(operator, (*first[name], engine))
    part = torch.randn(2, 7, 6, 5).contiguous(memory_format=LAST)[:, 1:5]  # which is not dense
    torch.library.opcheck(operator, (part, *first[name][1:], engine))


def test_few_results_of_some_channels(engine: str) -> None:
    """They are computed in double, and the conversion drops what is between the channels."""
    x = torch.randn(1, 6, 3, 5).contiguous(memory_format=LAST)[:, 1:4]
    arguments = (torch.randn(1, 3, 1), [0, 0], [3, 5], [1, 1], 1, False, None, engine)
    torch.library.opcheck(torch.ops.dash_kernels.tap_conv.default, (x, *arguments))


def test_mapped_and_compiled(engine: str) -> None:
    x, taps = torch.randn(2, 4, 4, 6, 5).contiguous(memory_format=torch.channels_last_3d), torch.randn(4, 4, 1)
    mapped = torch.func.vmap(lambda one: tap_conv(one, taps, ((0, 0),), engine=engine))(x)
    maps = x[0].contiguous(memory_format=LAST)
    compiled = torch.compile(
        lambda one: tap_conv(one, taps, ((0, 0),), engine=engine), backend="aot_eager", fullgraph=True
    )
    torch.testing.assert_close(mapped[0], compiled(maps))
    assert memory_format(compiled(maps)) == LAST
