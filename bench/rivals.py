# SPDX-License-Identifier: BSD-3-Clause
"""The contestants: MixedConv, three other ways to compute the same mixture in torch, and the plain convolution."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

import dash_kernels as dk
from dash_kernels import reference

from .entries import Entry
from .fft_composite import fft_composite

MIXED_CONV = "MixedConv"
PLAIN = "plain k=3"
MIXTURES = ("mixed results", "mixed weights", "torch.fft")
FORMATS = ("contiguous", "channels last")

CONVS = {1: nn.Conv1d, 2: nn.Conv2d}
LAYERS = {1: dk.MixedConv1d, 2: dk.MixedConv2d}


class Contestant:
    """A layer with its input and the gradient that comes back to it.

    Args:
        name: Which one, a constant of this module.
        entry: Channels, sizes and search space.
        batch: Samples.
        memory_format: One of :data:`FORMATS`, for input, kernels and upstream gradient.
    """

    def __init__(self, name: str, entry: Entry, batch: int, memory_format: str = FORMATS[0]) -> None:
        self.name, self.batch, self.memory_format = name, batch, memory_format
        # Channels last in 1-D: torch's 2-d convolution over one row is its fastest; nn.Conv1d re-lays such tensors.
        size = (
            (1, *entry.size) if name == PLAIN and len(entry.size) == 1 and memory_format != FORMATS[0] else entry.size
        )
        self.x = in_format(torch.randn(batch, entry.channels[0], *size), memory_format).requires_grad_()
        if name == PLAIN:
            conv = plain_layer(entry, size)
            conv.weight.data = in_format(conv.weight.data, memory_format)
            self.layer: nn.Module = conv
            self.forward: Callable[[], Tensor] = lambda: conv(self.x)
        else:
            mixed = mixed_layer(entry)
            self.layer = mixed
            if name == MIXED_CONV:  # in training, so with the noise that a search draws
                self.forward = lambda: mixed(self.x)
            else:
                self.forward = lambda: self.compute(torch.softmax(mixed.alpha, 0))
        with torch.no_grad():
            self.grad = torch.empty_like(self.forward())

    def compute(self, mixture: Tensor) -> Tensor:
        """The output for a given mixture: what all contestants but the plain convolution must agree on."""
        layer = self.layer
        if self.name == MIXED_CONV:
            return layer(self.x, mixture=mixture)
        if self.name == "torch.fft":
            function = fft_composite
        else:
            function = reference.mixed_results if self.name == "mixed results" else reference.mixed_weights
        return function(self.x, layer.weight, mixture, layer.candidates, layer.bias, layer.stride, layer.groups)

    def refresh(self) -> None:
        """New input, weights and upstream gradient, so that nothing computed in an earlier step can be used again."""
        with torch.no_grad():
            self.grad.normal_()
            for tensor in (self.x, *self.layer.parameters()):
                tensor.neg_()
                tensor.grad = None


def plain_layer(entry: Entry, size: tuple[int, ...]) -> nn.Conv1d | nn.Conv2d:
    """The ordinary convolution with three taps along every axis that is longer than one pixel."""
    kernel = tuple(min(n, 3) for n in size)
    padding = tuple(k // 2 for k in kernel)
    stride = tuple(entry.stride if n > 1 else 1 for n in size)
    return CONVS[len(size)](*entry.channels, kernel, padding=padding, stride=stride, groups=entry.groups)


def mixed_layer(entry: Entry) -> nn.Module:
    layer: nn.Module = LAYERS[len(entry.size)](
        *entry.channels,
        kernel_sizes=entry.kernel_sizes,
        dilations=entry.dilations,
        stride=entry.stride,
        groups=entry.groups,
    )
    return layer


def in_format(tensor: Tensor, memory_format: str) -> Tensor:
    """The same values with the channels, axis 1, outermost but for the batch, or innermost."""
    if memory_format == FORMATS[0]:
        return tensor.contiguous()
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1)
