# SPDX-License-Identifier: BSD-3-Clause
"""Parts of Markdown files that commands write: what lies between ``<!-- name -->`` and ``<!-- end of name -->``."""

from __future__ import annotations

import sys
from pathlib import Path

from . import files

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
GPU = ROOT / "docs" / "gpu.md"
CUDA = ROOT / "docs" / "cuda.md"
SEARCH = ROOT / "docs" / "search.md"


def section(path: Path, name: str) -> str:
    """What stands there.

    Raises:
        SystemExit: The file has no such part, or several.
    """
    return _parts(path, name)[1]


def replace(path: Path, name: str, text: str) -> None:
    """Puts ``text`` there, which ends its last line; raises as :func:`section` does."""
    before, _, behind = _parts(path, name)
    files.write(path, before + text + behind)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _parts(path: Path, name: str) -> tuple[str, str, str]:
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    text = path.read_text(encoding="utf-8")
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
        sys.exit(f"{path} must have {begin.strip()} on a line of its own, and {end.strip()} on a later one, both once.")
    before, rest = text.split(begin)
    middle, behind = rest.split(end)
    return before + begin, middle, end + behind
