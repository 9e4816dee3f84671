# SPDX-License-Identifier: BSD-3-Clause
"""CIFAR-100 out of its archive of pickles."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dash_search import DataError, Result, opened
from dash_search.data.images import moved_and_mirrored
from dash_search.stages import tune
from dash_search.tasks import TASKS
from dash_search.tasks.cifar100 import DEVIATION, FILE, MEAN

from .cifar import images, write_archive


def write(content: dict[bytes, object] | None = None) -> None:
    """The archive with 10 training and 4 test images."""
    parts = {"train": (images(10, 0), [*range(90, 100)]), "test": (images(4, 1), [0, 1, 2, 3])}
    write_archive(
        FILE.path(),
        {
            f"cifar-100-python/{name}": content or {b"data": data, b"fine_labels": classes, b"batch_label": b"part"}
            for name, (data, classes) in parts.items()
        },
    )


def test_parts_are_those_of_the_benchmark(data: Path) -> None:
    write()
    splits: Any = TASKS["cifar100"].load([FILE.path()])
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [8, 2, 4]
    for part, raw, first in ((splits.valid, images(10, 0)[8:], 98), (splits.test, images(4, 1), 0)):
        for i, (image, label) in enumerate(part):
            pixels = raw[i].reshape(3, 32, 32) / 255
            expected = (pixels - np.reshape(MEAN, (3, 1, 1))) / np.reshape(DEVIATION, (3, 1, 1))
            np.testing.assert_allclose(image.numpy(), expected, atol=1e-5)
            assert int(label) == first + i and image.dtype == torch.float32
    assert splits.train.images.tolist() == torch.from_numpy(images(10, 0)[:8]).reshape(-1, 3, 32, 32).tolist()


def test_views_are_moved_and_mirrored() -> None:
    torch.manual_seed(0)
    image = torch.rand(3, 32, 32) + 1
    padded = torch.nn.functional.pad(image, (4,) * 4)
    seen = set()
    for _ in range(400):
        view = moved_and_mirrored(image)
        places = [
            (down, right, mirrored)
            for mirrored in (False, True)
            for down in range(9)
            for right in range(9)
            if torch.equal(view.flip(2) if mirrored else view, padded[:, down : down + 32, right : right + 32])
        ]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) > 140  # of 162


def test_a_run_from_the_archive_to_the_test(data: Path, run_tiny: Callable[..., Result]) -> None:
    write()
    result = run_tiny("cifar100")
    assert len(result.architecture) == 13 and set(result.scores["searched"]) == {"valid", "test"}
    assert json.loads((result.run_dir / "result.json").read_text())["remarks"] == []


def test_the_paper_validates_on_the_test_part_and_says_so(data: Path, run_tiny: Callable[..., Result]) -> None:
    write()
    task = TASKS["cifar100"].under("paper")
    splits: Any = task.load([FILE.path()])
    assert len(splits.train) == 10 and splits.valid is splits.test
    result = run_tiny("cifar100", "paper")
    assert result.scores["searched"]["valid"] == result.scores["searched"]["test"]
    assert json.loads((result.run_dir / "result.json").read_text())["remarks"] == [task.leaks]


def test_the_paper_tunes_on_the_split_of_the_benchmark(
    data: Path, run_tiny: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test part validates there, and hyper-parameters are no business of its."""
    write()
    judged: list[Any] = []

    def noted(job: Any, *arguments: Any, **options: Any) -> Any:
        judged.append([loader.dataset.images.tolist() for loader in (job.train, job.valid)])
        return tune(job, *arguments, **options)

    monkeypatch.setattr(opened, "tune", noted)
    result = run_tiny("cifar100", "paper", tune="short")
    clean: Any = TASKS["cifar100"].load([FILE.path()])
    assert judged == [[part.images.tolist() for part in (clean.train, clean.valid)]]
    assert result.hyperparameters["searched"]["momentum"] == 0.99
    assert [record["stage"] for record in result.history] == ["search", *["tune"] * 3, "retrain", "test"]


def test_missing_and_damaged_files(data: Path) -> None:
    task = TASKS["cifar100"]
    with pytest.raises(DataError, match=r"cifar-100-python.tar.gz is missing: it should hold .*fine_labels"):
        task.fetch()
    FILE.path().parent.mkdir()
    FILE.path().write_bytes(b"no archive")
    with pytest.raises(DataError, match="cifar-100-python.tar.gz cannot be read: it should hold"):
        task.load(task.fetch())
    write({b"data": images(10, 0)})
    with pytest.raises(DataError, match="fine_labels"):
        task.load(task.fetch())
    write({b"data": images(3, 0), b"fine_labels": [1, 2, 100]})
    with pytest.raises(DataError, match="classes beyond 99"):
        task.load(task.fetch())
    write({b"data": Path("/")})
    with pytest.raises(DataError, match="it asks for pathlib"):
        task.load(task.fetch())
