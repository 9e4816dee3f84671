# SPDX-License-Identifier: BSD-3-Clause
"""DeepCon, the residual network for maps of a protein's distances."""

from torch import Tensor, nn

from ._check import at_least_one
from .wrn import draw_convolutions

_BLOCKS, _DILATIONS, _DROPOUT = 8, (1, 2, 4), 0.3


class Block(nn.Module):
    """Batch norm, two convolutions, the second one dilated, whole channels dropped between them; added to the input."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.dropout = nn.Dropout2d(_DROPOUT)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        h = self.dropout(self.conv1(self.bn(x).relu()))
        out: Tensor = x + self.conv2(h.relu())
        return out


class DeepCon(nn.Module):
    """A 1x1 convolution, eight blocks of two convolutions, and one more; the last 17 are searched.

    With 57 input channels and one output it has 38,595 parameters.

    Args:
        in_channels: Channels of the input.
        outputs: Maps.
        channels: Channels of the blocks.

    Shape:
        - Input: ``(batch, in_channels, height, width)``.
        - Output: ``(batch, outputs, height, width)``, not negative, as distances are.

    Raises:
        ValueError: A count is below 1.

    Source: Adhikari, "A fully open-source framework for deep learning protein real-valued distances", Scientific
    Reports 10, 2020, after the same author's "DEEPCON: protein contact prediction using dilated convolutional neural
    networks with dropout", Bioinformatics 36, 2020, in the size of NAS-Bench-360. The driver trains with SGD.
    """

    def __init__(self, in_channels: int, outputs: int, *, channels: int = 16) -> None:
        super().__init__()
        at_least_one(in_channels=in_channels, outputs=outputs, channels=channels)
        self.reduce = nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU(), nn.Conv2d(in_channels, channels, 1))
        self.blocks = nn.Sequential()
        for block in range(_BLOCKS):
            self.blocks.append(Block(channels, _DILATIONS[block % len(_DILATIONS)]))
        self.out = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU()
        )
        draw_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.blocks(self.reduce(x)))
        return out
