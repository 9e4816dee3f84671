# SPDX-License-Identifier: BSD-3-Clause
"""Wide residual network 16-w, the two-dimensional backbone of DASH."""

import math

from torch import Tensor, nn

from ._check import at_least_one, is_share

_BLOCKS_PER_GROUP = 2  # depth 6n + 4 = 16


class Block(nn.Module):
    """Pre-activation residual block: two 3x3 convolutions, the second one carrying the stride.

    Dropout, if any, lies between them. The shortcut is the identity, or a 1x1 convolution of the raw input where the
    shape changes.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, stride=stride, padding=1)
        same_shape = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if same_shape else nn.Conv2d(in_channels, out_channels, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        h = self.dropout(self.conv1(self.bn1(x).relu()))
        h = self.conv2(self.bn2(h).relu())
        out: Tensor = h + self.shortcut(x)
        return out


def draw_convolutions(network: nn.Module) -> None:
    """Draws 2-D convolutions anew as in WRN and DeepCon: Xavier uniform with gain sqrt(2), biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight, gain=math.sqrt(2))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class WideResNet(nn.Module):
    """WRN-16-w: a stem, three groups of two blocks, and a linear head; 13 convolutions larger than 1x1.

    Args:
        in_channels: Channels of the input.
        outputs: Classes of a point task, or output channels of a dense one.
        width: The factor w. The groups have 16w, 32w and 64w channels; the stem always has 16.
        dense: Keep the resolution (no strides, no pooling) and apply the head to every pixel.
        dropout: Share of values that training drops between the two convolutions of every block.

    Shape:
        - Input: ``(batch, in_channels, height, width)``.
        - Output: ``(batch, outputs)``; dense ``(batch, outputs, height, width)``.

    Raises:
        ValueError: A count is below 1, or ``dropout`` is no share.

    Source: Zagoruyko and Komodakis, "Wide Residual Networks", 2016, arXiv:1605.07146, with the biases, the
    initialisation and the place of the stride of DASH (arXiv:2204.07554). The last batch norm has the usual
    momentum of 0.1 where DASH's code has 0.9, with which the running statistics were those of the last batch.
    """

    def __init__(
        self, in_channels: int, outputs: int, *, width: int = 1, dense: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        at_least_one(in_channels=in_channels, outputs=outputs, width=width)
        is_share(dropout=dropout)
        self.dense = dense
        channels = (16, 16 * width, 32 * width, 64 * width)
        strides = (1, 1, 1) if dense else (1, 2, 2)
        self.stem = nn.Conv2d(in_channels, channels[0], 3, padding=1)
        self.groups = nn.Sequential()
        for before, after, stride in zip(channels, channels[1:], strides, strict=False):
            blocks = [Block(before, after, stride, dropout)]
            blocks += [Block(after, after, 1, dropout) for _ in range(_BLOCKS_PER_GROUP - 1)]
            self.groups.append(nn.Sequential(*blocks))
        self.bn = nn.BatchNorm2d(channels[-1])
        self.head = nn.Linear(channels[-1], outputs)
        draw_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        h = self.bn(self.groups(self.stem(x))).relu()
        out: Tensor
        if not self.dense:
            out = self.head(h.mean(dim=(2, 3)))
            return out
        out = self.head(h.movedim(1, -1)).movedim(-1, 1)
        return out
