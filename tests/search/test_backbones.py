# SPDX-License-Identifier: BSD-3-Clause
"""WRN-16-w has the parameters, strides and searched layers that DASH's backbone has."""

import pytest
import torch
from torch import nn

from dash_search.backbones import WideResNet

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
    assert WideResNet(3, 1, dense=True, squeeze=True)(x).shape == (1, 12, 10)  # the batch of one stays


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
        ({"in_channels": 1, "outputs": 2, "dense": True, "squeeze": True}, "squeeze needs"),
    ],
)
def test_bad_arguments(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WideResNet(**arguments)  # type: ignore[arg-type]
