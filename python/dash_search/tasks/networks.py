# SPDX-License-Identifier: BSD-3-Clause
"""The backbones as the tasks name them: what is left to say is what goes in and what comes out.

All but WRN and ResNet1D have DASH's size at a width of 1, also in tasks whose default is wider for WRN's sake.
"""

from torch import nn

from ..backbones import (
    TCN,
    ConvNeXt,
    DeepCon,
    DeepSEA,
    FNOConv,
    ResNet1D,
    WideResNet,
    draw_convolutions,
    draw_narrowly,
    draw_truncated,
)
from ..data.splits import Splits
from ..errors import SettingsError
from .task import Backbone


def wide_resnet(in_channels: int, outputs: int, *, dense: bool = False) -> Backbone:
    """WRN-16-w, as DASH draws it; for the arguments see :class:`WideResNet`."""

    def build(width: int, splits: Splits, dropout: float = 0.0) -> nn.Module:
        return decoded(WideResNet(in_channels, outputs, width=width, dense=dense, dropout=dropout), splits)

    return Backbone(build, draw_convolutions, set_dropout)


def resnet1d(in_channels: int, outputs: int, *, channels: int, dense: bool = False, causal: bool = False) -> Backbone:
    """ResNet1D with so many channels per unit of width; for the arguments see :class:`ResNet1D`."""

    def build(width: int, splits: Splits, dropout: float = 0.0) -> nn.Module:
        wide = channels * width
        network = ResNet1D(in_channels, outputs, channels=wide, dense=dense, causal=causal, dropout=dropout)
        return decoded(network, splits)

    return Backbone(build, set_dropout=set_dropout)


def tcn(in_channels: int, outputs: int, *, dense: bool = False) -> Backbone:
    """TCN with 100 channels per unit of width; for the arguments see :class:`TCN`."""

    def build(width: int, splits: Splits, dropout: float = 0.0) -> nn.Module:
        return decoded(TCN(in_channels, outputs, channels=100 * width, dense=dense, dropout=dropout), splits)

    return Backbone(build, draw_narrowly, set_dropout)


def deepsea(in_channels: int, outputs: int, length: int) -> Backbone:
    """The network of DeepSEA, with 320 channels at first per unit of width."""

    def build(width: int, splits: Splits, dropout: float = 0.0) -> nn.Module:
        _refuse(dropout, DeepSEA)
        return decoded(DeepSEA(in_channels, outputs, length, channels=320 * width), splits)

    return Backbone(build)


def convnext(in_channels: int, outputs: int) -> Backbone:
    """ConvNeXt-xtiny, with 16 channels at first per unit of width."""

    def build(width: int, splits: Splits, dropout: float = 0.0) -> nn.Module:
        _refuse(dropout, ConvNeXt)
        return decoded(ConvNeXt(in_channels, outputs, channels=16 * width), splits)

    return Backbone(build, draw_truncated)


def deepcon(in_channels: int, outputs: int) -> Backbone:
    """DeepCon with 16 channels per unit of width."""

    def build(width: int, splits: Splits, dropout: float = 0.0) -> nn.Module:
        _refuse(dropout, DeepCon)
        return decoded(DeepCon(in_channels, outputs, channels=16 * width), splits)

    return Backbone(build, draw_convolutions)


def fno_conv(in_channels: int, outputs: int) -> Backbone:
    """The convolutional form of FNO with 32 channels per unit of width."""

    def build(width: int, splits: Splits, dropout: float = 0.0) -> nn.Module:
        _refuse(dropout, FNOConv)
        return decoded(FNOConv(in_channels, outputs, channels=32 * width), splits)

    return Backbone(build)


def _refuse(dropout: float, network: type[nn.Module]) -> None:
    if dropout:
        raise SettingsError(f"dropout is {dropout}: {network.__name__} has none that can be set, so leave it at 0.")


def set_dropout(network: nn.Module, share: float) -> None:
    """Gives all layers of dropout of a network this share, in place."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = share


def decoded(network: nn.Module, splits: Splits) -> nn.Module:
    """The network, and after it what its outputs have to go through, if anything."""
    return network if splits.decoder is None else nn.Sequential(network, splits.decoder)
