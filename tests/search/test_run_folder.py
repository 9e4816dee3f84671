# SPDX-License-Identifier: BSD-3-Clause
"""A run's folder: one run at a time, the same run on resume, and a sentence about every kind of damage."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Subset

from dash_search import ACCURACY, Metric, RunFolderError
from dash_search.run_folder import RunFolder

from .conftest import Problem
from .test_search import TINY, Interrupted, interrupting_metric, run

SHORT = TINY.model_copy(update={"search_epochs": 1, "epochs": 1})


def test_one_run_at_a_time(problem: Problem, tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", SHORT, {}, resume=False):
        for resume in (False, True):
            with pytest.raises(RunFolderError, match="a run is going on in"):
                run(problem, tmp_path / "run", SHORT, resume=resume)
    with pytest.raises(RunFolderError, match="not empty"):
        run(problem, tmp_path / "run", SHORT)


def test_unusable_path_and_name_as_text(problem: Problem, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="cannot be used as a run folder"):
        run(problem, tmp_path / "file" / "run", SHORT)
    with pytest.raises(RunFolderError, match="not empty"):
        run(problem, tmp_path, SHORT)
    for name in ("null\0", "x" * 300):
        for resume in (False, True):
            with pytest.raises(RunFolderError, match="cannot be used as a run folder|no run to resume"):
                run(problem, tmp_path / name, SHORT, resume=resume)
    assert run(problem, str(tmp_path / "run"), SHORT).run_dir == tmp_path / "run"  # type: ignore[arg-type]


def test_what_a_start_that_was_cut_off_leaves_is_no_run(problem: Problem, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    for name in ("environment.json", "identity.json", "log.jsonl", "config.tmp", ".lock"):
        (folder / name).touch()
    with pytest.raises(RunFolderError, match="no run to resume"):
        run(problem, folder, SHORT, resume=True)
    assert run(problem, folder, SHORT).scores


def test_other_metric_or_data_are_not_resumed(problem: Problem, tmp_path: Path) -> None:
    run(problem, tmp_path / "run", SHORT)
    other = Metric("other", ACCURACY.compute, higher_is_better=False)
    with pytest.raises(
        RunFolderError, match="higher_is_better was True, now False, metric was 'accuracy %', now 'other'"
    ):
        run(problem, tmp_path / "run", SHORT, metric=other, resume=True)
    fewer = DataLoader(Subset(problem.train.dataset, range(40)), 8, shuffle=True)
    with pytest.raises(RunFolderError, match="samples of train was 48, now 40"):
        run(Problem(problem.model, fewer, problem.valid, problem.test), tmp_path / "run", SHORT, resume=True)


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was stopped while its plain network was trained."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    with pytest.raises(Interrupted):
        run(Problem.small(), folder, SHORT, metric=interrupting_metric(2))
    return folder


CHECKPOINT, LOG = "checkpoints/search-supernet.pt", "log.jsonl"


def saved(value: object) -> Callable[[Path], None]:
    return lambda path: torch.save(value, path)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "checkpoint cut short": (CHECKPOINT, shortened),
    "checkpoint empty": (CHECKPOINT, lambda path: path.write_bytes(b"")),
    "checkpoint a list": (CHECKPOINT, saved([1])),
    "checkpoint without epoch": (CHECKPOINT, saved({"parts": {}})),
    "checkpoint without parts": (CHECKPOINT, saved({"epoch": 1})),
    "checkpoint of no epoch": (CHECKPOINT, saved({"epoch": 7, "parts": {}})),
    "checkpoint a folder": (CHECKPOINT, as_folder),
    "no checkpoints": ("checkpoints", shutil.rmtree),
    "log no JSON": (LOG, lambda path: path.write_text("{\n" + path.read_text())),
    "log no UTF-8": (LOG, lambda path: path.write_bytes(b"\xff\n" + path.read_bytes())),
    "log without stage": (LOG, lambda path: path.write_text('{"epoch": 1}\n' + path.read_text())),
    "log without seconds": (LOG, lambda path: path.write_text(path.read_text().replace('"seconds"', '"minutes"'))),
    "log of epoch one": (LOG, lambda path: path.write_text(path.read_text().replace('"epoch": 1', '"epoch": "one"'))),
    "log of numbers": (LOG, lambda path: path.write_text("3\n")),
    "log empty": (LOG, lambda path: path.write_text("")),
    "log missing": (LOG, Path.unlink),
    "config a list": ("config.json", lambda path: path.write_text("[]")),
    "identity missing": ("identity.json", Path.unlink),
    "environment no JSON": ("environment.json", lambda path: path.write_text("{")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_in_a_sentence(cut_off: Path, problem: Problem, tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(cut_off, tmp_path / "run")
    name, harm = DAMAGE[damage]
    harm(folder / name)
    with pytest.raises(RunFolderError, match=f"{folder}"):
        run(problem, folder, SHORT, resume=True)


def test_search_that_is_done_again_leaves_nothing_of_the_old_one(
    cut_off: Path, problem: Problem, tmp_path: Path
) -> None:
    folder = shutil.copytree(cut_off, tmp_path / "run")
    assert (folder / "checkpoints" / "retrain-searched.pt").exists()
    (folder / CHECKPOINT).unlink()
    with pytest.raises(Interrupted):
        run(problem, folder, SHORT, metric=interrupting_metric(0), resume=True)
    assert not list((folder / "checkpoints").iterdir()) and not (folder / LOG).read_text()
    history = run(problem, folder, SHORT, resume=True).history
    assert [(r["stage"], r["network"]) for r in history] == [
        *(
            ("search", "supernet"),
            ("retrain", "searched"),
            ("retrain", "plain"),
            ("test", "searched"),
            ("test", "plain"),
        )
    ]


def test_nothing_but_numbers_is_written(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", SHORT, {}, resume=False) as folder:
        with pytest.raises(ValueError, match="not JSON compliant"):
            folder.write_json("result.json", {"score": float("nan")})
    assert json.loads((tmp_path / "run" / "identity.json").read_text()) == {}
