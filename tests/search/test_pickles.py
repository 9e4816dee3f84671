# SPDX-License-Identifier: BSD-3-Clause
"""What may come out of a pickle that somebody else made."""

import contextlib
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
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "axes": np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
    "big-endian": np.arange(4, dtype=">i2"),
    "single": np.array(3.5),
    "single object": np.array([{"inside": np.ones(2)}, None], dtype=object)[0],
}


def equal(a: object, b: object) -> bool:
    if type(a) is type(b) is np.ndarray:
        return a.dtype == b.dtype and a.shape == b.shape and all(map(equal, a.flat, b.flat))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return type(a) is type(b) and bool(a == b)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_of_every_protocol(protocol: int) -> None:
    packed = pickle.dumps(CONTENT, protocol=protocol)
    read, expected = read_pickle(io.BytesIO(packed)), pickle.loads(packed)
    assert read.keys() == expected.keys() and all(equal(read[key], expected[key]) for key in expected)


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


class Forged:
    """What is pickled as a call, and a state if one is given."""

    def __init__(self, *reduced: object) -> None:
        self.reduced = reduced

    def __reduce__(self) -> tuple[object, ...]:
        return self.reduced


def numbers_as(kind: object, values: object = b"A" * 8, shape: tuple[int, ...] = (1,)) -> Forged:
    return Forged(np.zeros(1).__reduce__()[0], (np.ndarray, (0,), b"b"), (1, shape, kind, False, values))


ADDRESSES = Forged(np.dtype, ("O8", False, True), (3, "|", None, None, None, -1, -1, 0))  # the flags say: no objects
FORGED = {
    "numbers as objects": numbers_as(ADDRESSES),
    "numbers as objects of a record": numbers_as(
        Forged(np.dtype, ("V8", False, True), (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0))
    ),
    "an object that is none": Forged(np.zeros(1).__reduce_ex__(5)[0], (b"A" * 8, ADDRESSES, (1,), "C")),
    "a scalar that is none": Forged(np.float64(0).__reduce__()[0], (ADDRESSES, b"A" * 8)),
    "fewer objects than places": numbers_as(np.dtype("O"), [1], (1000,)),
    "more places than numbers": numbers_as(np.dtype("f8"), b"A" * 8, (1000,)),
    "a negative shape": numbers_as(np.dtype("f8"), b"", (-1,)),
    "a shape beyond memory": numbers_as(np.dtype("f8"), b"", (2**62, 4)),
    "an array around memory": Forged(np.ndarray, ((1,), "O", b"A" * 8)),
    "bytes of an array": Forged(np.zeros(1).__reduce_ex__(5)[0], (np.zeros(8), np.dtype("f8"), (8,), "C")),
    "a type of the process changed": Forged(np.dtype, ("f8", False, False), (3, ">", None, None, None, 3, 3, 63)),
}


@pytest.mark.parametrize("name", FORGED)
def test_numbers_are_never_taken_for_addresses(name: str) -> None:
    """NumPy's own functions trust what a pickle says, and crash."""
    packed = pickle.dumps({"array": FORGED[name]})
    with contextlib.suppress(pickle.UnpicklingError, TypeError, ValueError, OverflowError, MemoryError):
        assert not isinstance(read_pickle(io.BytesIO(packed))["array"], np.ndarray)
    assert np.dtype("f8").byteorder == "=" and np.ones(1).sum() == 1


def test_an_array_is_filled_once() -> None:
    """What was made of it before would look at memory that is gone."""
    array = pickle.dumps(np.arange(3), protocol=2)
    again = array[:-1] + array[array.index(b"(K\x01K\x03") : -1] + b"."  # the state a second time
    assert array[-2:] == b"b." and pickle.loads(again).tolist() == [0, 1, 2]
    with pytest.raises(pickle.UnpicklingError, match="has other values"):
        read_pickle(io.BytesIO(again))


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
