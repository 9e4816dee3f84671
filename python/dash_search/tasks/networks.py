# SPDX-License-Identifier: BSD-3-Clause
"""The backbones as the tasks name them: what is left to say is what goes in and what comes out."""

from torch import nn

from ..backbones import ResNet1D, WideResNet, draw_convolutions
from ..data.splits import Splits
from .task import Backbone


def wide_resnet(in_channels: int, outputs: int, *, dense: bool = False) -> Backbone:
    """WRN-16-w, as DASH draws it; for the arguments see :class:`WideResNet`."""

    def build(width: int, splits: Splits, dropout: float = 0.0) -> nn.Module:
        return decoded(WideResNet(in_channels, outputs, width=width, dense=dense, dropout=dropout), splits)

    return Backbone(build, draw_convolutions)


def resnet1d(in_channels: int, outputs: int, *, channels: int, dense: bool = False, causal: bool = False) -> Backbone:
    """ResNet1D with so many channels per unit of width; for the arguments see :class:`ResNet1D`."""

    def build(width: int, splits: Splits, dropout: float = 0.0) -> nn.Module:
        wide = channels * width
        network = ResNet1D(in_channels, outputs, channels=wide, dense=dense, causal=causal, dropout=dropout)
        return decoded(network, splits)

    return Backbone(build)


def decoded(network: nn.Module, splits: Splits) -> nn.Module:
    """The network, and after it what its outputs have to go through, if anything."""
    return network if splits.decoder is None else nn.Sequential(network, splits.decoder)
