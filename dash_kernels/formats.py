# SPDX-License-Identifier: BSD-3-Clause
"""Memory formats of maps: results come in that of what they are computed from."""

from __future__ import annotations

import torch
from torch import Tensor

_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""By the number of axes; maps of one spatial axis have no such format."""


def memory_format(maps: Tensor) -> torch.memory_format:
    """``channels_last``, or ``channels_last_3d``, of maps (batch, channels, *n) laid out so; else contiguous.

    Where both are the same, as with one channel or one pixel, contiguous.
    """
    last = _CHANNELS_LAST.get(maps.dim())
    if last is None or maps.is_contiguous() or not maps.is_contiguous(memory_format=last):
        return torch.contiguous_format
    return last


def in_format_of(model: Tensor, maps: Tensor) -> Tensor:
    """``maps`` in the memory format of ``model``: itself if it has that."""
    return maps.contiguous(memory_format=memory_format(model))
