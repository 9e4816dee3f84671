# SPDX-License-Identifier: BSD-3-Clause
"""Arrays mapped out of archives."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from dash_search.data.npz import map_member

ARRAYS = {
    "bytes": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "columns": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "single": np.array(7),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_out_as_they_went_in(tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "stored.npz", **ARRAYS)
    np.savez_compressed(tmp_path / "compressed.npz", **ARRAYS)
    for file, mapped in (("stored", True), ("compressed", False)):
        array = map_member(tmp_path / f"{file}.npz", name)
        assert array.dtype == ARRAYS[name].dtype and np.array_equal(array, ARRAYS[name])
        assert isinstance(array, np.memmap) is mapped


def test_a_member_behind_others_and_behind_an_extra_field(tmp_path: Path) -> None:
    """NumPy writes a field for large files into the header of every member; other writers do not."""
    np.save(tmp_path / "x.npy", ARRAYS["bytes"])
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("first.txt", "something else")
        archive.write(tmp_path / "x.npy", "x.npy")
    assert np.array_equal(map_member(tmp_path / "other.npz", "x"), ARRAYS["bytes"])


def test_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    np.savez(path, **ARRAYS)
    with pytest.raises(KeyError, match="other"):
        map_member(path, "other")
    whole = path.read_bytes()
    start = whole.index(b"PK\x03\x04", 1)  # the header of the second member
    path.write_bytes(whole[:start] + b"XX" + whole[start + 2 :])
    with pytest.raises(ValueError, match="columns.npy does not lie where the archive says"):
        map_member(path, "columns")
    path.write_bytes(whole[:-30])
    with pytest.raises(zipfile.BadZipFile):
        map_member(path, "bytes")
    for save in (np.savez, np.savez_compressed):
        save(path, objects=np.array([{}], dtype=object))
        with pytest.raises(ValueError, match="array of objects|Object arrays cannot be loaded"):
            map_member(path, "objects")
