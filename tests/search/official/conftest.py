# SPDX-License-Identifier: BSD-3-Clause
"""An empty data folder for tiny files in the benchmark's own formats, and a run on them from data to test."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from dash_search import Result
from dash_search.data.folder import DATA_VARIABLE
from dash_search.run import run_task
from dash_search.tasks import TASKS

# One batch of each stage, and two candidates a layer.
TINY = {
    "search_epochs": 1,
    "search_fraction": 0.01,
    "epochs": 1,
    "tune": "none",
    "tune_epochs": 1,
    "plain": False,
    "kernel_sizes": (3,),
    "dilations": (1, 3),
    "width": 1,
    "batch_size": 4,
    "eval_batch_size": 4,
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder, with nothing in it."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv(DATA_VARIABLE, str(folder))
    return folder


@pytest.fixture
def run_tiny(tmp_path: Path) -> Callable[..., Result]:
    """Runs a task on whatever lies in the data folder, with changes to the smallest budget there is."""

    def run(name: str, protocol: str = "clean", **changes: object) -> Result:
        task = TASKS[name].under(protocol)
        config = task.defaults.model_copy(update={**TINY, **changes})
        folder = tmp_path / f"run-{protocol}"
        return run_task(task, config, folder, resume=False, console=Console(quiet=True))

    return run
