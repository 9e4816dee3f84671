# SPDX-License-Identifier: BSD-3-Clause
"""Images kept as bytes, made numbers one by one, and on the way moved and mirrored."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from .splits import Splits


class Images(Dataset[tuple[Tensor, Tensor]]):
    """Images of bytes and their classes, as normalised numbers.

    Args:
        images: ``(N, channels, ...)``, uint8: height and width, or the steps of a sequence of pixels.
        classes: ``(N,)``, int64.
        mean, deviation: Of each channel, where 255 counts as 1.
        augment: Give another view of an image at every call: moved by up to 4 pixels in each direction, black where
            nothing was, and mirrored half of the time. The numbers come from torch's global generator.
    """

    def __init__(
        self,
        images: Tensor,
        classes: Tensor,
        mean: tuple[float, ...],
        deviation: tuple[float, ...],
        *,
        augment: bool = False,
    ) -> None:
        self.images, self.classes = images, classes
        shape = (-1, *(1,) * (images.dim() - 2))
        self._mean, self._deviation = (torch.tensor(values).reshape(shape) for values in (mean, deviation))
        self._augment = augment

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        image = self.images[i].float() / 255
        if self._augment:
            image = moved_and_mirrored(image)
        return (image - self._mean) / self._deviation, self.classes[i]


def moved_and_mirrored(image: Tensor, reach: int = 4) -> Tensor:
    """A random view of ``(channels, height, width)``, of the same size; pixels from outside are zero."""
    height, width = image.shape[1:]
    down, right = torch.randint(2 * reach + 1, (2,)).tolist()
    view = F.pad(image, (reach,) * 4)[:, down : down + height, right : right + width]
    return view.flip(2) if torch.rand(()) < 0.5 else view


def image_tensors(images: object, classes: object, shape: tuple[int, ...], count: int) -> tuple[Tensor, Tensor]:
    """What a file says its images and their classes are, as tensors ``(N, *shape)``, uint8, and ``(N,)``, int64.

    Args:
        images, classes: Arrays, or what NumPy makes arrays of. An array of images that can be written to is not
            copied.
        shape: Channels and pixels of an image.
        count: How many classes there are.

    Raises:
        ValueError: They are something else.
    """
    pixels, labels = np.asarray(images), np.asarray(classes)
    if pixels.dtype != np.uint8 or labels.dtype.kind not in "iu":
        raise ValueError(f"images are {pixels.dtype} and classes {labels.dtype}, not uint8 and integers")
    if pixels.shape[1:] != shape:
        raise ValueError(f"images are {pixels.shape}, not (N, {', '.join(map(str, shape))})")
    if labels.shape != pixels.shape[:1] or not 0 <= labels.min() <= labels.max() < count:
        raise ValueError(f"there are {len(pixels)} images and {labels.size} classes, or classes beyond {count - 1}")
    return torch.from_numpy(np.require(pixels, requirements=["C", "W"])), torch.from_numpy(labels.astype(np.int64))


def channel_moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel of ``(N, channels, ...)``, uint8, where 255 counts as 1.

    They are made of how often each value occurs, which needs no copy of the images as floats.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    mean, deviation = [], []
    for channel in range(images.shape[1]):
        counts = torch.zeros(256, dtype=torch.int64)
        for part in torch.split(images[:, channel], 1000):
            counts += part.flatten().bincount(minlength=256)
        share = counts.double() / counts.sum()
        mean.append(float(share @ values))
        deviation.append(float(share @ (values - mean[-1]).square()) ** 0.5 or 1.0)  # a constant channel is all zeros
    return tuple(mean), tuple(deviation)


def training_size(count: int, valid: float) -> int:
    """How many of a training file's samples are trained on, where the share ``valid`` at its end validates."""
    return count - round(valid * count)


def image_splits(
    trained: tuple[Tensor, Tensor],
    tested: tuple[Tensor, Tensor],
    mean: tuple[float, ...],
    deviation: tuple[float, ...],
    *,
    valid: float,
    augment: bool = False,
) -> Splits:
    """The three parts out of the images and classes of a training and of a test file.

    Args:
        trained, tested: Images and classes as :class:`Images` takes them.
        mean, deviation: Of each channel, where 255 counts as 1.
        valid: Share of the training file, at its end, that validates. 0: the test part does, as in DASH's own runs.
        augment: Move and mirror the images of the training part.
    """
    size = training_size(len(trained[0]), valid)
    (images, classes), test = trained, Images(*tested, mean, deviation)
    return Splits(
        train=Images(images[:size], classes[:size], mean, deviation, augment=augment),
        valid=Images(images[size:], classes[size:], mean, deviation) if valid else test,
        test=test,
    )
