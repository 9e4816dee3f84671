# SPDX-License-Identifier: BSD-3-Clause
"""What may come out of a pickle that somebody else made."""

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from dash_search.data.pickles import read_object_array, read_pickle

CONTENT = {
    "numbers": [1, 2.5, None, True, (3, "text", b"bytes"), {4}],
    "floats": np.arange(6, dtype=np.float32).reshape(2, 3),
    "bytes": np.arange(5, dtype=np.uint8),
    "words": np.array(["N", "A", "~"]),
    "objects": np.array([np.zeros(3), np.ones(5), None], dtype=object),
    "scalar": np.float64(0.5),
}


def equal(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and all(map(equal, a.flat, b.flat))
    return type(a) is type(b) and bool(a == b)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_of_every_protocol(protocol: int) -> None:
    read = read_pickle(io.BytesIO(pickle.dumps(CONTENT, protocol=protocol)))
    assert read.keys() == CONTENT.keys() and all(equal(read[key], CONTENT[key]) for key in CONTENT)


def test_names_of_older_numpy() -> None:
    packed = pickle.dumps(CONTENT["floats"], protocol=2).replace(b"numpy._core", b"numpy.core")
    assert equal(read_pickle(io.BytesIO(packed)), CONTENT["floats"])


class Harmful:
    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        function, *arguments = self.call
        return function, tuple(arguments)


@pytest.mark.parametrize(
    "call",
    [(os.system, "touch harm"), (eval, "open('harm', 'w')"), (getattr, "a", "upper"), (np.load, "x"), (Path, "x")],
)
def test_nothing_else_runs(call: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for value in (Harmful(*call), np.array([Harmful(*call)], dtype=object)):
        with pytest.raises(pickle.UnpicklingError, match="it asks for .*; only NumPy arrays and plain containers"):
            read_pickle(io.BytesIO(pickle.dumps(value)))
    assert not list(tmp_path.iterdir())


def test_object_arrays_in_numpys_format(tmp_path: Path) -> None:
    for name in ("objects", "floats"):
        np.save(tmp_path / "array.npy", CONTENT[name], allow_pickle=True)
        assert equal(read_object_array(tmp_path / "array.npy"), CONTENT[name])
    zero_d = np.array({"data": np.ones(3)}, dtype=object)
    np.save(tmp_path / "array.npy", zero_d, allow_pickle=True)
    assert equal(read_object_array(tmp_path / "array.npy")[()]["data"], np.ones(3))
    np.save(tmp_path / "array.npy", np.array([Harmful(os.system, "true")]), allow_pickle=True)
    with pytest.raises(pickle.UnpicklingError, match="posix.system"):
        read_object_array(tmp_path / "array.npy")
    (tmp_path / "array.npy").write_bytes(b"something else")
    with pytest.raises(ValueError, match="magic"):
        read_object_array(tmp_path / "array.npy")
