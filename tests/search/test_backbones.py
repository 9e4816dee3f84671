# SPDX-License-Identifier: BSD-3-Clause
"""WRN-16-w and ResNet1D have the parameters, strides and searched layers that DASH's backbones have."""

import pytest
import torch
from torch import nn

import dash_kernels as dk
from dash_search.backbones import ResNet1D, WideResNet

# (input channels, outputs, dense): parameters at w = 1, at w = 4
COUNTS = {
    "CIFAR-100": (3, 100, False, 181_476, 2_774_276),
    "Darcy": (3, 1, True, 175_041, 2_748_833),
    "PSICOV": (57, 1, True, 182_817, 2_756_609),
    "NinaPro": (1, 18, False, 175_858, 2_752_914),
    "Cosmic": (1, 1, True, 174_753, 2_748_545),
    "FSD50K": (1, 200, False, 187_688, 2_799_688),
}


@pytest.mark.parametrize("task", COUNTS)
def test_parameter_counts(task: str) -> None:
    in_channels, outputs, dense, narrow, wide = COUNTS[task]
    for width, expected in ((1, narrow), (4, wide)):
        model = WideResNet(in_channels, outputs, width=width, dense=dense)
        assert sum(p.numel() for p in model.parameters()) == expected


def searched(model: nn.Module) -> list[nn.Conv2d]:
    return [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]


def test_thirteen_convolutions_in_order_and_strides_at_six_and_ten() -> None:
    convs = searched(WideResNet(3, 10))
    assert len(convs) == 13
    assert [i for i, conv in enumerate(convs) if conv.stride == (2, 2)] == [6, 10]
    assert [i for i, conv in enumerate(convs) if conv.in_channels != conv.out_channels] == [0, 5, 9]
    assert not [conv for conv in searched(WideResNet(3, 1, dense=True)) if conv.stride != (1, 1)]


def test_shapes_of_point_and_dense_outputs() -> None:
    x = torch.randn(1, 3, 12, 10)
    assert WideResNet(3, 7)(x).shape == (1, 7)
    assert WideResNet(3, 2, dense=True)(x).shape == (1, 2, 12, 10)


def test_module_names_do_not_depend_on_the_width() -> None:
    names = [[name for name, _ in WideResNet(3, 10, width=w).named_modules()] for w in (2, 3)]
    assert names[0] == names[1]


