# SPDX-License-Identifier: BSD-3-Clause
"""What is found wrong before a run begins, so that no folder is made."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from dash_search import ACCURACY, Config, Metric, SettingsError, search

from .conftest import Problem
from .test_search import TINY

SHORT = TINY.model_copy(update={"search_epochs": 1, "epochs": 1})


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter([(torch.zeros(1, 8, 8), 0)] * 4)


class Normed(nn.Module):
    """Batch norm over single values, which one sample has none of."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm1d(2), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.norm(self.conv(x).mean(dim=(2, 3))))
        return out


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.conv(x), x


def data(count: int, targets: Tensor | None = None) -> TensorDataset:
    return TensorDataset(
        torch.randn(count, 1, 8, 8), torch.zeros(count, dtype=torch.int64) if targets is None else targets
    )


def other_names() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(128, 2))


def strided() -> nn.Module:
    """As the model of the problem, but an even kernel cannot stand in its first convolution."""
    model = Problem.small().model
    assert isinstance(model, nn.Sequential) and isinstance(model[0], nn.Conv2d)
    model[0].stride = (2, 2)
    return model


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "generator": ({"train": (batch for batch in ())}, "train is a generator, which cannot be gone through again"),
    "no length": ({"valid": DataLoader(Endless(), 2)}, "valid is a DataLoader that does not know how many"),
    "empty": ({"test": DataLoader(data(3), 4, drop_last=True)}, "test has no batches"),
    "no pairs": ({"train": DataLoader(TensorDataset(torch.randn(8, 1, 8, 8)), 4)}, "a batch is list of Tensor"),
    "one left": ({"model": Normed(), "train": DataLoader(data(9), 4)}, "more than 1 value.*drop_last=True"),
    "channels": ({"train": DataLoader(TensorDataset(torch.randn(8, 3, 8, 8), torch.zeros(8)), 4)}, "supernet fails on"),
    "targets": ({"loss": nn.functional.cross_entropy, "train": DataLoader(data(8, torch.zeros(8)), 4)}, "the loss of"),
    "no scalar": ({"loss": lambda output, target: output}, r"is a tensor of shape \(8, 2\)"),
    "number": ({"loss": lambda output, target: 1.0}, "the loss of the supernet is 1.0"),
    "detached": ({"loss": lambda output, target: output.sum().detach()}, "with a gradient"),
    "tuple": ({"model": Pair()}, "the supernet returns a tuple"),
    "no metric": ({"metric": lambda outputs, targets: 1.0}, "metric is a function: give dash_search.Metric"),
    "two scores": (
        {"metric": Metric("two", lambda outputs, targets: torch.zeros(2), True)},
        "'two' returned a tensor of",
    ),
    "broken metric": ({"metric": Metric("bad", lambda outputs, targets: {}["x"], True)}, "the metric 'bad' fails"),
    "columns": ({"test": DataLoader(data(8, torch.zeros(8, 1)), 8)}, r"outputs are \(8, 2\), targets \(8, 1\)"),
    "names": ({"final_model": other_names()}, "final_model cannot take the architecture of model: 2: it is a Linear"),
    "final head": (
        {"final_model": nn.Sequential(*[nn.Conv2d(1, 1, 3, padding=1)] * 3)},
        "final_model|searched network",
    ),
    "last candidate": (
        {"final_model": strided(), "config": SHORT.model_copy(update={"kernel_sizes": (3, 4)})},
        r"final_model cannot take the architecture of model: 0: kernel size \(4, 4\)",
    ),
    "settings": ({"config": {"epochs": 1}}, "config is a dict: give dash_search.Config"),
    "meta": ({"config": SHORT.model_copy(update={"device": "meta"})}, "device='meta'.*computes nothing"),
    "no module": ({"model": "resnet"}, "model is a str"),
}


@pytest.mark.parametrize("case", WRONG)
def test_nothing_is_begun(problem: Problem, tmp_path: Path, case: str) -> None:
    changes, message = WRONG[case]
    arguments: dict[str, Any] = {
        "model": problem.model,
        "train": problem.train,
        "valid": problem.valid,
        "config": SHORT,
    }
    arguments |= {"loss": nn.functional.cross_entropy, "metric": ACCURACY, "run_dir": tmp_path / "run", **changes}
    with pytest.raises(SettingsError, match=f"(?s){message}"):
        search(**arguments)
    assert not (tmp_path / "run").exists()


def test_scores_may_be_tensors(problem: Problem, tmp_path: Path) -> None:
    metric = Metric("share", lambda outputs, targets: (outputs.argmax(1) == targets).double().mean(), True)
    options: dict[str, Any] = {"loss": nn.functional.cross_entropy, "run_dir": tmp_path / "run"}
    result = search(problem.model, problem.train, problem.valid, SHORT, metric=metric, **options)
    assert type(result.scores["searched"]["valid"]) is float


def test_numbers_are_numbers() -> None:
    for wrong in ({"epochs": True}, {"epochs": "3"}, {"plain": 1}, {"lr": "0.1"}, {"seed": 2**63}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Config(**wrong)  # type: ignore[arg-type]
    assert Config(lr=1, kernel_sizes=[3, 5]).kernel_sizes == (3, 5)  # type: ignore[arg-type]


def test_missing_extra_is_named_and_the_command_line_is_not_needed() -> None:
    program = "import sys; sys.modules['pydantic'] = None; import dash_search"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "dash_search needs pydantic: run pip install 'dash_kernels[search]'" in done.stderr


def test_only_the_parts_that_are_scored_need_what_the_metric_needs(problem: Problem, tmp_path: Path) -> None:
    """A second column of the targets, which the loss of the training part would not understand."""
    scored = DataLoader(data(8, torch.stack([torch.zeros(8), torch.arange(8)], dim=1).long()), 4)
    metric = Metric("last number", lambda outputs, targets: targets[:, 1].max(), True)
    options: dict[str, Any] = {"loss": nn.functional.cross_entropy, "metric": metric, "run_dir": tmp_path / "run"}
    result = search(problem.model, problem.train, scored, SHORT, test=scored, **options)
    assert result.scores["searched"] == {"valid": 7, "test": 7}
