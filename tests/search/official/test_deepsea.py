# SPDX-License-Identifier: BSD-3-Clause
"""DNA and its features out of one archive of arrays."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dash_search import DataError, Result
from dash_search.tasks import TASKS
from dash_search.tasks.deepsea import FILE
from dash_search.tasks.task import TEST_VALIDATES

SIZES = {"train": 3, "val": 2, "test": 2}


def arrays() -> dict[str, np.ndarray]:
    noise = np.random.default_rng(0)
    content = {}
    for name, size in SIZES.items():
        content[f"x_{name}"] = np.eye(4, dtype=np.uint8)[noise.integers(0, 4, (size, 1000))]
        content[f"y_{name}"] = noise.integers(0, 2, (size, 36)).astype(np.uint8)
    return content


def write(save: Callable[..., None] = np.savez, **changes: np.ndarray) -> None:
    FILE.path().parent.mkdir(exist_ok=True)
    save(FILE.path(), **{**arrays(), **changes})


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_parts_are_those_of_the_file_and_stay_bytes(data: Path, save: Callable[..., None]) -> None:
    write(save)
    splits: Any = TASKS["deepsea"].load([FILE.path()])
    for name, part in zip(SIZES, (splits.train, splits.valid, splits.test), strict=True):
        assert part.samples.dtype == np.uint8 and isinstance(part.samples, np.memmap) is (save is np.savez)
        got = list(part)
        assert len(got) == len(part) == SIZES[name]
        for i, (dna, features) in enumerate(got):
            assert dna.dtype == features.dtype == torch.float32
            np.testing.assert_array_equal(dna.numpy(), arrays()[f"x_{name}"][i].T)
            np.testing.assert_array_equal(features.numpy(), arrays()[f"y_{name}"][i])


def test_a_run_from_the_archive_to_the_test(data: Path, run_tiny: Callable[..., Result]) -> None:
    write()
    result = run_tiny("deepsea", batch_size=3)
    assert len(result.architecture) == 9 and set(result.scores["searched"]) == {"valid", "test"}
    assert json.loads((result.run_dir / "result.json").read_text())["metric"] == "1-AUROC"


def test_every_network_takes_what_the_file_gives(data: Path) -> None:
    write()
    task = TASKS["deepsea"]
    splits = task.load([FILE.path()])
    inputs = torch.stack([splits.test[0][0]] * 2)
    for backbone in task.backbones.values():
        with torch.no_grad():
            assert backbone.build(1, splits)(inputs).shape == (2, 36)


def test_the_paper_weighs_positives_and_validates_on_the_test_part(data: Path) -> None:
    write()
    clean, task = TASKS["deepsea"], TASKS["deepsea"].under("paper")
    splits: Any = task.load([FILE.path()])
    assert len(splits.train) == 5 and splits.valid is splits.test
    assert torch.equal(splits.train[4][0], torch.from_numpy(arrays()["x_val"][1].T).float())
    logits, targets = torch.randn(3, 36), torch.from_numpy(arrays()["y_train"]).float()
    positive, negative = targets * -torch.log(logits.sigmoid()), (1 - targets) * -torch.log(1 - logits.sigmoid())
    torch.testing.assert_close(clean.loss(logits, targets), (positive + negative).mean())
    torch.testing.assert_close(task.loss(logits, targets), (4 * positive + negative).mean())
    assert task.leaks == TEST_VALIDATES


def test_missing_and_damaged_files(data: Path) -> None:
    task = TASKS["deepsea"]
    with pytest.raises(DataError, match=r"deepsea_filtered.npz is missing: it should hold the arrays x_train"):
        task.fetch()
    write()
    whole = FILE.path().read_bytes()
    FILE.path().write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="deepsea_filtered.npz cannot be read: it should hold"):
        task.load(task.fetch())
    np.savez(FILE.path(), x_train=arrays()["x_train"], y_train=arrays()["y_train"])
    with pytest.raises(DataError, match="x_val"):
        task.load(task.fetch())
    for changes, message in (
        ({"x_val": arrays()["x_val"].transpose(0, 2, 1)}, r"x_val is \(2, 4, 1000\)"),
        ({"y_test": arrays()["y_test"][:1]}, r"x_test is \(2, 1000, 4\), y_test \(1, 36\)"),
        ({"y_test": arrays()["y_test"] + 1}, "y_test has other values than 0 and 1"),
        ({"x_test": arrays()["x_test"].astype("U1")}, "x_test is of <U1"),
        ({"x_val": arrays()["x_val"][:0], "y_val": arrays()["y_val"][:0]}, "0 samples"),
    ):
        write(**changes)
        with pytest.raises(DataError, match=message):
            task.load(task.fetch())
