# SPDX-License-Identifier: BSD-3-Clause
"""Operands of convolutions in the dtype and with the batch that they are computed with, and results back again."""

from __future__ import annotations

import torch
from torch import Tensor

from .dtypes import HALF, cast, widened


def autocast(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Operands in single precision where autocast is on, and they are not in double."""
    kind = x.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return _single(x), _single(weight), None if bias is None else _single(bias)
    return x, weight, bias


def _single(value: Tensor) -> Tensor:
    return value if value.dtype == torch.float64 else value.float()


def computed(x: Tensor, weight: Tensor, bias: Tensor | None, ndim: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """Operands of one dtype in that which they are computed in, x batched."""
    if x.dtype in HALF:
        x, weight, bias = widened(x), widened(weight), None if bias is None else widened(bias)
    return x if x.dim() == ndim + 2 else x.unsqueeze(0), weight, bias


def finished(y: Tensor, returned: torch.dtype, batched: bool) -> Tensor:
    """A result as the caller's operands were: in their dtype, and without a batch if they had none."""
    y = cast(y, returned)
    return y if batched else y.squeeze(0)
