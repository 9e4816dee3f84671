# SPDX-License-Identifier: BSD-3-Clause
"""Every reader on damaged files: one sentence, or samples of the shape, type and range that they should have."""

import gzip
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest
import torch

from dash_search.data.folder import DATA_VARIABLE
from dash_search.errors import DashSearchError
from dash_search.tasks import TASKS

from .codecs import codec_of
from .damages import bytes_damaged, lines_damaged, values_damaged
from .tiny import TINY, Samples, Tiny

# Tasks that read the files of another one and do little with them get a part of the damages, as slow ones do.
EVERY = {name: 7 for name in TINY if name.endswith("-perm")}
EVERY |= {"smnist5k": 7, "spherical-mnist": 7, "music-nottingham": 5, "deepsea, compressed": 3, "cifar10": 3}
EVERY |= {"darcy, generated": 3, "darcy, version 7.3": 2, "psicov": 3, "cosmic": 2, "vowels": 2, "darcy85-100": 7}
# What is damaged in their bytes must be told, or change nothing: they have checksums.
CHECKED = (".gz", "darcy85", "darcy85-100", "darcy, generated", "deepsea, compressed")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def damages(file: Path, every: int) -> Iterator[str]:
    """Damages a file in one way after another, or in every few of them, and tells what is wrong with it each time."""
    content, codec = file.read_bytes(), codec_of(file)
    for name, new in islice(bytes_damaged(content), 0, None, every):
        file.write_bytes(new)
        yield f"bytes: {name}"
    file.write_bytes(content)
    if codec is None:
        packed = file.suffix == ".gz"
        text = (gzip.decompress(content) if packed else content).decode()
        for name, changed in islice(lines_damaged(text), 0, None, every):
            file.write_bytes(gzip.compress(changed.encode(), 1) if packed else changed.encode())
            yield f"lines: {name}"
    else:
        for name, value in islice(values_damaged(codec.decode(file)), 0, None, every):
            with suppress(Exception):  # what the format cannot hold is no damage of its files
                codec.encode(file, value)
                yield f"values: {name}"
    file.write_bytes(content)


def same(a: Samples, b: Samples) -> bool:
    if [len(part) for part in a] != [len(part) for part in b]:
        return False
    tensors = [[tensor for part in samples for sample in part for tensor in sample] for samples in (a, b)]
    return all(x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(*tensors, strict=True))


def complaint(got: Samples, whole: Samples, tiny: Tiny) -> str:
    """What is wrong with samples that were read, or nothing."""
    for some, expected in zip(got, whole, strict=True):
        for sample in some:
            for tensor, like in zip(sample, expected[0], strict=True):
                if (tensor.shape, tensor.dtype) != (like.shape, like.dtype):
                    return f"{tuple(tensor.shape)} of {tensor.dtype}"
                if not tensor.isfinite().all():
                    return "numbers that are not finite"
            if tiny.targets is not None and not {*sample[1].unique().tolist()} <= {*tiny.targets}:
                return f"targets {sample[1].unique().tolist()[:5]}"
    return ""


def outcome(tiny: Tiny, protocol: str, whole: Samples, *, checked: bool) -> str:
    """What is wrong with how files are read, or nothing."""
    try:
        got = tiny.read(protocol)
    except DashSearchError as error:
        said = str(error)
        named = "/data" in said or "the files of the task" in said
        return "" if named and said.endswith(".") and "\n" not in said and len(said) < 800 else f"said: {said}"
    except Exception as error:
        return f"raised {error!r}"
    if same(got, whole):
        return ""
    return "other samples, in spite of a checksum" if checked else complaint(got, whole, tiny)


@pytest.mark.parametrize("name", TINY)
def test_damage_is_told_in_a_sentence_or_does_no_harm(name: str) -> None:
    tiny = TINY[name]
    protocols = ["clean"] if TASKS[tiny.task].paper is None else ["clean", "paper"]
    wrong, count = [], 0
    with tiny.written() as files:
        whole = {protocol: tiny.read(protocol) for protocol in protocols}
        for file in files:
            checked = any(name.endswith(end) or file.name.endswith(end) for end in CHECKED)
            for i, what in enumerate(damages(file, EVERY.get(name, 1))):
                count += 1
                protocol = protocols[i % len(protocols)]
                found = outcome(tiny, protocol, whole[protocol], checked=checked and what.startswith("bytes"))
                if found:
                    wrong.append(f"{file.name}, {what}, {protocol}: {found}")
    assert not wrong, "\n".join([f"{len(wrong)} of {count}:", *wrong])
    print(f"{name}: {count} damages")
    assert count > 8 * len(files) and not Path("harm").exists()


@pytest.mark.parametrize("name", TINY)
def test_other_things_in_place_of_files(name: str) -> None:
    """Another file of the task, nothing, a folder."""
    tiny = TINY[name]
    wrong = []
    with tiny.written() as files:
        whole = tiny.read("clean")
        contents = [file.read_bytes() for file in files]
        for file, content in zip(files, contents, strict=True):
            for other in contents:
                file.write_bytes(other)
                wrong.append(outcome(tiny, "clean", whole, checked=False))
            file.unlink()
            wrong.append(outcome(tiny, "clean", whole, checked=False))
            file.mkdir()
            wrong.append(outcome(tiny, "clean", whole, checked=False))
            file.rmdir()
            file.write_bytes(content)
        shutil.rmtree(file.parent)
        wrong.append(outcome(tiny, "clean", whole, checked=False))
    assert not any(wrong), wrong


def test_no_task_is_left_out() -> None:
    assert {tiny.task for tiny in TINY.values()} == TASKS.keys()
