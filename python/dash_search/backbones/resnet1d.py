# SPDX-License-Identifier: BSD-3-Clause
"""Residual network for sequences, the one-dimensional backbone of DASH."""

from torch import Tensor, nn

import dash_kernels as dk

from ._check import at_least_one, is_share

_KERNEL_SIZES = (8, 5, 3)


class ConvBlock(nn.Module):
    """Convolution that keeps the length, dropout, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, causal: bool, dropout: float) -> None:
        super().__init__()
        # dash_kernels' class pads an even kernel without torch's warning, and has a causal form
        padding = 0 if causal else "same"
        self.conv = dk.Conv1d(in_channels, out_channels, kernel_size, padding=padding, causal=causal)
        self.dropout = nn.Dropout(dropout)
        self.bn = nn.BatchNorm1d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn(self.dropout(self.conv(x))).relu()
        return out


class Block(nn.Module):
    """Three ConvBlocks; where the width changes, the sum with a normalised 1x1 convolution of the input.

    Where it does not change there is no skip, and nothing follows the sum.
    """

    def __init__(self, in_channels: int, out_channels: int, causal: bool, dropout: float) -> None:
        super().__init__()
        self.convs = nn.Sequential()
        for channels, kernel_size in zip((in_channels, out_channels, out_channels), _KERNEL_SIZES, strict=True):
            self.convs.append(ConvBlock(channels, out_channels, kernel_size, causal, dropout))
        self.shortcut: nn.Module | None = None
        if in_channels != out_channels:
            self.shortcut = nn.Sequential(nn.Conv1d(in_channels, out_channels, 1), nn.BatchNorm1d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.convs(x)
        return h if self.shortcut is None else h + self.shortcut(x)


class ResNet1D(nn.Module):
    """Three blocks of three convolutions and a linear head; 9 convolutions larger than 1x1, all of stride 1.

    Every convolution keeps the length: centred, or with ``causal`` looking back only. That is so with the kernels it
    is built with, in the search, and with the kernels that were found.

    Args:
        in_channels: Channels of the input.
        outputs: Classes of a point task, or output channels of a dense one.
        channels: Channels of the first block; the other two have twice as many. By default
            ``min(4 ** (outputs // 10 + 1), 64)``, which is DASH's rule.
        dense: Apply the head to every step instead of the mean over all steps.
        causal: No output of a convolution sees a later step, so with ``dense`` no output of the network does.
        dropout: Share of values that training drops after every convolution larger than 1x1.

    Shape:
        - Input: ``(batch, in_channels, length)``.
        - Output: ``(batch, outputs)``, logits; dense ``(batch, outputs, length)``.

    Raises:
        ValueError: A count is below 1, or ``dropout`` is no share.

    Source: the code of DASH (arXiv:2204.07554) after Wang, Yan and Oates, "Time Series Classification from Scratch
    with Deep Neural Networks", 2017, arXiv:1611.06455. Its convolutions were centred in the search and causal, by
    padding both ends and cutting one off, when they were trained; the weights are drawn as torch does.
    """

    def __init__(
        self,
        in_channels: int,
        outputs: int,
        *,
        channels: int | None = None,
        dense: bool = False,
        causal: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        first = min(4 ** (outputs // 10 + 1), 64) if channels is None else channels
        at_least_one(in_channels=in_channels, outputs=outputs, channels=first)
        is_share(dropout=dropout)
        self.dense = dense
        self.blocks = nn.Sequential(
            Block(in_channels, first, causal, dropout),
            Block(first, 2 * first, causal, dropout),
            Block(2 * first, 2 * first, causal, dropout),
        )
        self.head = nn.Linear(2 * first, outputs)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.blocks(x)
        out: Tensor = self.head(h.movedim(1, -1)).movedim(-1, 1) if self.dense else self.head(h.mean(dim=2))
        return out
