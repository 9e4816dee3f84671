# SPDX-License-Identifier: BSD-3-Clause
"""Text files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Puts ``text`` in the place of a file. Who cuts this short leaves the file as it was."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(text, encoding="utf-8", newline="\n")
    os.replace(unfinished, path)
