# SPDX-License-Identifier: BSD-3-Clause
"""Archives as those of CIFAR-10 and CIFAR-100, with whatever is to be in them."""

import io
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def images(count: int, seed: int) -> np.ndarray:
    """Rows of noise, as the archives hold images: all of red, of green, of blue."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)


def write_archive(path: Path, members: Mapping[str, object]) -> None:
    """Pickles by name in a compressed archive, in protocol 2 as Python 2 wrote them: give keys as bytes."""
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            packed = pickle.dumps(content, protocol=2)
            header = tarfile.TarInfo(name)
            header.size = len(packed)
            archive.addfile(header, io.BytesIO(packed))
