# SPDX-License-Identifier: BSD-3-Clause
"""One sentence in place of whatever a damaged file makes its reader raise."""

import contextlib
import textwrap
from collections.abc import Iterator
from pathlib import Path

from ..errors import DashSearchError, DataError


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
    except DashSearchError:
        raise
    except Exception as error:  # readers of formats have no common error: TokenError, MatReadError, csv.Error, ...
        said = textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" ...")  # some quote the file
        raise DataError(f"{path} cannot be read: it should hold {holds} ({said}).") from error
