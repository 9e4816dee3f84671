# SPDX-License-Identifier: BSD-3-Clause
"""The backbones as tasks name them: what a run builds out of its settings."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn
from torch.utils.data import TensorDataset

from dash_search import run as run_module
from dash_search.data.splits import Splits
from dash_search.tasks import TASKS, Task


class Stopped(Exception):
    """Before the search begins."""


def built(task: Task, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **changes: object) -> tuple[nn.Module, ...]:
    """The networks that a run would search and train, without its data."""
    given: list[nn.Module] = []

    def search(model: nn.Module, *_: Any, final_model: nn.Module, **__: Any) -> None:
        given.extend((model, final_model))
        raise Stopped

    part = TensorDataset(torch.zeros(1), torch.zeros(1))
    monkeypatch.setattr(run_module, "search", search)
    task = dataclasses.replace(task, files=(), load=lambda _: Splits(part, part, part))
    config = task.defaults.model_copy(update=changes)
    with pytest.raises(Stopped):
        run_module.run_task(task, config, tmp_path, resume=False, console=Console(quiet=True))
    return tuple(given)


def shares(network: nn.Module) -> set[float]:
    return {module.p for module in network.modules() if isinstance(module, nn.Dropout)}


@pytest.mark.parametrize("name", ["mnist5k", "smnist5k"])
def test_only_the_networks_that_are_trained_drop_values(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    supernet, network = built(TASKS[name], monkeypatch, tmp_path, dropout=0.05)
    assert shares(supernet) == {0.0} and shares(network) == {0.05}
    supernet, network = built(TASKS[name], monkeypatch, tmp_path)
    assert shares(supernet) == shares(network) == {0.0}
