# SPDX-License-Identifier: BSD-3-Clause
"""Square maps that a network sees in windows: what a target tells of its place, and the maps put together again."""

import torch
from torch import Tensor


def labelled(window: Tensor, number: int, top: int, left: int) -> Tensor:
    """Writes below a window which map it was cut out of, and where.

    Args:
        window: ``(channels, height, width)``, at least three pixels wide.
        number: Of the map, at most 2**24 where the window is float32.
        top, left: Row and column of the map in which the window begins.

    Returns:
        ``(channels, height + 1, width)``; the last row begins with these three numbers.
    """
    row = window.new_zeros(window.shape[0], 1, window.shape[2])
    row[..., :3] = window.new_tensor([number, top, left])
    return torch.cat([window, row], dim=1)


def glued(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Puts maps together out of windows that do not overlap, in whatever order they come.

    Args:
        outputs: Predictions of the windows, ``(N, channels, height, width)``.
        targets: What :func:`labelled` made of the true windows, ``(N, channels, height + 1, width)``.

    Returns:
        Predictions and truths ``(maps, channels, side, side)``, in the order of the maps' numbers, where the side is
        that of the largest map. Pixels that no window covers are NaN in both.
    """
    (height, width), last = outputs.shape[-2:], targets[:, 0, -1, :3].long()
    numbers, maps = torch.unique(last[:, 0], return_inverse=True)
    side = int(max(last[:, 1].max() + height, last[:, 2].max() + width))
    shape = (len(numbers), outputs.shape[1], side, side)
    predicted, true = outputs.new_full(shape, torch.nan), targets.new_full(shape, torch.nan)
    for i, (place, (_, top, left)) in enumerate(zip(maps.tolist(), last.tolist(), strict=True)):
        area = (place, slice(None), slice(top, top + height), slice(left, left + width))
        predicted[area], true[area] = outputs[i], targets[i, :, :-1]
    return predicted, true
