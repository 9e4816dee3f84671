# SPDX-License-Identifier: BSD-3-Clause
"""Electrocardiograms out of their pickle."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import train_test_split

from dash_search import DataError, Result
from dash_search.tasks import TASKS, ecg
from dash_search.tasks.ecg import FILE

LENGTHS = [1600, 1000, 1001, 1110, 1300, 1200, 1700, 1500, 1080, 1250, 1400, 1130]
LABELS = ["N", "A", "O", "~", "N", "O", "A", "N", "A", "O", "N", "A"]
STRIDE = {"N": 500, "A": 83, "O": 250, "~": 25}


def recordings() -> list[np.ndarray]:
    noise = np.random.default_rng(0)
    return [noise.integers(-900, 900, length, dtype=np.int16) for length in LENGTHS]


def write(**changes: object) -> None:
    """The pickle as its authors write it: two arrays of objects."""
    data, labels = np.empty(len(LENGTHS), dtype=object), np.array(LABELS, dtype=object)
    data[:] = recordings()
    FILE.path().parent.mkdir(exist_ok=True)
    FILE.path().write_bytes(pickle.dumps({"data": data, "label": labels, **changes}))


def expected_windows(part: np.ndarray) -> list[tuple[np.ndarray, int, int]]:
    """Normalised windows, classes and places of recordings."""
    windows = []
    for place, i in enumerate(part):
        recording = recordings()[i].astype(np.float64)
        recording = (recording - recording.mean()) / np.sqrt(((recording - recording.mean()) ** 2).mean())
        start = 0
        while start < LENGTHS[i] - 1000:
            windows.append((recording[start : start + 1000], "NAO~".index(LABELS[i]), place))
            start += STRIDE[LABELS[i]]
    return windows


def test_windows_of_recordings_split_as_by_the_benchmark(data: Path) -> None:
    write()
    splits: Any = TASKS["ecg"].load([FILE.path()])
    train, rest = train_test_split(np.arange(12), test_size=0.2, random_state=0)
    valid, test = train_test_split(rest, test_size=0.5, random_state=0)
    assert sorted([*train, *valid, *test]) == list(range(12)) and len(train) == 9 and len(valid) == 1
    for name, part in (("train", train), ("valid", valid), ("test", test)):
        windows = expected_windows(part)
        got = list(getattr(splits, name))
        assert len(got) == len(windows) == len(getattr(splits, name))
        for (window, target), (expected, label, place) in zip(got, windows, strict=True):
            assert window.shape == (1, 1000) and window.dtype == torch.float32
            np.testing.assert_allclose(window[0].numpy(), expected, atol=1e-6)
            assert target.tolist() == (label if name == "train" else [label, place])


def test_the_official_number_of_recordings_is_split_by_the_known_shuffle(data: Path) -> None:
    """scikit-learn's split is the beginning and the end of a permutation of NumPy's old generator."""
    order = np.random.RandomState(0).permutation(8528)
    train, rest = train_test_split(np.arange(8528), test_size=0.2, random_state=0)
    assert np.array_equal(rest, order[:1706]) and np.array_equal(train, order[1706:])
    again = np.random.RandomState(0).permutation(1706)
    valid, test = train_test_split(rest, test_size=0.5, random_state=0)
    assert np.array_equal(test, rest[again[:853]]) and np.array_equal(valid, rest[again[853:]])


def test_recordings_are_kept_as_they_are(data: Path) -> None:
    write()
    constant = np.full(1500, 7, dtype=np.int16)
    arrays = [constant, recordings()[0]]
    windows = ecg.Windows(arrays, np.array([2, 0]), length=1000, strides=ecg.STRIDES, tell_recording=False)
    assert len(windows) == 2 + 2 and not windows[0][0].any()
    assert windows._recordings is arrays  # nothing is copied
    with pytest.raises(ValueError, match="none of 1 recordings is longer than a window of 1000 steps"):
        ecg.Windows([constant[:1000]], np.array([0]), length=1000, strides=ecg.STRIDES, tell_recording=False)


def test_a_run_from_the_pickle_to_the_test(data: Path, run_tiny: Callable[..., Result]) -> None:
    write()
    result = run_tiny("ecg")
    assert len(result.architecture) == 9 and set(result.scores["searched"]) == {"valid", "test"}
    outcome = json.loads((result.run_dir / "result.json").read_text())
    assert outcome["metric"] == "1-F1 of recordings" and outcome["remarks"] == []


def test_the_paper_scores_windows_by_batches(data: Path) -> None:
    write()
    task = TASKS["ecg"].under("paper")
    splits: Any = task.load([FILE.path()])
    train, test = train_test_split(np.arange(12), test_size=0.1, random_state=0)
    assert splits.valid is splits.test
    assert [len(splits.train), len(splits.test)] == [len(expected_windows(train)), len(expected_windows(test))]
    assert {target.dim() for _, target in splits.test} == {0}
    assert task.leaks == ecg.LEAKS and "batches of 1024" in task.metric.name
    right = 9 * torch.eye(4)[[int(label) for _, label in splits.test]]
    assert task.metric.score(right, torch.stack([label for _, label in splits.test])) == 0


def test_half_of_what_the_paper_tests_on_validates_in_the_other_split() -> None:
    _, tested = train_test_split(np.arange(8528), test_size=0.1, random_state=0)
    train, rest = train_test_split(np.arange(8528), test_size=0.2, random_state=0)
    valid, _ = train_test_split(rest, test_size=0.5, random_state=0)
    assert not {*tested} & {*train}
    assert (len({*tested} & {*valid}), len(tested)) == (429, 853)


def test_missing_and_damaged_files(data: Path) -> None:
    task = TASKS["ecg"]
    with pytest.raises(DataError, match=r"challenge2017.pkl is missing: it should hold .*one of N, A, O, ~"):
        task.fetch()
    write()
    whole = FILE.path().read_bytes()
    FILE.path().write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="challenge2017.pkl cannot be read: it should hold"):
        task.load(task.fetch())
    write(label=np.array([*LABELS[:-1], "X"], dtype=object))
    with pytest.raises(DataError, match=r"there are labels \['X'\]"):
        task.load(task.fetch())
    write(label=np.array(LABELS[:-1], dtype=object))
    with pytest.raises(DataError, match="12 recordings and 11 labels"):
        task.load(task.fetch())
    write(data=[np.array(["a"])] * 12)
    with pytest.raises(DataError, match="no list of numbers"):
        task.load(task.fetch())
    write(data=[np.zeros(900)] * 12)
    with pytest.raises(DataError, match="longer than a window"):
        task.load(task.fetch())
    write(data=Path("/"))
    with pytest.raises(DataError, match="it asks for pathlib"):
        task.load(task.fetch())
