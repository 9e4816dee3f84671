# SPDX-License-Identifier: BSD-3-Clause
"""One sentence in place of whatever a damaged file makes its reader raise."""

import contextlib
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError

# What the readers of the formats raise where a file is not what it should be.
_DAMAGE = (
    *(AttributeError, EOFError, IndexError, KeyError, NotImplementedError, OSError, RuntimeError, TypeError),
    *(ValueError, pickle.UnpicklingError, tarfile.TarError, zipfile.BadZipFile, zlib.error),
)


@contextlib.contextmanager
def reading(path: Path, holds: str) -> Iterator[None]:
    """Whatever goes wrong inside says which file it was and what it should hold.

    Args:
        path: The file that is read.
        holds: What it should hold, in words that go on after "it should hold".

    Raises:
        DataError: In place of any error that a damaged file or another format gives.
    """
    try:
        yield
    except _DAMAGE as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(f"{path} cannot be read: it should hold {holds} ({said}).") from error
