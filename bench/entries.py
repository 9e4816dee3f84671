# SPDX-License-Identifier: BSD-3-Clause
"""What is timed: eight dense layers of seven tasks of NAS-Bench-360, as data. Adding a layer is adding a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

K2, D2 = (3, 5, 7, 9), (1, 3, 7, 15)
K1, D1 = (3, 7, 11, 15, 19), (1, 3, 7, 15)

# One kernel of 121×121 pixels: torch's direct convolution takes seconds for a small sample, minutes for a large one.
ONE, NONE = {"mixed weights": 1}, {"mixed weights": 0}


@dataclass(frozen=True)
class Entry:
    """One layer.

    Attributes:
        name: Short, unique.
        batch: Samples per step.
        channels: Input and output channels.
        size: Input pixels per axis.
        kernel_sizes, dilations: The search space.
        groups, stride: As in ``nn.ConvNd``.
        quick: Whether ``--quick`` times it too.
        cut: Smaller batches for rivals that would not fit into memory or minutes, 0 for not at all; they get one turn
            and no ratio.
    """

    name: str
    batch: int
    channels: tuple[int, int]
    size: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    dilations: tuple[int, ...]
    groups: int = 1
    stride: int = 1
    quick: bool = False
    cut: Mapping[str, int] = field(default_factory=dict)

    def batch_of(self, rival: str) -> int:
        """The batch that a rival is timed with; 0: not at all."""
        return self.cut.get(rival, self.batch)

    def __str__(self) -> str:
        space = f"{len(self.kernel_sizes) * len(self.dilations)} candidates"
        size = "×".join(map(str, self.size))
        groups = f", groups {self.groups}" if self.groups > 1 else ""
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        return f"{self.name}: {self.batch}, {self.channels[0]}→{self.channels[1]}, {size}{groups}{stride}, {space}"


ENTRIES = (
    Entry("CIFAR-100 first group", 64, (16, 16), (32, 32), K2, D2, quick=True, cut=ONE),
    Entry("CIFAR-100 last group", 64, (64, 64), (8, 8), K2, D2, quick=True, cut=ONE),
    Entry("Spherical", 64, (16, 16), (60, 60), K2, D2, cut=ONE),
    Entry("Darcy", 10, (32, 32), (85, 85), K2, D2, cut=NONE),
    Entry("PSICOV", 8, (64, 64), (128, 128), K2, D2, cut=NONE),
    Entry("ECG", 256, (8, 8), (1000,), K1, D1, quick=True),
    Entry("Satellite", 256, (128, 128), (46,), K1, D1, quick=True),
    Entry("DeepSEA", 32, (128, 128), (1000,), K1, D1),
)
