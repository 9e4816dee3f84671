# SPDX-License-Identifier: BSD-3-Clause
"""The convolutional networks that the built-in tasks search, as ordinary modules."""

from .convnext import ConvNeXt, draw_truncated
from .deepcon import DeepCon
from .deepsea import DeepSEA
from .fno_conv import FNOConv
from .resnet1d import ResNet1D
from .tcn import TCN, draw_narrowly
from .wrn import WideResNet, draw_convolutions

__all__ = [
    "TCN",
    "ConvNeXt",
    "DeepCon",
    "DeepSEA",
    "FNOConv",
    "ResNet1D",
    "WideResNet",
    "draw_convolutions",
    "draw_narrowly",
    "draw_truncated",
]
