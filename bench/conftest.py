# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from pathlib import Path

import pytest

from .entries import ENTRIES
from .machine import facts
from .report import Row, markdown, write

RESULTS = Path(__file__).parent / "results"
ROWS = pytest.StashKey[list[Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="fewer layers and rounds; results go to quick.* (not kept)")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "entry" in metafunc.fixturenames:
        quick = metafunc.config.getoption("quick")
        entries = [entry for entry in ENTRIES if entry.quick or not quick]
        metafunc.parametrize("entry", entries, ids=lambda entry: entry.name)


@pytest.fixture
def rows(pytestconfig: pytest.Config) -> list[Row]:
    """Where a benchmark leaves its line of the table."""
    return pytestconfig.stash[ROWS]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash[ROWS]
    if not rows:
        return
    quick = config.getoption("quick")
    machine, command = facts(), "make bench BENCH=--quick" if quick else "make bench"
    terminalreporter.write_line(markdown(rows, machine, command))
    whole = quick or len(rows) == len(ENTRIES)
    if whole:  # a selection (-k) is looked at, not kept
        for path in write(RESULTS, "quick" if quick else "layers", rows, machine, command):
            terminalreporter.write_line(f"written: {path.relative_to(config.rootpath)}")
