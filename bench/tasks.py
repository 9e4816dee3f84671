# SPDX-License-Identifier: BSD-3-Clause
"""The ten tasks of NAS-Bench-360 as data: the shape of their samples, the batch and the search space DASH takes.

The data itself is not needed to time a step: batches are random, of the task's shape and with its kind of target.
Source: the configurations of DASH (arXiv:2204.07554). Adding a task is adding a line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dash_search import Config
from dash_search.backbones import ResNet1D, WideResNet
from dash_search.metrics import relative_l2

K2, K1, D = (3, 5, 7, 9), (3, 7, 11, 15, 19), (1, 3, 7, 15)


@dataclass(frozen=True)
class Objective:
    """A loss, and random targets for it.

    Attributes:
        loss: From the network's outputs and the targets to a number.
        targets: Takes the shape of the outputs.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    targets: Callable[[torch.Size], Tensor]


def some_class(shape: torch.Size) -> Tensor:
    return torch.randint(shape[1], shape[:1])


def marks(shape: torch.Size) -> Tensor:
    """Zeros and ones."""
    return torch.randint(2, shape).float()


def masked_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Of probabilities, with the pixels to ignore set to zero on both sides; here a tenth of the rows."""
    mask = torch.ones_like(targets)
    mask[..., : targets.shape[-2] // 10, :] = 0
    return F.binary_cross_entropy(torch.sigmoid(outputs) * mask, targets * mask)


def summed_relative_l2(outputs: Tensor, targets: Tensor) -> Tensor:
    return relative_l2(outputs, targets).sum()


def multi_label(positive: float) -> Objective:
    """Binary cross-entropy in which a positive counts as so many negatives."""
    return Objective(partial(F.binary_cross_entropy_with_logits, pos_weight=torch.tensor(positive)), marks)


CLASSES = Objective(F.cross_entropy, some_class)
SQUARES = Objective(F.mse_loss, torch.randn)
RELATIVE = Objective(summed_relative_l2, torch.randn)
MASK = Objective(masked_cross_entropy, marks)


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        name: Short, unique.
        shape: Channels and pixels per axis of a sample.
        batch: Samples per step of the search.
        outputs: Classes, labels, or channels of a map.
        objective: What is trained.
        grad_scale: DASH's divisor of the logits' gradients.
        dense: Whether the output is a map, so that no layer has a stride.
        kernel_sizes, dilations: The search space; by default DASH's for that number of axes.
        quick: Whether ``--quick`` measures it.
    """

    name: str
    shape: tuple[int, ...]
    batch: int
    outputs: int
    objective: Objective
    grad_scale: float = 100.0
    dense: bool = False
    kernel_sizes: tuple[int, ...] = ()
    dilations: tuple[int, ...] = D
    quick: bool = False

    @property
    def title(self) -> str:
        """The name of its step."""
        return f"{self.name}: {self.batch}, {'×'.join(map(str, self.shape))}"

    def backbone(self) -> nn.Module:
        """The network that DASH searches: WRN-16-1 for maps, ResNet1D for sequences."""
        if len(self.shape) == 2:
            return ResNet1D(self.shape[0], self.outputs)
        return WideResNet(self.shape[0], self.outputs, dense=self.dense)

    def output_shape(self, batch: int) -> torch.Size:
        return torch.Size((batch, self.outputs, *(self.shape[1:] if self.dense else ())))

    def config(self, depthwise: str) -> Config:
        """The settings of a search; learning rates are ten times smaller where the output is a map."""
        rate = 0.01 if self.dense else 0.1
        return Config.model_validate(
            {
                "kernel_sizes": self.kernel_sizes or (K1 if len(self.shape) == 2 else K2),
                "dilations": self.dilations,
                "depthwise": depthwise,
                "grad_scale": self.grad_scale,
                "search_lr": rate,
                "alpha_lr": rate / 2,
            }
        )


TASKS = (
    Task("CIFAR-100", (3, 32, 32), 64, 100, CLASSES, grad_scale=5000, quick=True),
    Task("Spherical", (3, 60, 60), 64, 100, CLASSES, grad_scale=500),
    Task("Darcy", (3, 85, 85), 10, 1, RELATIVE, dense=True),
    Task("PSICOV", (57, 128, 128), 8, 1, SQUARES, dense=True),
    Task("Cosmic", (1, 128, 128), 4, 1, MASK, dense=True, grad_scale=1000),
    Task("NinaPro", (1, 16, 52), 128, 18, CLASSES, kernel_sizes=(3, 5, 7), dilations=(1, 3, 7)),
    Task("FSD50K", (1, 96, 102), 128, 200, multi_label(10)),
    Task("ECG", (1, 1000), 1024, 4, CLASSES),
    Task("Satellite", (1, 46), 256, 24, CLASSES, quick=True),
    Task("DeepSEA", (4, 1000), 256, 36, multi_label(4), grad_scale=10),
)
