# SPDX-License-Identifier: BSD-3-Clause
"""Parts of Markdown files that commands write: what lies between ``<!-- name -->`` and ``<!-- end of name -->``."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
README, DOCS = ROOT / "README.md", ROOT / "docs"
GPU, CUDA, SEARCH = (DOCS / f"{name}.md" for name in ("gpu", "cuda", "search"))


def section(path: Path, name: str) -> str:
    """What stands there."""
    return _parts(path, name)[1]


def replace(path: Path, name: str, text: str) -> None:
    """Puts ``text`` there, which ends its last line."""
    before, _, behind = _parts(path, name)
    path.write_text(before + text + behind)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _parts(path: Path, name: str) -> tuple[str, str, str]:
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, rest = path.read_text().split(begin)
    middle, behind = rest.split(end)
    return before + begin, middle, end + behind
