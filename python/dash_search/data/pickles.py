# SPDX-License-Identifier: BSD-3-Clause
"""Reading pickles that others made without running what they may ask for: arrays and plain containers only."""

import math
import pickle
from pathlib import Path
from typing import IO, Any, SupportsIndex

import numpy as np
from numpy.lib import format as npy


def _latin1(text: str, encoding: str) -> bytes:
    """How Python 2's bytes are written for Python 3."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text is encoded as {encoding!r}, where arrays have latin1")
    return text.encode("latin1")


class _Type:
    """A dtype by its name and byte order alone.

    The rest of what NumPy pickles of a dtype could pass plain numbers off as objects, and NumPy would take them for
    addresses.
    """

    def __init__(self, name: str | bytes, align: object = False, copy: object = True) -> None:
        self._name = name
        self._order: Any = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order: Any = state[1]
        self._order = order.decode() if isinstance(order, bytes) else order

    def dtype(self) -> np.dtype[Any]:
        named = np.dtype(self._name.decode() if isinstance(self._name, bytes) else self._name)
        if named.kind not in "biufcSUO" or named.subdtype is not None:
            raise pickle.UnpicklingError(f"an array is of {named}; only numbers, text and objects are read")
        return named.newbyteorder(self._order)


class _Array(np.ndarray):
    """An array that is filled once, with as many objects as it has places."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        *version, shape, kind, by_columns, values = state
        dtype = kind.dtype()
        if self.size or (dtype.hasobject and (type(values) is not list or len(values) != math.prod(shape))):
            raise pickle.UnpicklingError(f"an array of {dtype} {shape} has other values than its type and shape say")
        super().__setstate__((*version, shape, dtype, by_columns, values))


def _empty(kind: object, shape: object, code: object) -> np.ndarray:
    return _Array(0)


def _scalar(kind: _Type, value: bytes | str) -> Any:
    return _from_bytes(value.encode("latin1") if isinstance(value, str) else value, kind, (), "C")[()]


def _from_bytes(
    values: bytes, kind: _Type, shape: tuple[SupportsIndex, ...], order: Any, axes: tuple[int, ...] = ()
) -> Any:
    if not isinstance(values, bytes | bytearray):
        raise pickle.UnpicklingError(f"an array is made of a {type(values).__name__}, not of bytes")
    array = np.frombuffer(values, kind.dtype())
    return array.reshape(shape).transpose(axes) if order == "K" else array.reshape(shape, order=order)


# What NumPy's own pickles name, whichever version wrote them. None of it runs code or reads memory that is not its own,
# whatever it is given.
_ALLOWED = {
    ("numpy", "ndarray"): None,  # named by every array, and not called
    ("numpy", "dtype"): _Type,
    **{(builtins, "set"): set for builtins in ("builtins", "__builtin__")},
    ("_codecs", "encode"): _latin1,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _empty for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_bytes for core in ("core", "_core")},
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}; only NumPy arrays and plain containers are read"
            ) from None


def read_pickle(file: IO[bytes], *, encoding: str = "ASCII") -> Any:
    """Reads one pickle of NumPy arrays, numbers, strings, lists, tuples and dictionaries.

    Args:
        file: An open binary file, at the beginning of the pickle.
        encoding: Of strings that Python 2 wrote: "bytes" leaves them as bytes, "latin1" suits its arrays.

    Raises:
        pickle.UnpicklingError: It is damaged, or asks for anything else; nothing of what it asks for was run.
        EOFError, ValueError, TypeError, ...: Whatever pickle raises for damaged data.
    """
    return _plain(_ArraysOnly(file, encoding=encoding).load())


def _plain(value: Any) -> Any:
    """The value with ordinary arrays in it."""
    if isinstance(value, _Array):
        array = value.view(np.ndarray)
        if array.dtype.hasobject:
            places = array.reshape(-1, order="A")  # a view, in whatever order they lie
            for i, one in enumerate(places):
                places[i] = _plain(one)
        return array
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return type(value)(map(_plain, value)) if isinstance(value, list | tuple) else value


def read_object_array(path: Path) -> np.ndarray:
    """Reads a ``.npy`` file that holds an array of objects, as :func:`numpy.load` does only with ``allow_pickle``.

    Returns:
        The array; a file of numbers is read as well.

    Raises:
        ValueError: It is no such file.
        pickle.UnpicklingError: As :func:`read_pickle`.
    """
    with path.open("rb") as file:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"it is in version {version} of NumPy's format, 1.0 and 2.0 are read")
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(file)
        if not dtype.hasobject:
            plain: np.ndarray = np.load(path, allow_pickle=False)
            return plain
        array: np.ndarray = read_pickle(file, encoding="latin1")
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise ValueError(f"its header promises an array of shape {shape}")
    return array
