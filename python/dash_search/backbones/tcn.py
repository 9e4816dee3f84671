# SPDX-License-Identifier: BSD-3-Clause
"""Temporal convolutional network, the causal backbone for sequences."""

from torch import Tensor, nn

import dash_kernels as dk

from ._check import at_least_one, is_share

_LEVELS, _KERNEL_SIZE = 8, 7


class Half(nn.Sequential):
    """Causal convolution, batch norm, ReLU, dropout; keeps the length."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.conv = dk.Conv1d(in_channels, out_channels, _KERNEL_SIZE, dilation=dilation, causal=True)
        self.bn = nn.BatchNorm1d(out_channels)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)


class Level(nn.Module):
    """Two convolutions of one dilation, and the ReLU of their sum with the input, which a 1x1 convolution widens."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.halves = nn.Sequential(
            Half(in_channels, out_channels, dilation, dropout), Half(out_channels, out_channels, dilation, dropout)
        )
        same_width = in_channels == out_channels
        self.shortcut = nn.Identity() if same_width else nn.Conv1d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = (self.halves(x) + self.shortcut(x)).relu()
        return out


def draw_narrowly(network: nn.Module) -> None:
    """Draws the weights of a network's 1-D convolutions anew as in TCN: normal with deviation 0.01."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d):
            nn.init.normal_(module.weight, std=0.01)


class TCN(nn.Module):
    """Eight levels of two causal convolutions, dilated by 1, 2, 4 ... 128, and a linear head; 16 searched.

    Args:
        in_channels: Channels of the input.
        outputs: Classes of a point task, or output channels of a dense one.
        channels: Channels of every level.
        dense: Apply the head to every step instead of the last one.
        dropout: Share of values that training drops after every convolution larger than 1x1.

    Shape:
        - Input: ``(batch, in_channels, length)``.
        - Output: ``(batch, outputs)``, logits; dense ``(batch, outputs, length)``. No step sees a later one, whatever
          kernels are chosen.

    Raises:
        ValueError: A count is below 1, or ``dropout`` is no share.

    Source: Bai, Kolter and Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for
    Sequence Modeling", 2018, arXiv:1803.01271, with the batch norms of DASH (arXiv:2204.07554). There the convolutions
    of the trained network are weight-normed, by one norm each, and those of the search are not. Here none is: a batch
    norm follows each and takes the scale of its weight out again, so the networks are the same functions, and the one
    that is searched is the one that is trained. The driver trains with SGD; DASH's settings of Adam for it are unused.
    """

    def __init__(
        self, in_channels: int, outputs: int, *, channels: int = 100, dense: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        at_least_one(in_channels=in_channels, outputs=outputs, channels=channels)
        is_share(dropout=dropout)
        self.dense = dense
        self.levels = nn.Sequential()
        for level in range(_LEVELS):
            self.levels.append(Level(channels if level else in_channels, channels, 2**level, dropout))
        self.bn = nn.BatchNorm1d(channels)
        self.head = nn.Linear(channels, outputs)
        draw_narrowly(self)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.bn(self.levels(x))
        out: Tensor = self.head(h.movedim(1, -1)).movedim(-1, 1) if self.dense else self.head(h[:, :, -1])
        return out
