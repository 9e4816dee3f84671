# SPDX-License-Identifier: BSD-3-Clause
"""Which convolutions of a model another "same" convolution can stand for."""

from torch import nn

from .._mixed import MixedConvNd
from ..conv import AnyConv, Conv1d, Conv2d, Conv3d
from ..dtypes import DTYPES
from ..layers import MixedConv1d
from ..space import Candidate

AnyTransposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d

PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d, Conv1d, Conv2d, Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (*PLAIN, *TRANSPOSED, MixedConvNd)


def why_kept(module: nn.Module) -> str | None:
    """None if a search may put mixed candidates in the place of ``module``, else the reason why not."""
    if isinstance(module, MixedConvNd):
        return f"it is a {type(module).__name__} already"
    if isinstance(module, PLAIN) and all(k == 1 for k in module.kernel_size):
        return "its kernel has one tap"
    return why_fixed(module)


def why_fixed(module: nn.Module) -> str | None:
    """None if a "same" convolution with another kernel can take the place of ``module``, else the reason why not."""
    kind = type(module).__name__
    if isinstance(module, TRANSPOSED):
        return "it is transposed"
    if not isinstance(module, PLAIN):
        return f"it is a {kind}, no convolution"
    if set(module._parameters) != {"weight", "bias"} or module._buffers or module._modules:
        return "it is parametrised: it holds more than a weight and a bias"
    if type(module) not in PLAIN:
        return f"{kind} is a subclass, which may compute something else"
    if "forward" in vars(module):
        return "its forward was exchanged for another"
    if module.weight.dtype not in DTYPES:
        return f"its dtype is {module.weight.dtype}"
    if not keeps_size(module):
        return f"padding={module.padding!r} does not give ceil(n / stride) outputs"
    return None


def keeps_size(conv: AnyConv) -> bool:
    """Whether ``conv`` has ceil(n / stride) outputs per axis for every size n."""
    if is_causal(conv) or conv.padding == "same":
        return True
    padding = (0,) * len(conv.stride) if isinstance(conv.padding, str) else conv.padding
    reach = Candidate(conv.kernel_size, conv.dilation).reach
    return all(2 * p == r for p, r in zip(padding, reach, strict=True))


def is_causal(conv: nn.Module) -> bool:
    """Whether no output of ``conv`` sees a later input."""
    return isinstance(conv, (Conv1d, MixedConv1d)) and conv.causal
