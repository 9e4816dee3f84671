# SPDX-License-Identifier: BSD-3-Clause
"""Files in the format IDX of the MNIST database: a short header, then bytes."""

import gzip
from pathlib import Path

import numpy as np

from .official import OfficialFile

_UNSIGNED_BYTES = b"\0\0\x08"


def read_idx(file: OfficialFile, path: Path, item: tuple[int, ...]) -> np.ndarray:
    """Reads a gzipped IDX file of unsigned bytes.

    Its header is big-endian: two zero bytes, the type of the values, the number of axes, four bytes for the length of
    each.

    Args:
        file: What the file is.
        path: Where it lies.
        item: The shape of one item.

    Returns:
        The items, ``(N, *item)``, uint8.

    Raises:
        DataError: It is no such file, or longer or shorter than its header says.
    """
    with file.reading(path), gzip.open(path) as content:
        magic = content.read(4)
        if magic[:3] != _UNSIGNED_BYTES:
            raise ValueError("it does not begin as an IDX file of unsigned bytes")
        shape = tuple(np.frombuffer(content.read(4 * magic[3]), dtype=">u4").tolist())
        if shape[1:] != item:
            raise ValueError(f"its header says {shape}")
        array = np.frombuffer(content.read(), dtype=np.uint8).reshape(shape)
    return array
