# SPDX-License-Identifier: BSD-3-Clause
"""The convolutional networks that the built-in tasks search, as ordinary modules."""

from .wrn import WideResNet

__all__ = ["WideResNet"]
