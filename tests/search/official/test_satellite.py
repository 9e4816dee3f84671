# SPDX-License-Identifier: BSD-3-Clause
"""Satellite series out of their dictionaries in NumPy's format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dash_search import DataError, Result
from dash_search.tasks import TASKS
from dash_search.tasks.satellite import TEST_FILE, TRAIN_FILE
from dash_search.tasks.task import TEST_VALIDATES

TRAIN, TEST = 10, 3


def series(count: int, seed: int) -> np.ndarray:
    values = 40 * np.random.default_rng(seed).normal(size=(count, 46)) + 500
    values[0] = 300  # without any change
    return values


def labels(count: int) -> np.ndarray:
    return np.arange(count) * 7 % 24 + 1


def write(**changes: object) -> None:
    """The two files as their authors write them: arrays of no axes that hold a dictionary."""
    for seed, (file, count) in enumerate(((TRAIN_FILE, TRAIN), (TEST_FILE, TEST))):
        file.path().parent.mkdir(exist_ok=True)
        content = {"data": series(count, seed), "label": labels(count), **changes}
        np.save(file.path(), np.array(content, dtype=object), allow_pickle=True)


def standardised(values: np.ndarray) -> np.ndarray:
    deviation = np.sqrt(((values - values.mean(axis=1, keepdims=True)) ** 2).mean(axis=1, keepdims=True))
    return (values - values.mean(axis=1, keepdims=True)) / np.where(deviation == 0, 1, deviation)


def test_as_many_validate_as_test_and_every_series_is_normalised(data: Path) -> None:
    write()
    task = TASKS["satellite"]
    splits: Any = task.load(task.fetch())
    trained, tested = standardised(series(TRAIN, 0)), standardised(series(TEST, 1))
    wanted = (
        (splits.train, trained[:7], labels(TRAIN)[:7]),
        (splits.valid, trained[7:], labels(TRAIN)[7:]),
        (splits.test, tested, labels(TEST)),
    )
    for part, values, classes in wanted:
        got = list(part)
        assert len(got) == len(part) == len(values)
        assert [int(target) for _, target in got] == [*(classes - 1)]
        for (one, _), expected in zip(got, values, strict=True):
            assert one.shape == (1, 46) and one.dtype == torch.float32
            np.testing.assert_allclose(one[0].numpy(), expected, atol=1e-5)
    assert splits.train.samples.base is splits.valid.samples.base is not None  # views of one array
    assert splits.train.samples.dtype == np.float64  # as in the file; only what is asked for becomes float32


def test_the_paper_trains_on_all_and_normalises_nothing(data: Path) -> None:
    write()
    task = TASKS["satellite"].under("paper")
    splits: Any = task.load(task.fetch())
    assert len(splits.train) == TRAIN and splits.valid is splits.test and len(splits.test) == TEST
    np.testing.assert_allclose(torch.cat([one for one, _ in splits.train]).numpy(), series(TRAIN, 0), rtol=1e-6)
    assert task.leaks == TEST_VALIDATES


def test_a_run_from_the_files_to_the_test(data: Path, run_tiny: Callable[..., Result]) -> None:
    write()
    result = run_tiny("satellite")
    assert len(result.architecture) == 9 and set(result.scores["searched"]) == {"valid", "test"}


def test_missing_and_damaged_files(data: Path) -> None:
    task = TASKS["satellite"]
    with pytest.raises(DataError, match=r"satellite_train.npy is missing: it should hold .*label \(N,\), 1 to 24"):
        task.fetch()
    write()
    TEST_FILE.path().unlink()
    with pytest.raises(DataError, match="satellite_test.npy is missing"):
        task.fetch()
    write()
    whole = TRAIN_FILE.path().read_bytes()
    TRAIN_FILE.path().write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="satellite_train.npy cannot be read: it should hold"):
        task.load(task.fetch())
    np.save(TRAIN_FILE.path(), series(TRAIN, 0))
    with pytest.raises(DataError, match="satellite_train.npy cannot be read"):
        task.load(task.fetch())
    for changes, message in (
        ({"label": labels(TRAIN) - 1}, "not all integers from 0 to 23"),
        ({"label": labels(TRAIN)[:-1]}, r"the data is \(10, 46\) of float64, for 9 labels"),
        ({"data": series(TRAIN, 0)[:, 1:]}, r"\(10, 45\)"),
        ({"data": None}, "NoneType"),
        ({"data": series(TEST, 0), "label": labels(TEST)}, "3 series to train on, where 3 validate"),
        ({"data": Path("/")}, "it asks for pathlib"),
    ):
        write(**changes)
        with pytest.raises(DataError, match=message):
            task.load(task.fetch())
