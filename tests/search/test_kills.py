# SPDX-License-Identifier: BSD-3-Clause
"""A run that is killed again and again ends as one that was left alone."""

import itertools
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from .kills import EPOCHS, epoch_killed, exit_status, left_alone, write_killed

FILES = (
    "environment.json",
    "identity.json",
    "config.json",
    "engines.json",
    "search-supernet.pt",
    "architecture.json",
    "log.jsonl",
    "tune-searched.pt",
    "tune-plain.pt",
    "hyperparameters.json",
    "retrain-searched.pt",
    "searched.pt",
    "retrain-plain.pt",
    "plain.pt",
    "result.json",
)
BETWEEN = ("config.json", "architecture.json", "tune-plain.pt", "retrain-searched.pt", "searched.pt", "result.json")
JSON = ("architecture", "engines", "config", "hyperparameters")
PLACES = ("between two batches", "inside of a line of the log", "before the checkpoint", "after the checkpoint")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was left alone."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert exit_status(left_alone, folder) == 0
    return folder


def outcome(folder: Path) -> dict[str, Any]:
    """All that a run leaves but times."""
    result = json.loads((folder / "result.json").read_text())
    result.pop("seconds")
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    for record in records:
        record.pop("seconds")
    return {
        "result": result,
        "log": records,
        **{name: json.loads((folder / f"{name}.json").read_text()) for name in JSON},
        **{name: torch.load(folder / f"{name}.pt", weights_only=True) for name in ("searched", "plain")},
    }


def assert_same(folder: Path, whole: Path) -> None:
    got, expected = outcome(folder), outcome(whole)
    for name, weights in ((name, expected.pop(name)) for name in ("searched", "plain")):
        killed = got.pop(name)
        assert killed.keys() == weights.keys() and all(torch.equal(killed[key], weights[key]) for key in weights)
    assert got == expected
    assert {path.name for path in folder.rglob("*")} == {path.name for path in whole.rglob("*")}  # nothing unfinished


@pytest.mark.parametrize("first", [0, 2])
def test_killed_in_every_epoch_of_every_stage(first: int, whole: Path, tmp_path: Path) -> None:
    """At another place every time, so that each stage meets all of them in the two runs."""
    places = itertools.cycle(PLACES)
    statuses = []
    for where in itertools.islice(places, first, None):
        statuses.append(exit_status(epoch_killed, tmp_path / "run", where))
        if statuses[-1] != -signal.SIGKILL:
            break
        assert not (tmp_path / "run" / "result.json").exists()
    assert statuses[-1] == 0 and len(statuses) >= EPOCHS
    assert_same(tmp_path / "run", whole)


def test_killed_at_every_file(whole: Path, tmp_path: Path) -> None:
    """In the middle of each, and where one stage is over and the next has not begun."""
    folder = tmp_path / "run"
    assert {path.name for path in whole.rglob("*.*")} - {".lock"} == {*FILES}
    for name in FILES:
        for when in ("inside", "after")[: 1 + (name in BETWEEN)]:
            assert exit_status(write_killed, folder, f"{when} {name}") == -signal.SIGKILL, (when, name)
    assert exit_status(left_alone, folder) == 0
    assert_same(folder, whole)
