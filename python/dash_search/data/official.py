# SPDX-License-Identifier: BSD-3-Clause
"""Files of a benchmark as its authors publish them: too large for a wheel, so the user puts them in place."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..errors import DataError
from .damage import reading
from .folder import DATA_VARIABLE, data_dir


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_to_end(file: _Readable | None) -> None:
    """Reads the rest of an archive that was opened, if any: the checksum of what was read lies behind it.

    Raises:
        OSError, EOFError, ...: What was read is not what was written.
    """
    while file and file.read(1 << 20):
        pass


@dataclass(frozen=True)
class OfficialFile:
    """A file, or a folder of files, of a task.

    Attributes:
        name: Its place in the data folder: the task's folder, ``/``, the name that its authors gave it.
        holds: What it holds, in words that go on after "it should hold".
        origin: Who publishes it.
        licence: Terms of the data.
    """

    name: str
    holds: str
    origin: str
    licence: str

    def path(self) -> Path:
        """Where it has to lie."""
        return data_dir() / self.name

    def is_there(self) -> bool:
        """Whether there is such a file.

        Raises:
            DataError: The data folder cannot be looked into.
        """
        try:
            return self.path().exists()
        except OSError as error:
            raise DataError(
                f"cannot look for data in {data_dir()}: {error}. Use another folder: set {DATA_VARIABLE}."
            ) from error

    def fetch(self, say: Callable[[str], object] = print) -> Path:
        """Returns the path of the file. Nothing is downloaded, so ``say`` is not called.

        Raises:
            DataError: There is no such file, or the data folder cannot be looked into.
        """
        path = self.path()
        if not self.is_there():
            raise DataError(
                f"{path} is missing: it should hold {self.holds}. It is published by {self.origin}; put it there, or "
                f"set {DATA_VARIABLE} to the folder with {self.name} in it."
            )
        return path

    @contextlib.contextmanager
    def reading(self, path: Path | None = None) -> Iterator[Path]:
        """Whatever goes wrong inside says which file it was and what it should hold.

        Args:
            path: The file that is read, where this is a folder of files.

        Raises:
            DataError: In place of any error that a damaged file or another format gives.
        """
        shown = path or self.path()
        with reading(shown, self.holds):
            yield shown
