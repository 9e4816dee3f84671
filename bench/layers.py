# SPDX-License-Identifier: BSD-3-Clause
"""Every distinct layer that is searched in the ten tasks, taken from the real networks so that no list can disagree."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch

import dash_kernels as dk
from dash_search.alpha import MixedConv, mixed_layers

from .tasks import TASKS, Task


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        task: Whose network it is in.
        batch: Samples per step.
        channels: Input and output channels.
        size: Input pixels per axis.
        kernel_sizes, dilations: The search space.
        stride, groups: As in ``nn.ConvNd``.
    """

    task: str
    batch: int
    channels: tuple[int, int]
    size: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    dilations: tuple[int, ...]
    stride: int = 1
    groups: int = 1

    @property
    def kind(self) -> str:
        """Layers of a kind are weighed together: dense or depthwise, strided ones apart."""
        return ("depthwise" if self.groups > 1 else "dense") + (", strided" if self.stride > 1 else "")

    @property
    def name(self) -> str:
        size = "×".join(map(str, self.size))
        strided = f", stride {self.stride}" if self.stride > 1 else ""
        depthwise = ", depthwise" if self.groups > 1 else ""
        return f"{self.task}: {self.batch}, {self.channels[0]}→{self.channels[1]}, {size}{strided}{depthwise}"

    @property
    def out_size(self) -> tuple[int, ...]:
        return tuple(-(-n // self.stride) for n in self.size)

    @property
    def pairs(self) -> int:
        """Pairs of an output channel and an input channel it sees."""
        return self.channels[0] * self.channels[1] // self.groups

    @property
    def space(self) -> dk.SearchSpace:
        return dk.SearchSpace(kernel_sizes=self.kernel_sizes, dilations=self.dilations)

    @property
    def candidates(self) -> tuple[dk.Candidate, ...]:
        return self.space.candidates(len(self.size))

    def direct_flops(self, taps: int) -> int:
        """Additions and multiplications of one sample's forward pass and both gradients with so many taps a pair."""
        return 3 * 2 * self.pairs * taps * math.prod(self.out_size)


def searched_layers(task: Task, depthwise: str) -> tuple[Layer, ...]:
    """The distinct mixed convolutions of a task's network in the order they are computed; computes nothing itself.

    Args:
        task: Whose.
        depthwise: As in ``dash_kernels.convert``.
    """
    config = task.config(depthwise)
    found: list[Layer] = []

    def note(module: MixedConv, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        layer = Layer(
            task=task.name,
            batch=task.batch,
            channels=(module.in_channels, module.out_channels),
            size=tuple(inputs[0].shape[2:]),
            kernel_sizes=config.kernel_sizes,
            dilations=config.dilations,
            stride=module.stride[0],
            groups=module.groups,
        )
        assert layer.out_size == tuple(output.shape[2:]), f"{layer.name} gives {tuple(output.shape[2:])} pixels"
        found.append(layer)

    with torch.device("meta"):
        model = task.backbone()
        space = dk.SearchSpace(kernel_sizes=config.kernel_sizes, dilations=config.dilations)
        dk.convert(model, space, depthwise=depthwise)
        for module in mixed_layers(model).values():
            module.register_forward_hook(note)
        model(torch.empty(1, *task.shape))
    return tuple(dict.fromkeys(found))


@functools.cache
def all_layers() -> tuple[Layer, ...]:
    """Task by task the dense layers, then those that DASH's rule makes depthwise."""
    layers: list[Layer] = []
    for task in TASKS:
        layers += searched_layers(task, "never")
        layers += [layer for layer in searched_layers(task, "auto") if layer.groups > 1]
    return tuple(layers)


def quick_layers() -> tuple[Layer, ...]:
    """The last layer of every kind in the tasks that are measured in a hurry."""
    quick = {task.name for task in TASKS if task.quick}
    return tuple({(layer.task, layer.kind): layer for layer in all_layers() if layer.task in quick}.values())
