# SPDX-License-Identifier: BSD-3-Clause
"""Optional packages that are missing: whoever needs one is told what to install, and nobody else notices."""

import dataclasses
import importlib
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from dash_search import DataError
from dash_search.data.extras import need
from dash_search.data.flow_sets import GeneratedFlows, Grids
from dash_search.data.folder import DATA_VARIABLE
from dash_search.tasks import TASKS

from .damage.tiny import TINY

NEEDS = {
    "darcy": {"h5py", "scipy"},
    "darcy, version 7.3": {"h5py"},
    "music-jsb": {"scipy"},
    "music-nottingham": {"scipy"},
    "ecg": {"sklearn"},
    "deepsea": {"sklearn"},
    "deepsea, compressed": {"sklearn"},
    "fsd50k": {"librosa", "soundfile", "torchmetrics"},
    "cosmic": {"torchmetrics"},
}
PACKAGES = ("h5py", "librosa", "scipy", "sklearn", "soundfile", "threadpoolctl", "torchmetrics")
SENTENCE = (
    r"this task needs the package {}, which cannot be imported \(.*\): run pip install 'dash_kernels\[tasks\]'\.$"
)


def block(package: str, patch: pytest.MonkeyPatch) -> None:
    """Makes a package and all of it that was imported before as good as not installed."""
    for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        patch.setitem(sys.modules, name, None)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))


def test_the_extra_has_every_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    named = {re.split("[>=\\[]", line)[0] for line in project["optional-dependencies"]["tasks"]}
    assert {*PACKAGES} - {"sklearn"} | {"scikit-learn"} == named - {"dash_kernels"}


@pytest.mark.parametrize("name", TINY)
def test_each_task_needs_its_packages_and_no_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = TINY[name] if name != "fsd50k" else dataclasses.replace(TINY[name], smaller=())  # with its spectrograms
    needs = NEEDS.get(name, set())
    task = TASKS[tiny.task]
    with tiny.written():
        splits = task.load([tiny.folder()] if tiny.folder else [file.path() for file in task.files])  # type: ignore
        inputs, targets = (torch.stack(some) for some in zip(*(splits.test[i] for i in range(2)), strict=True))
        with torch.no_grad():
            outputs = task.backbone(task.defaults.backbone).build(1, splits).eval()(inputs)

        def use() -> None:
            tiny.read("clean")
            for metric in (task.metric, *task.metric.beside):
                metric.score(outputs, targets)

        use()
        for package in PACKAGES:
            if package == "scipy" and needs & {"librosa", "sklearn"}:
                continue  # which need it themselves, and are not installed without
            with monkeypatch.context() as patch:
                block(package, patch)
                if package not in needs:
                    use()
                    continue
                with pytest.raises(DataError, match=SENTENCE.format(package)) as caught:
                    use()
                assert "\n" not in str(caught.value)


@pytest.mark.parametrize("package", ["scipy", "threadpoolctl"])
def test_flows_are_not_generated_without(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flows = GeneratedFlows("small", Grids(drawn=22, solved=22, kept=8), {"train": range(2)})
    with monkeypatch.context() as patch:
        block(package, patch)
        with pytest.raises(DataError, match=SENTENCE.format(package)):
            flows.fetch(lambda _: None)
    assert len(flows.read(flows.fetch(lambda _: None), "train")[0]) == 2


def test_a_package_that_lacks_a_library_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(module: str) -> Any:
        raise OSError("sndfile library not found using\nctypes.util.find_library")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(DataError, match=r"soundfile, which .* \(sndfile library not found using ctypes\S+\): run pip"):
        need("soundfile")
