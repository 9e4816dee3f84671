# SPDX-License-Identifier: BSD-3-Clause
"""CIFAR-100 on the sphere, out of its gzipped pickle."""

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dash_search import DataError, Result
from dash_search.tasks import TASKS
from dash_search.tasks.spherical import FILE


def images(count: int, seed: int) -> np.ndarray:
    """Noise, darker in each further channel."""
    noise = np.random.default_rng(seed).integers(0, 256, (count, 3, 60, 60))
    return (noise // np.reshape([1, 2, 3], (3, 1, 1))).astype(np.uint8)


def content() -> dict[str, Any]:
    return {
        "train": {"images": images(10, 0), "labels": np.arange(90, 100)},
        "test": {"images": images(4, 1), "labels": [0, 1, 2, 3]},
    }


def write(value: object, protocol: int = 4) -> None:
    FILE.path().parent.mkdir(exist_ok=True)
    with gzip.open(FILE.path(), "wb", compresslevel=1) as file:
        pickle.dump(value, file, protocol=protocol)


def load(protocol: str = "clean") -> Any:
    task = TASKS["spherical"].under(protocol)
    return task.load(task.fetch())


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_the_training_part_normalises_all(data: Path, protocol: int) -> None:
    write(content(), protocol)
    splits = load()
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [8, 2, 4]
    seen = images(10, 0)[:8].astype(np.float64)
    mean, deviation = seen.mean(axis=(0, 2, 3), keepdims=True), seen.std(axis=(0, 2, 3), keepdims=True)
    unseen = images(10, 0)[8:]
    for part, raw, first in ((splits.train, seen, 90), (splits.valid, unseen, 98), (splits.test, images(4, 1), 0)):
        assert [int(label) for _, label in part] == [first + i for i in range(len(part))]
        for (image, _), pixels in zip(part, (raw - mean) / deviation, strict=True):
            np.testing.assert_allclose(image.numpy(), pixels, atol=1e-5)


def test_the_paper_feeds_bytes_and_validates_on_the_test_part(data: Path) -> None:
    write(content())
    splits = load("paper")
    assert len(splits.train) == 10 and splits.valid is splits.test
    for (image, _), pixels in zip(splits.train, images(10, 0), strict=True):
        np.testing.assert_allclose(image.numpy(), pixels, rtol=1e-6)


def test_a_run_from_the_file_to_the_test(data: Path, run_tiny: Callable[..., Result]) -> None:
    write(content())
    result = run_tiny("spherical")
    assert len(result.architecture) == 13 and set(result.scores["searched"]) == {"valid", "test"}


def test_missing_and_damaged_files(data: Path) -> None:
    with pytest.raises(DataError, match="s2_cifar100.gz is missing: it should hold a gzipped pickle of train and test"):
        load()
    for change, complaint in (
        ({"test": {}}, "KeyError: 'images'"),
        ({"test": None}, "TypeError"),
        ({"test": {"images": images(4, 1), "labels": [0, 1, 2, 100]}}, "classes beyond 99"),
        ({"test": {"images": images(4, 1), "labels": [0, 1, 2]}}, "4 images and 3 classes"),
        ({"test": {"images": images(4, 1) / 255, "labels": [0, 1, 2, 3]}}, "images are float64"),
        ({"test": {"images": images(4, 1).swapaxes(1, 3), "labels": [0, 1, 2, 3]}}, "images are .4, 60, 60, 3."),
        ({"train": Path("/")}, "it asks for pathlib"),
    ):
        write({**content(), **change})
        with pytest.raises(DataError, match=f"s2_cifar100.gz cannot be read: .*{complaint}"):
            load()
    FILE.path().write_bytes(FILE.path().read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read: .*EOFError"):
        load()
    FILE.path().write_bytes(b"not gzipped")
    with pytest.raises(DataError, match="cannot be read: .*BadGzipFile"):
        load()
