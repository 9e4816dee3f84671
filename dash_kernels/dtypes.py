# SPDX-License-Identifier: BSD-3-Clause
"""The dtypes of operands, and those that they are computed in."""

from __future__ import annotations

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)
COMPUTED = (torch.float32, torch.float64)
DTYPES = HALF + COMPUTED


def widened(tensor: Tensor) -> Tensor:
    """In single precision where it is in half, which is too coarse for sums, noise and softmax."""
    return tensor.float() if tensor.dtype in HALF else tensor


def cast(value: Tensor, dtype: torch.dtype) -> Tensor:
    """In that dtype: itself if it has it."""
    return value if value.dtype == dtype else value.to(dtype)
