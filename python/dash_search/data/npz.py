# SPDX-License-Identifier: BSD-3-Clause
"""Arrays of large ``.npz`` files, mapped into memory in place of being read whole."""

import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy


def map_member(path: Path, name: str) -> np.ndarray:
    """An array of a ``.npz`` file, read-only.

    Where the file holds it uncompressed, as :func:`numpy.savez` writes it, only what is looked at is read, and the
    checksum of the member is not verified; a compressed one is inflated whole.

    Raises:
        KeyError: The file has no such array.
        ValueError: It is an array of objects, or the file is damaged.
        zipfile.BadZipFile: It is no archive.
    """
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{name}.npy")
    if member.compress_type != zipfile.ZIP_STORED:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            inflated: np.ndarray = arrays[name]
        return inflated
    with path.open("rb") as file:
        file.seek(member.header_offset)
        header = file.read(30)  # of the member; it ends with the lengths of its name and of an extra field behind it
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise ValueError(f"{member.filename} does not lie where the archive says")
        file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{member.filename} is in version {version} of NumPy's format, 1.0 and 2.0 are read")
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, columns_first, dtype = read_header(file)
        if dtype.hasobject:
            raise ValueError(f"{member.filename} is an array of objects")
        return np.memmap(file, dtype, "r", file.tell(), shape, "F" if columns_first else "C")
