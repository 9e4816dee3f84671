# SPDX-License-Identifier: BSD-3-Clause
"""Reading pickles that others made without running what they may ask for: arrays and plain containers only."""

import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy


def _latin1(text: str, encoding: str) -> bytes:
    """How Python 2's bytes are written for Python 3."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text is encoded as {encoding!r}, where arrays have latin1")
    return text.encode("latin1")


# What NumPy's own pickles name, whichever version wrote them. None of it runs code, whatever it is given.
_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{(builtins, "set"): set for builtins in ("builtins", "__builtin__")},
    ("_codecs", "encode"): _latin1,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): np.zeros(1).__reduce__()[0] for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): np.float64(0).__reduce__()[0] for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): np.zeros(1).__reduce_ex__(5)[0] for core in ("core", "_core")},
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
    return _ArraysOnly(file, encoding=encoding).load()


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
