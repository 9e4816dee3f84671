# SPDX-License-Identifier: BSD-3-Clause
"""MNIST out of its four files, as sequences and in another order."""

import gzip
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dash_search import DataError, Result
from dash_search.data.order import drawn_order
from dash_search.tasks import TASKS
from dash_search.tasks.mnist import FILES


def images(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


CONTENT = [idx(images(12, 0)), idx(np.arange(12, dtype=np.uint8) % 10), idx(images(4, 1)), idx(np.uint8([6, 7, 8, 9]))]


def write(**changed: bytes) -> None:
    """Twelve training and four test digits; ``changed`` files by number, as in ``_1=...``, hold something else."""
    for i, (file, content) in enumerate(zip(FILES, CONTENT, strict=True)):
        file.path().parent.mkdir(exist_ok=True)
        file.path().write_bytes(gzip.compress(changed.get(f"_{i}", content)))


def load(name: str, protocol: str = "clean") -> Any:
    task = TASKS[name].under(protocol)
    return task.load(task.fetch())


def test_files_have_the_names_of_their_authors() -> None:
    assert [file.name.removeprefix("mnist/") for file in FILES] == [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ]


def test_parts_are_sequences_of_normalised_pixels(data: Path) -> None:
    write()
    splits = load("mnist")
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [10, 2, 4]
    for part, raw, first in ((splits.train, images(12, 0), 0), (splits.valid, images(12, 0)[10:], 0)):
        for i, (sequence, label) in enumerate(part):
            assert sequence.shape == (1, 784) and int(label) == (first + i) % 10
            np.testing.assert_allclose(sequence[0].numpy(), (raw[i].ravel() / 255 - 0.1307) / 0.3081, atol=1e-5)
    assert [int(label) for _, label in splits.test] == [6, 7, 8, 9]
    paper = load("mnist", "paper")
    assert len(paper.train) == 12 and paper.valid is paper.test and "test part" in TASKS["mnist"].under("paper").leaks


def test_the_order_is_fixed_and_moves_no_generator(data: Path) -> None:
    write()
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    order = drawn_order(784, seed=1111)
    plain, permuted = load("mnist"), load("mnist-perm")
    assert torch.equal(torch.get_rng_state(), before[2])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[:2]
    assert order.sort().values.tolist() == [*range(784)] and (order == torch.arange(784)).sum() < 10
    assert order.tolist() == np.random.RandomState(1111).permutation(784).tolist()
    for part in ("train", "valid", "test"):
        for (sequence, label), (other, same) in zip(getattr(plain, part), getattr(permuted, part), strict=True):
            assert label == same and other.tolist() == [[float(sequence[0, place]) for place in order]]


def test_a_run_from_the_files_to_the_test(data: Path, run_tiny: Callable[..., Result]) -> None:
    write()
    result = run_tiny("mnist-perm")
    assert len(result.architecture) == 9 and set(result.scores["searched"]) == {"valid", "test"}
    assert {len(logits) for logits in result.history[0]["alphas"].values()} == {2}


def test_missing_and_damaged_files(data: Path) -> None:
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz is missing: it should hold 60,000 images"):
        load("mnist")
    for changed, complaint in (
        ({"_0": b""}, "train-images-idx3-ubyte.gz cannot be read: .*not begin as an IDX file"),
        ({"_0": CONTENT[0][:3]}, "train-images.*IndexError"),
        ({"_0": CONTENT[0][:9]}, "train-images.*ValueError"),
        ({"_0": CONTENT[1]}, r"train-images.* its header says \(12,\)"),
        ({"_1": CONTENT[0]}, r"train-labels.* its header says \(12, 28, 28\)"),
        ({"_2": CONTENT[2][:-1]}, "t10k-images.* reshape"),
        ({"_2": CONTENT[2] + b"\0"}, "t10k-images.* reshape"),
        ({"_3": CONTENT[1]}, "t10k-labels.* 4 images and 12 classes"),
        ({"_3": idx(np.uint8([0, 1, 2, 10]))}, "t10k-labels.* classes beyond 9"),
        ({"_3": idx(np.arange(4, dtype=np.uint8)).replace(b"\x08", b"\x0d", 1)}, "not begin as an IDX file"),
    ):
        write(**changed)
        with pytest.raises(DataError, match=complaint):
            load("mnist")
    FILES[0].path().write_bytes(b"not gzipped")
    with pytest.raises(DataError, match="train-images-idx3-ubyte.gz cannot be read: .*BadGzipFile"):
        load("mnist")
    FILES[0].path().write_bytes(gzip.compress(CONTENT[0])[:-40])
    with pytest.raises(DataError, match="train-images-idx3-ubyte.gz cannot be read: .*EOFError"):
        load("mnist")
