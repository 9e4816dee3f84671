# SPDX-License-Identifier: BSD-3-Clause
"""The contestants of a layer: MixedConv, other ways to compute the same mixture, and convolutions with one kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import dash_kernels as dk
from dash_kernels import reference

from .fft_composite import fft_composite
from .layers import Layer
from .timing import FORMATS, Contestant

MIXED_CONV = "MixedConv"
MIXED_RESULTS, MIXED_WEIGHTS, TORCH_FFT = "mixed results", "mixed weights", "torch.fft"
DK_CONV, TORCH_FFTCONV, FFT_CONV_PYTORCH = "dk.Conv", "torch-fftconv", "fft-conv-pytorch"
PLAIN = "plain"

CONVS = {1: nn.Conv1d, 2: nn.Conv2d}
DK_CONVS = {1: dk.Conv1d, 2: dk.Conv2d}
MIXED_CONVS = {1: dk.MixedConv1d, 2: dk.MixedConv2d}

Compute = Callable[[Tensor, Tensor | None], Tensor]
"""From the input, and the mixture or None for the layer's own, to the output."""
Built = tuple[nn.Module, Compute]


def mixed_conv(layer: Layer, engine: str = "auto") -> Built:
    """In training, so with the noise that a search draws."""
    module: Any = MIXED_CONVS[len(layer.size)](
        *layer.channels,
        kernel_sizes=layer.kernel_sizes,
        dilations=layer.dilations,
        stride=layer.stride,
        groups=layer.groups,
        engine=engine,
    )
    return module, lambda x, mixture: module(x, mixture=mixture)


def fourier(layer: Layer) -> Built:
    return mixed_conv(layer, "fourier")


def mixed_with(function: Callable[..., Tensor]) -> Callable[[Layer], Built]:
    """The same parameters, mixed by ``function``."""

    def build(layer: Layer) -> Built:
        module: Any = mixed_conv(layer)[0]

        def compute(x: Tensor, mixture: Tensor | None) -> Tensor:
            if mixture is None:
                mixture = torch.softmax(module.alpha, 0)
            return function(x, module.weight, mixture, layer.candidates, module.bias, module.stride, layer.groups)

        return module, compute

    return build


def one_kernel(layer: Layer, classes: dict[int, Any], size: tuple[int, ...]) -> nn.Module:
    """A convolution with the layer's first candidate along every axis that is longer than one pixel."""
    kernel = tuple(layer.kernel_sizes[0] if n > 1 else 1 for n in size)
    dilation = tuple(layer.dilations[0] if n > 1 else 1 for n in size)
    module: nn.Module = classes[len(size)](
        *layer.channels,
        kernel,
        stride=tuple(layer.stride if n > 1 else 1 for n in size),
        padding=tuple(d * (k // 2) for k, d in zip(kernel, dilation, strict=True)),
        dilation=dilation,
        groups=layer.groups,
    )
    return module


def dk_conv(layer: Layer) -> Built:
    module = one_kernel(layer, DK_CONVS, layer.size)
    return module, lambda x, _: module(x)


def torch_fftconv(layer: Layer) -> Built:
    from torch_fftconv import functional

    convolve = getattr(functional, f"fft_conv{len(layer.size)}d")
    module: Any = one_kernel(layer, CONVS, layer.size)
    return module, lambda x, _: convolve(
        x, module.weight, module.bias, module.stride, module.padding, module.dilation, module.groups
    )


def fft_conv_pytorch(layer: Layer) -> Built:
    from fft_conv_pytorch import fft_conv

    module: Any = one_kernel(layer, CONVS, layer.size)
    return module, lambda x, _: fft_conv(
        x, module.weight, module.bias, module.padding, "constant", module.stride, module.dilation, module.groups
    )


BUILDERS: dict[str, Callable[[Layer], Built]] = {
    MIXED_CONV: mixed_conv,
    "fourier": fourier,
    MIXED_RESULTS: mixed_with(reference.mixed_results),
    MIXED_WEIGHTS: mixed_with(reference.mixed_weights),
    TORCH_FFT: mixed_with(fft_composite),
    DK_CONV: dk_conv,
    TORCH_FFTCONV: torch_fftconv,
    FFT_CONV_PYTORCH: fft_conv_pytorch,
}


class LayerContestant(Contestant):
    """A layer with its input and the gradient that comes back to it.

    Args:
        name: Which one: a key of :data:`BUILDERS`, or :data:`PLAIN`.
        layer: Channels, sizes and kernels; convolutions with one kernel take the first size and dilation.
        batch: Samples.
        memory_format: One of :data:`FORMATS`, for input, kernels and upstream gradient.
        label: Its column in the table, by default its name.
    """

    def __init__(
        self, name: str, layer: Layer, batch: int, memory_format: str = FORMATS[0], label: str | None = None
    ) -> None:
        super().__init__(label or name, batch, memory_format)
        size = layer.size
        if name == PLAIN:
            # Channels last in 1-D: torch's 2-d convolution over one row is its fastest; nn.Conv1d re-lays such tensors.
            size = (1, *size) if len(size) == 1 and memory_format != FORMATS[0] else size
            module: Any = one_kernel(layer, CONVS, size)
            module.weight.data = in_format(module.weight.data, memory_format)
            self.module, self.compute = module, lambda x, _: module(x)
        else:
            self.module, self.compute = BUILDERS[name](layer)
        self.x = in_format(torch.randn(batch, layer.channels[0], *size), memory_format).requires_grad_()
        shape = (1,) * (len(size) - len(layer.size)) + layer.out_size
        self.grad = in_format(torch.empty(batch, layer.channels[1], *shape), memory_format)

    def refresh(self) -> None:
        with torch.no_grad():
            self.grad.normal_()
            for tensor in (self.x, *self.module.parameters()):
                tensor.neg_()
                tensor.grad = None

    def forward(self) -> Tensor:
        return self.compute(self.x, None)

    def backward(self, output: Tensor) -> None:
        output.backward(self.grad)


def plain_pair(layer: Layer, batch: int) -> list[LayerContestant]:
    """The plain convolution in both memory formats."""
    return [LayerContestant(PLAIN, layer, batch, form, f"{PLAIN}, {form}") for form in FORMATS]


def in_format(tensor: Tensor, memory_format: str) -> Tensor:
    """The same values with the channels, axis 1, outermost but for the batch, or innermost."""
    if memory_format == FORMATS[0]:
        return tensor.contiguous()
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1)
