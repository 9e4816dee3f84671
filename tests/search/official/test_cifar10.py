# SPDX-License-Identifier: BSD-3-Clause
"""CIFAR-10 out of its archive of six pickles."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dash_search import DataError, Result
from dash_search.tasks import TASKS
from dash_search.tasks.cifar10 import DASH_DEVIATION, DEVIATION, FILE, MEAN

from .cifar import images, write_archive

BATCHES = [f"data_batch_{i}" for i in (4, 3, 2, 5, 1)]  # an archive need not have them in order


def write(**changed: object) -> None:
    """The archive with two images a batch and 3 test images; ``changed`` batches hold something else."""
    members: dict[str, object] = {"test_batch": {b"data": images(3, 0), b"labels": [7, 8, 9]}}
    for name in BATCHES:
        i = int(name[-1])
        members[name] = {b"data": images(2, i), b"labels": [i - 1, i + 4], b"batch_label": b"training batch"}
    members |= changed
    write_archive(FILE.path(), {f"cifar-10-batches-py/{name}": content for name, content in members.items()})


def normalised(rows: np.ndarray, deviation: tuple[float, ...]) -> np.ndarray:
    pixels = rows.reshape(-1, 3, 32, 32) / 255
    return (pixels - np.reshape(MEAN, (3, 1, 1))) / np.reshape(deviation, (3, 1, 1))


def test_the_last_batch_validates(data: Path) -> None:
    write()
    splits: Any = TASKS["cifar10"].load([FILE.path()])
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [8, 2, 3]
    assert splits.train.classes.tolist() == [0, 5, 1, 6, 2, 7, 3, 8]  # the batches by number
    assert np.array_equal(splits.train.images.flatten(1).numpy(), np.concatenate([images(2, i) for i in range(1, 5)]))
    for part, rows, classes in ((splits.valid, images(2, 5), [4, 9]), (splits.test, images(3, 0), [7, 8, 9])):
        assert [int(label) for _, label in part] == classes
        for (image, _), expected in zip(part, normalised(rows, DEVIATION), strict=True):
            np.testing.assert_allclose(image.numpy(), expected, atol=1e-5)


def test_the_paper_validates_on_the_test_part_with_its_own_constants(data: Path) -> None:
    write()
    task = TASKS["cifar10"].under("paper")
    splits: Any = task.load([FILE.path()])
    assert len(splits.train) == 10 and splits.valid is splits.test and "test part" in task.leaks
    np.testing.assert_allclose(splits.test[1][0].numpy(), normalised(images(3, 0), DASH_DEVIATION)[1], atol=1e-5)


def test_a_run_from_the_archive_to_the_test(data: Path, run_tiny: Callable[..., Result]) -> None:
    write()
    result = run_tiny("cifar10")
    assert len(result.architecture) == 13 and set(result.scores["searched"]) == {"valid", "test"}


def test_missing_and_damaged_files(data: Path) -> None:
    task = TASKS["cifar10"]
    with pytest.raises(DataError, match=r"cifar-10-python.tar.gz is missing: it should hold .*data_batch_1"):
        task.fetch()
    write_archive(FILE.path(), {"cifar-10-batches-py/data_batch_1": {}})
    with pytest.raises(DataError, match="cifar-10-python.tar.gz cannot be read: .*data"):
        task.load(task.fetch())
    for batch, complaint in (
        ({b"data": images(2, 0)}, "labels"),
        ({b"data": images(2, 0), b"labels": [0, 10]}, "classes beyond 9"),
        ({b"data": images(2, 0), b"labels": [0, 1, 2]}, "2 images and 3 classes"),
        ({b"data": images(2, 0), b"labels": [0.0, 1.0]}, "classes float64"),
        ({b"data": images(2, 0).astype(np.float32), b"labels": [0, 1]}, "images are float32"),
        ({b"data": images(2, 0)[:, 1:], b"labels": [0, 1]}, "shape"),
    ):
        write(data_batch_3=batch)
        with pytest.raises(DataError, match=complaint):
            task.load(task.fetch())
