# SPDX-License-Identifier: BSD-3-Clause
"""Networks as programs of torch alone: every padding, every backbone, and nothing that is wrong is written."""

from pathlib import Path

import pytest
import torch
from torch import nn

import dash_kernels as dk
from dash_search import SettingsError, export, export_program
from dash_search.data.splits import Splits
from dash_search.export import with_torch_convolutions

from .test_networks import DISTINCT, PART

CONVOLUTIONS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "wide": (dk.Conv2d(2, 3, 9, padding=12, dilation=3), (8, 7)),
    "strided, grouped, no bias": (dk.Conv2d(2, 4, 3, 2, padding=1, groups=2, bias=False), (8, 7)),
    "same, even kernel": (dk.Conv1d(2, 3, 8, padding="same", dilation=3), (9,)),
    "same, odd and even": (dk.Conv2d(2, 3, (4, 3), padding="same"), (5, 6)),
    "valid": (dk.Conv2d(2, 3, (4, 3), padding="valid"), (5, 6)),
    "causal": (dk.Conv1d(2, 3, 3, dilation=4, causal=True), (9,)),
    "causal, replicate": (dk.Conv1d(2, 3, 3, dilation=4, causal=True, padding_mode="replicate"), (9,)),
    "reflect": (dk.Conv2d(2, 3, 3, padding=(2, 1), dilation=(2, 1), padding_mode="reflect"), (5, 6)),
    "circular": (dk.Conv2d(2, 3, (3, 5), padding=(1, 2), padding_mode="circular"), (5, 6)),
    "circular, three times around": (dk.Conv1d(2, 3, 5, padding=14, dilation=7, padding_mode="circular"), (4,)),
    "three axes": (dk.Conv3d(2, 3, 3, padding=1, padding_mode="circular"), (3, 4, 5)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_of_torch_compute_the_same(name: str) -> None:
    conv, size = CONVOLUTIONS[name]
    shared = nn.Sequential(conv, nn.Identity()).double()
    x = torch.randn(3, 2, *size, dtype=torch.float64)
    wanted = shared(x)
    plain = with_torch_convolutions(shared)
    assert not any(type(module).__module__.startswith("dash_kernels") for module in plain.modules())
    torch.testing.assert_close(plain(x), wanted)
    assert {id(p) for p in plain.parameters()} == {id(p) for p in conv.parameters()}


@pytest.mark.parametrize("conv", [dk.Conv1d(2, 3, 4, padding="same"), dk.Conv2d(2, 3, 3, padding=1)])
def test_a_lone_convolution_and_one_used_twice(conv: nn.Module, tmp_path: Path) -> None:
    x = torch.randn(1, 2, *[6] * (conv.weight.dim() - 2))  # type: ignore[operator, union-attr]
    export_program(conv, x, tmp_path / "one.pt2")
    twice = nn.ModuleDict({"a": conv, "b": conv})
    with_torch_convolutions(twice)
    assert twice["a"] is twice["b"] is not conv


# a task for each kind of network; left out are fno-conv, which test_kept exports, and two of the same layers as these
BACKBONES = {name: task for task in reversed(DISTINCT) for name in task.backbones}
for _name in ("fno-conv", "deepsea", "resnet1d"):
    del BACKBONES[_name]


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_with_kernels_that_are_not_their_own(name: str, tmp_path: Path) -> None:
    build, splits = BACKBONES[name].backbones[name].build, Splits(PART, PART, PART)
    network = build(1, splits)
    first = next(m for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d))
    ndim = len(first.kernel_size)
    searched = dk.convert(build(1, splits), dk.SearchSpace((3,), (1,))).replaced
    dk.apply_architecture(network, {layer: {"kernel_size": [3] * ndim, "dilation": [7] * ndim} for layer in searched})
    x = torch.randn(2, first.in_channels, *(8,) * ndim)
    network(x)  # running statistics that are not those of a fresh network
    export_program(network, x, tmp_path / "network.pt2")  # runs what it wrote beside the network
    assert network.training and (tmp_path / "network.pt2").exists()


def test_program_has_operators_of_torch_alone_and_takes_any_batch(tmp_path: Path) -> None:
    network = nn.Sequential(dk.Conv2d(1, 4, 5, padding=6, dilation=3), nn.BatchNorm2d(4), nn.Dropout())
    x = torch.randn(6, 1, 8, 8)
    network(x)
    export_program(network, x[:1], str(tmp_path / "network.pt2"))
    loaded = torch.export.load(tmp_path / "network.pt2")
    operators = [str(node.target) for node in loaded.graph.nodes if node.op == "call_function"]
    assert operators and all(operator.startswith("aten.") for operator in operators)
    assert not any(weights.requires_grad for weights in loaded.parameters())
    network.eval()
    for batch in (1, 2, 6):
        torch.testing.assert_close(loaded.module()(x[:batch]), network(x[:batch]))


def test_mixtures_are_refused(tmp_path: Path) -> None:
    mixed = nn.Sequential(dk.MixedConv2d(1, 2, kernel_sizes=(3,), dilations=(1, 2)))
    with pytest.raises(SettingsError, match="it computes dash_kernels.*give .* a kernel by discretize first"):
        export_program(mixed, torch.randn(2, 1, 8, 8), tmp_path / "network.pt2")


class Loop(nn.Module):
    """Takes as many steps as its input says, which no graph can."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while x.sum() < 100:
            x = x + 1
        return x


def test_what_torch_cannot_trace_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="the network cannot be exported"):
        export_program(Loop(), torch.randn(2, 3), tmp_path / "network.pt2")
    assert not list(tmp_path.iterdir())


class Two(nn.Module):
    """Returns two results."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


class Largest(nn.Module):
    """Returns whole numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.argmax(1)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Two(), "the network returns tuple: it must return one tensor"),
        (Largest(), "the network returns torch.int64: it must return one tensor of real floating point"),
        (nn.Linear(7, 2), r"the network fails on inputs \(2, 3\): RuntimeError"),
    ],
)
def test_networks_that_no_program_can_stand_for(network: nn.Module, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=message):
        export_program(network, torch.randn(2, 3), tmp_path / "network.pt2")


def test_no_other_file_is_touched(tmp_path: Path) -> None:
    beside = tmp_path / "network.tmp"
    beside.write_text("mine")
    export_program(nn.Linear(3, 2), torch.randn(2, 3), tmp_path / "network.pt2")
    assert beside.read_text() == "mine" and len(list(tmp_path.iterdir())) == 2


def test_a_program_that_computes_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(network: nn.Module) -> nn.Module:
        return nn.Sequential(with_torch_convolutions(network), nn.Hardtanh(-1.0, 1.0))

    monkeypatch.setattr(export, "with_torch_convolutions", wrong)
    network, path = nn.Sequential(dk.Conv2d(1, 4, 3)), tmp_path / "network.pt2"
    path.write_text("before")
    export_program(network, torch.zeros(2, 1, 8, 8), path)  # the same function on these inputs
    path.write_text("before")
    with pytest.raises(SettingsError, match="the exported program is wrong: on 2 samples it differs"):
        export_program(network, 100 * torch.randn(2, 1, 8, 8), path)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
