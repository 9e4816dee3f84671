# SPDX-License-Identifier: BSD-3-Clause
"""Readers of formats raise errors of every kind on damaged files; a reader of the data gives one sentence."""

import csv
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from dash_search.data.damage import reading
from dash_search.errors import DataError


def _npy(path: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    path.write_bytes(content.getvalue().replace(b"(3,)", b"(3, "))
    np.load(path)


def _mat(path: Path) -> None:
    path.write_bytes(b"")
    scipy.io.loadmat(path)


def _table(path: Path) -> None:
    path.write_text("a" * (csv.field_size_limit() + 1))
    with path.open(newline="") as file:
        [*csv.reader(file)]


def _archive(path: Path) -> None:
    with tarfile.open(path, "w:xz") as archive:
        member = tarfile.TarInfo("numbers")
        member.size = 10_000
        archive.addfile(member, io.BytesIO(np.random.default_rng(0).bytes(10_000)))
    content = bytearray(path.read_bytes())
    content[5_000] ^= 255
    path.write_bytes(content)
    with tarfile.open(path) as archive:
        packed = archive.extractfile("numbers")
        assert packed is not None
        packed.read()


@pytest.mark.parametrize("read", [_npy, _mat, _table, _archive])
def test_whatever_a_reader_raises(read: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(DataError) as caught, reading(path, "three numbers"):
        read(path)
    assert str(caught.value).startswith(f"{path} cannot be read: it should hold three numbers (")
    assert "\n" not in str(caught.value)


def test_what_is_a_sentence_already_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="^a package is missing$"), reading(tmp_path, "numbers"):
        raise DataError("a package is missing")