def test_initialisation_and_momentum() -> None:
    model = WideResNet(3, 10, width=2)
    conv = model.groups[1][1].conv2  # type: ignore[index, union-attr]
    assert isinstance(conv, nn.Conv2d) and conv.bias is not None
    bound = (2 * 6 / (9 * 64 + 9 * 64)) ** 0.5
    assert 0.95 * bound < float(conv.weight.detach().abs().max()) <= bound
    assert not conv.bias.detach().any()
    assert model.bn.momentum == 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": 0, "outputs": 1}, "in_channels is 0"),
        ({"in_channels": 1, "outputs": 1, "width": 0}, "width is 0"),
        ({"in_channels": 1, "outputs": 1, "dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_bad_arguments(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WideResNet(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("cls", [WideResNet, ResNet1D])
def test_dropout_acts_on_training_alone_and_between_the_convolutions(cls: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = cls(1, 2, dropout=0.5)
    layers = [m for m in model.modules() if isinstance(m, nn.Dropout)]
    assert len(layers) == {WideResNet: 6, ResNet1D: 9}[cls]  # one a block, one a convolution
    dropped: list[torch.Tensor] = []
    for layer in layers:
        layer.register_forward_hook(lambda layer, given, out: dropped.append((out == 0).double().mean()))
    x = torch.randn(4, 1, 16, *(16,) * (cls is WideResNet))
    assert not torch.equal(model(x), model(x))
    assert all(0.3 < share < 0.7 for share in dropped) and len(dropped) == 2 * len(layers)
    assert torch.equal(model.eval()(x), model(x)) and not any(dropped[2 * len(layers) :])
    names = [name for name, _ in cls(1, 2).named_modules()]
    assert names == [name for name, _ in model.named_modules()]


# (input channels, outputs, dense): parameters
COUNTS_1D = {
    "ECG": (1, 4, False, 2_240),
    "MNIST": (1, 10, False, 32_570),
    "Satellite": (1, 24, False, 506_840),
    "DeepSEA": (4, 36, False, 510_116),
    "MUSIC": (88, 88, True, 565_208),
}


@pytest.mark.parametrize("task", COUNTS_1D)
def test_parameter_counts_of_sequences(task: str) -> None:
    in_channels, outputs, dense, expected = COUNTS_1D[task]
    model = ResNet1D(in_channels, outputs, dense=dense)
    assert sum(p.numel() for p in model.parameters()) == expected


def convolutions(model: nn.Module) -> list[nn.Conv1d]:
    return [m for m in model.modules() if isinstance(m, nn.Conv1d) and m.kernel_size != (1,)]


def test_nine_convolutions_of_which_the_search_keeps_two_dense() -> None:
    model = ResNet1D(1, 10)
    assert [conv.kernel_size for conv in convolutions(model)] == [(8,), (5,), (3,)] * 3
    assert [i for i, conv in enumerate(convolutions(model)) if conv.in_channels != conv.out_channels] == [0, 3]
    assert [block.shortcut is None for block in model.blocks] == [False, False, True]
    report = dk.convert(model, dk.SearchSpace((3, 5), (1, 7)))
    assert len(report.replaced) == 9 and [row.replaced for row in report.rows].count(False) == 2
    assert {report.rows[i].reason for i, row in enumerate(report.rows) if not row.replaced} == {
        "its kernel has one tap"
    }


def test_shapes_of_sequences() -> None:
    x = torch.randn(2, 3, 21)
    assert ResNet1D(3, 7)(x).shape == (2, 7)
    assert ResNet1D(3, 7, dense=True)(x).shape == (2, 7, 21)
    assert ResNet1D(3, 7, channels=5).blocks[2].convs[0].conv.in_channels == 10


def seen_by_step(model: nn.Module, step: int, length: int) -> list[int]:
    """The input steps that an output step of a dense network depends on."""
    x = torch.randn(1, 2, length, dtype=torch.float64, requires_grad=True)
    for module in model.double().eval().modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.ones_(module.bias)  # no ReLU of a small net is shut for good
    model(x)[0, :, step].sum().backward()
    assert x.grad is not None
    weights = x.grad.abs().sum(dim=(0, 1))
    return [int(i) for i in (weights > 1e-12 * weights.max()).nonzero()]  # a transform rounds


@pytest.mark.parametrize("stage", ["default", "search", "found"])
def test_padding_is_the_same_in_every_stage(stage: str) -> None:
    """Centred stays centred and causal stays causal with the default, the mixed and the chosen kernels."""
    length, step = 61, 40
    for causal in (False, True):
        model = ResNet1D(2, 3, channels=4, dense=True, causal=causal)
        if stage == "search":
            dk.convert(model, dk.SearchSpace((3, 5), (1, 3)))
        elif stage == "found":
            names = [name for name, m in model.named_modules() if isinstance(m, dk.Conv1d)]
            dk.apply_architecture(model, {name: {"kernel_size": [5], "dilation": [3]} for name in names})
        seen = seen_by_step(model, step, length)
        assert min(seen) < step
        assert max(seen) == step if causal else max(seen) > step + 9


@pytest.mark.parametrize("name", ["in_channels", "outputs", "channels"])
def test_bad_arguments_of_sequences(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0"):
        ResNet1D(**{"in_channels": 1, "outputs": 1, name: 0})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dropout is -0.1"):
        ResNet1D(1, 1, dropout=-0.1)
