# SPDX-License-Identifier: BSD-3-Clause
"""The operators ``torch.ops.dash_kernels.*``: schemas, fake kernels, derivatives. Engines compute them."""

from ._register import eager
from .mix_taps import gather_taps, mix_taps, mixture_grad
from .mixed_conv import Layer, mixed_conv
from .tap_conv import tap_conv, tap_conv_input_grad, tap_conv_weight_grad

__all__ = [
    "Layer",
    "eager",
    "gather_taps",
    "mix_taps",
    "mixed_conv",
    "mixture_grad",
    "tap_conv",
    "tap_conv_input_grad",
    "tap_conv_weight_grad",
]
