# SPDX-License-Identifier: BSD-3-Clause
"""Signals of a forearm out of six arrays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dash_search import DataError, Result
from dash_search.tasks import TASKS
from dash_search.tasks.ninapro import LABELS, SIGNALS
from dash_search.tasks.task import TEST_VALIDATES

SIZES = (6, 3, 4)


def signals(part: int) -> np.ndarray:
    return np.random.default_rng(part).normal(size=(SIZES[part], 52, 16))


def labels(part: int) -> np.ndarray:
    return np.arange(SIZES[part]) * 5 % 18


def write() -> None:
    SIGNALS[0].path().parent.mkdir(exist_ok=True)
    for part in range(3):
        np.save(SIGNALS[part].path(), signals(part))
        np.save(LABELS[part].path(), labels(part))


def test_parts_are_those_of_the_files(data: Path) -> None:
    write()
    task = TASKS["ninapro"]
    splits: Any = task.load(task.fetch())
    for i, part in enumerate((splits.train, splits.valid, splits.test)):
        images, classes = part.tensors
        assert images.shape == (SIZES[i], 1, 16, 52) and images.dtype == torch.float32
        np.testing.assert_allclose(images[:, 0].numpy(), signals(i).transpose(0, 2, 1), rtol=1e-6)
        assert classes.tolist() == labels(i).tolist()


def test_a_run_from_the_files_to_the_test(data: Path, run_tiny: Callable[..., Result]) -> None:
    write()
    result = run_tiny("ninapro")
    assert len(result.architecture) == 13 and set(result.scores["searched"]) == {"valid", "test"}


def test_the_paper_trains_on_two_parts_and_validates_on_the_third(data: Path) -> None:
    write()
    task = TASKS["ninapro"].under("paper")
    splits: Any = task.load(task.fetch())
    assert len(splits.train) == 9 and splits.valid is splits.test
    np.testing.assert_allclose(splits.train[6][0][0].numpy(), signals(1)[0].T, rtol=1e-6)
    assert task.leaks == TEST_VALIDATES


def test_missing_and_damaged_files(data: Path) -> None:
    task = TASKS["ninapro"]
    with pytest.raises(DataError, match=r"ninapro_train.npy is missing: it should hold an array \(N, 52, 16\)"):
        task.fetch()
    write()
    LABELS[2].path().unlink()
    with pytest.raises(DataError, match="label_test.npy is missing"):
        task.fetch()
    cases: list[tuple[Path, object, str]] = [
        (SIGNALS[1].path(), b"\x93NUMPY", "ninapro_val.npy cannot be read"),
        (SIGNALS[1].path(), signals(1).transpose(0, 2, 1), r"it is \(3, 16, 52\)"),
        (SIGNALS[1].path(), signals(1)[:2], "3 labels and 2 signals"),
        (SIGNALS[1].path(), np.array([None]), "Object arrays cannot be loaded"),
        (LABELS[0].path(), labels(0) + 13, "label_train.npy cannot be read: .* not all integers from 0 to 17"),
        (LABELS[0].path(), labels(0) + np.nan, "not all integers"),
        (LABELS[0].path(), labels(0)[:, None], r"classes of shape \(6, 1\)"),
    ]
    for path, content, message in cases:
        write()
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content)
        with pytest.raises(DataError, match=message):
            task.load(task.fetch())
