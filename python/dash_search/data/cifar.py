# SPDX-License-Identifier: BSD-3-Clause
"""The archives of CIFAR-10 and CIFAR-100, python version: pickles of rows of bytes, a row per image."""

import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .images import image_tensors
from .official import OfficialFile, read_to_end
from .pickles import read_pickle


def read_cifar(
    file: OfficialFile, path: Path, members: Sequence[str], labels: str, classes: int
) -> tuple[Tensor, Tensor]:
    """The images and classes of some members of an archive, one after another.

    Args:
        file: What the archive is.
        path: Where it lies.
        members: Names of pickles inside it.
        labels: The key of the classes in each.
        classes: How many there are.

    Returns:
        Images ``(N, 3, 32, 32)``, uint8, and classes ``(N,)``, int64.

    Raises:
        DataError: The file is no such archive.
    """
    parts = []
    with file.reading(path), tarfile.open(path) as archive:
        for name in members:
            packed = archive.extractfile(name)
            if packed is None:
                raise ValueError(f"{name} is no file")
            content = read_pickle(packed, encoding="bytes")  # Python 2 wrote it
            rows = np.asarray(content[b"data"]).reshape(-1, 3, 32, 32)
            parts.append(image_tensors(rows, content[labels.encode()], (3, 32, 32), classes))
        read_to_end(archive.fileobj)
    images, numbers = zip(*parts, strict=True)
    return torch.cat(images), torch.cat(numbers)
