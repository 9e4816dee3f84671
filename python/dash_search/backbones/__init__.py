# SPDX-License-Identifier: BSD-3-Clause
"""The convolutional networks that the built-in tasks search, as ordinary modules."""

from .resnet1d import ResNet1D
from .wrn import WideResNet, draw_convolutions

__all__ = ["ResNet1D", "WideResNet", "draw_convolutions"]
