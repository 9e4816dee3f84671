# SPDX-License-Identifier: BSD-3-Clause
"""Memory formats of maps: results come in that of what they are computed from."""

from __future__ import annotations

import torch
from torch import Tensor

_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""By the number of axes; maps of one spatial axis have no such format."""


def memory_format(maps: Tensor) -> torch.memory_format:
    """The format that torch's own operators take maps (batch, channels, *n) to have, and give their results.

    ``channels_last``, or ``channels_last_3d``, where strides grow from channels over the last axes to samples, whether
    or not there are gaps; else contiguous. ``csrc/ops/tensors.h`` has the same rule.
    """
    last = _CHANNELS_LAST.get(maps.dim())
    if last is None or maps.stride(1) == 0:
        return torch.contiguous_format
    least = 0
    for axis in (1, *range(maps.dim() - 1, 1, -1), 0):
        size, stride = maps.shape[axis], maps.stride(axis)
        if size == 0 or stride < least or (axis == 0 and least == maps.stride(1)):
            return torch.contiguous_format
        least = stride * size
    return last


def in_format(maps: Tensor, wanted: torch.memory_format) -> Tensor:
    """``maps`` in that format: itself if it has it."""
    return maps.contiguous(memory_format=wanted)


def in_format_of(model: Tensor, maps: Tensor) -> Tensor:
    """``maps`` in the memory format of ``model``: itself if it has that."""
    return in_format(maps, memory_format(model))
