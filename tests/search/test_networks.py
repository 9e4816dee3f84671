# SPDX-License-Identifier: BSD-3-Clause
"""The backbones as tasks name them: what a run builds out of its settings."""

import dataclasses
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn
from torch.utils.data import TensorDataset

import dash_kernels as dk
from dash_search import SettingsError
from dash_search.data.splits import Splits
from dash_search.run import load_problem, run_task
from dash_search.tasks import TASKS, Backbone, Task
from dash_search.tasks.networks import convnext, deepcon, deepsea, fno_conv

PART = TensorDataset(torch.zeros(1), torch.zeros(1))


def built(task: Task, **changes: object) -> tuple[nn.Module, nn.Module]:
    """The networks that a run would search and train, without its data."""
    task = dataclasses.replace(task, files=(), load=lambda _: Splits(PART, PART, PART))
    config = task.defaults.model_copy(update=changes)
    problem = load_problem(task, config, Console(quiet=True), tunes=False)
    return problem.model, problem.final_model


def shares(network: nn.Module) -> set[float]:
    return {module.p for module in network.modules() if isinstance(module, nn.Dropout)}


@pytest.mark.parametrize("name", ["mnist5k", "smnist5k"])
def test_only_the_networks_that_are_trained_drop_values(name: str) -> None:
    supernet, network = built(TASKS[name], dropout=0.05)
    assert shares(supernet) == {0.0} and shares(network) == {0.05}
    supernet, network = built(TASKS[name])
    assert shares(supernet) == shares(network) == {0.0}


# convolutions that are searched
SEARCHED = {"wrn": 13, "resnet1d": 9, "tcn": 16, "deepsea": 3, "convnext": 22, "deepcon": 17, "fno-conv": 4}


# one task of those that share their networks
DISTINCT = list({id(task.backbones): task for task in TASKS.values()}.values())


@pytest.mark.parametrize("task", DISTINCT, ids=lambda task: task.name)
def test_all_networks_of_a_task_are_of_one_kind(task: Task) -> None:
    networks = {name: backbone.build(1, Splits(PART, PART, PART)) for name, backbone in task.backbones.items()}
    first = next(m for m in networks[task.defaults.backbone].modules() if isinstance(m, nn.Conv1d | nn.Conv2d))
    size = (1000,) if "deepsea" in networks else (16,) * len(first.kernel_size)
    x = torch.randn(2, first.in_channels, *size)
    assert len({network(x).shape for network in networks.values()}) == 1
    for name, network in networks.items():
        report = dk.convert(network, dk.SearchSpace((3,), (1,)))
        assert len(report.replaced) == SEARCHED[name]


def test_networks_draw_their_convolutions_as_they_are_built() -> None:
    for task in DISTINCT:
        for backbone in task.backbones.values():
            if backbone.initialise is None:
                continue
            network = backbone.build(1, Splits(PART, PART, PART))
            convs = [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d) and m.weight.numel() > 999]
            built = [float(conv.weight.detach().std()) for conv in convs]
            for conv in convs:
                nn.init.zeros_(conv.weight)
            backbone.initialise(network)
            assert [float(conv.weight.detach().std()) for conv in convs] == pytest.approx(built, rel=0.1)


@pytest.mark.parametrize("network", [deepsea(4, 2, 16), convnext(1, 2), deepcon(5, 1), fno_conv(3, 1)])
def test_dropout_that_cannot_be_set_is_refused(network: Backbone) -> None:
    with pytest.raises(SettingsError, match="dropout is 0.1: .* has none that can be set"):
        network.build(1, Splits(PART, PART, PART), 0.1)


def test_a_run_with_another_network(flows: Path, tmp_path: Path) -> None:
    task = TASKS["darcy16"]
    budget = {"search_epochs": 1, "search_fraction": 0.01, "epochs": 1, "plain": False, "backbone": "fno-conv"}
    config = task.defaults.model_copy(update={**budget, "kernel_sizes": (3,), "dilations": (1, 3)})
    result = run_task(task, config, tmp_path / "run", resume=False, console=Console(quiet=True))
    assert len(result.architecture) == 4 and set(result.scores["searched"]) == {"valid", "test"}
