# SPDX-License-Identifier: BSD-3-Clause
"""Images kept as bytes, made numbers one by one, and on the way moved and mirrored."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset


class Images(Dataset[tuple[Tensor, Tensor]]):
    """Images of bytes and their classes, as normalised numbers.

    Args:
        images: ``(N, channels, height, width)``, uint8.
        classes: ``(N,)``, int64.
        mean, deviation: Of each channel, where 255 counts as 1.
        augment: Give another view of an image at every call: moved by up to 4 pixels in each direction, black where
            nothing was, and mirrored half of the time. The numbers come from torch's global generator.
        reorder: ``(height,)``: row i and column i of a view are those of this number, for images whose pixels are put
            into another order; None leaves them.
    """

    def __init__(
        self,
        images: Tensor,
        classes: Tensor,
        mean: tuple[float, ...],
        deviation: tuple[float, ...],
        *,
        augment: bool = False,
        reorder: Tensor | None = None,
    ) -> None:
        self.images, self.classes = images, classes
        self._mean, self._deviation = (torch.tensor(values).reshape(-1, 1, 1) for values in (mean, deviation))
        self._augment, self._reorder = augment, reorder

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        image = self.images[i].float() / 255
        if self._augment:
            image = moved_and_mirrored(image)
        if self._reorder is not None:
            image = image[:, self._reorder][:, :, self._reorder]
        return (image - self._mean) / self._deviation, self.classes[i]


def moved_and_mirrored(image: Tensor, reach: int = 4) -> Tensor:
    """A random view of ``(channels, height, width)``, of the same size; pixels from outside are zero."""
    height, width = image.shape[1:]
    down, right = torch.randint(2 * reach + 1, (2,)).tolist()
    view = F.pad(image, (reach,) * 4)[:, down : down + height, right : right + width]
    return view.flip(2) if torch.rand(()) < 0.5 else view


def bit_reversal(n: int) -> Tensor:
    """The numbers below n, a power of two, in the order of their mirrored binary digits: 0, 4, 2, 6, ... for 8."""
    bits = n.bit_length() - 1
    if n != 1 << bits:
        raise ValueError(f"n is {n}: it must be a power of two.")
    return torch.tensor([int(f"{i:0{bits}b}"[::-1], 2) if bits else 0 for i in range(n)])
