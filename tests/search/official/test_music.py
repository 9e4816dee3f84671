# SPDX-License-Identifier: BSD-3-Clause
"""Piano rolls out of MATLAB's files."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from torch.utils.data import TensorDataset

import dash_kernels as dk
from dash_search import DataError, Result
from dash_search.data.splits import Splits
from dash_search.metrics import CROSS_ENTROPY, NOT_SCORED
from dash_search.tasks import TASKS
from dash_search.tasks.music import JSB_FILE, NOTTINGHAM_FILE
from dash_search.tasks.task import TEST_VALIDATES

LENGTHS = {"traindata": (30, 600, 255), "validdata": (2, 254), "testdata": (40, 256)}
FILES = {"music-jsb": (JSB_FILE, 255), "music-nottingham": (NOTTINGHAM_FILE, 513)}


def roll(frames: int) -> np.ndarray:
    return (np.random.default_rng(frames).random((frames, 88)) < 0.1).astype(np.float64)


def write(name: str, **changes: list[np.ndarray]) -> None:
    """Cells (1, N), as the music files have them."""
    content = {}
    for part, pieces in {**{part: [roll(n) for n in lengths] for part, lengths in LENGTHS.items()}, **changes}.items():
        content[part] = np.empty((1, len(pieces)), dtype=object)
        for i, piece in enumerate(pieces):
            content[part][0, i] = piece
    path = FILES[name][0].path()
    path.parent.mkdir(exist_ok=True)
    scipy.io.savemat(path, content)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_each_frame_is_asked_for_the_next_one(data: Path, name: str, protocol: str) -> None:
    write(name)
    task, frames = TASKS[name].under(protocol), FILES[name][1]
    splits: Any = task.load(task.fetch())
    expected = {part: LENGTHS[f"{part}data"] for part in ("train", "valid", "test")}
    if protocol == "paper":
        expected = {"train": expected["train"] + expected["valid"], "valid": expected["test"], "test": expected["test"]}
        assert splits.valid is splits.test and task.leaks == TEST_VALIDATES
    for part, lengths in expected.items():
        got = list(getattr(splits, part))
        assert len(got) == len(getattr(splits, part)) == len(lengths)
        for (inputs, targets), length in zip(got, lengths, strict=True):
            assert inputs.shape == targets.shape == (88, frames - 1) and inputs.dtype == targets.dtype == torch.float32
            n = min(length, frames) - 1
            assert np.array_equal(inputs[:, :n].T, roll(length)[:n]) and not inputs[:, n:].any()
            assert np.array_equal(targets[:, :n].T, roll(length)[1 : n + 1])
            assert (targets[:, n:] == (0 if protocol == "paper" else NOT_SCORED)).all()


def test_what_is_filled_in_counts_neither_in_the_loss_nor_in_the_metric(data: Path) -> None:
    write("music-jsb")
    task = TASKS["music-jsb"]
    splits: Any = task.load(task.fetch())
    targets = torch.stack([target for _, target in splits.test])
    outputs = torch.randn(targets.shape, requires_grad=True)
    costs = []
    for output, length in zip(outputs.detach().double().sigmoid().numpy(), LENGTHS["testdata"], strict=True):
        n = min(length, 255) - 1
        for probabilities, frame in zip(output.T[:n], roll(length)[1:], strict=False):
            costs += [-math.log(p if there else 1 - p) for p, there in zip(probabilities, frame, strict=True)]
    assert CROSS_ENTROPY.score(outputs.detach(), targets) == pytest.approx(np.mean(costs), abs=1e-9)
    loss = task.loss(outputs, targets)
    assert float(loss.detach()) == pytest.approx(np.mean(costs), abs=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None and not outputs.grad[targets == NOT_SCORED].any()
    with pytest.raises(ValueError, match="both need one shape"):
        CROSS_ENTROPY.score(outputs.detach()[0], targets)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("backbone", ["resnet1d", "tcn"])
def test_no_network_sees_the_frame_it_is_asked_for(name: str, backbone: str) -> None:
    """Neither with its own kernels nor as a mixture: what comes later changes nothing before."""
    unused = Splits(*[TensorDataset(torch.zeros(1))] * 3)
    for converted in (False, True):
        torch.manual_seed(0)
        network = TASKS[name].backbone(backbone).build(1, unused)
        if converted:
            dk.convert(network, dk.SearchSpace((3, 5), (1, 3)))
        network.eval()
        before = torch.randn(1, 88, 40)
        after = before.clone()
        after[..., 25:] += 1
        with torch.no_grad():
            difference = (network(after) - network(before)).abs().amax(dim=(0, 1))
        assert difference[:25].max() < 1e-4 * difference[25:].max()


def test_a_run_from_the_file_to_the_test(data: Path, run_tiny: Callable[..., Result]) -> None:
    write("music-jsb")
    result = run_tiny("music-jsb")
    assert len(result.architecture) == 9 and set(result.scores["searched"]) == {"valid", "test"}


def test_missing_and_damaged_files(data: Path) -> None:
    task, path = TASKS["music-nottingham"], NOTTINGHAM_FILE.path()
    with pytest.raises(DataError, match="Nottingham.mat is missing: it should hold traindata, validdata and testdata"):
        task.fetch()
    path.parent.mkdir()
    for content in (b"", b"no matrix" * 30, b"x"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="Nottingham.mat cannot be read: it should hold"):
            task.load(task.fetch())
    write("music-nottingham")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="Nottingham.mat cannot be read"):
        task.load(task.fetch())
    scipy.io.savemat(path, {"traindata": roll(3)})
    with pytest.raises(DataError, match="Nottingham.mat cannot be read"):
        task.load(task.fetch())
    for pieces, message in (
        ([roll(5)[:, :87]], r"shape \(5, 87\) is not two or more frames of 88"),
        ([roll(5)[:1]], r"shape \(1, 88\)"),
        ([2 * roll(5)], "zeros and ones"),
        ([], "a part holds no piece"),
    ):
        write("music-nottingham", validdata=pieces)
        with pytest.raises(DataError, match=message):
            task.load(task.fetch())
