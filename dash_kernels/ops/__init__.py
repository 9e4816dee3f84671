# SPDX-License-Identifier: BSD-3-Clause
"""The operators ``torch.ops.dash_kernels.*``: schemas, fake kernels, derivatives. Engines compute them."""

from .mix_taps import gather_taps, mix_taps, mixture_grad
from .tap_conv import tap_conv, tap_conv_input_grad, tap_conv_weight_grad

__all__ = ["gather_taps", "mix_taps", "mixture_grad", "tap_conv", "tap_conv_input_grad", "tap_conv_weight_grad"]
