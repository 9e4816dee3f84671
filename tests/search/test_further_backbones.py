# SPDX-License-Identifier: BSD-3-Clause
"""TCN, DeepSEA, ConvNeXt, DeepCon and FNO-conv: sizes, what is searched, and what each promises of its outputs."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

import dash_kernels as dk
from dash_search import Config
from dash_search.backbones import TCN, ConvNeXt, DeepCon, DeepSEA, FNOConv
from dash_search.stages import SearchSteps, build_supernet, choice

from .test_backbones import seen_by_step

SPACE = {"kernel_sizes": (3, 5), "dilations": (1, 3)}


@dataclass(frozen=True)
class Case:
    """A backbone in its full size and in a small one.

    Attributes:
        full: Builds it as in its task; it has so many ``parameters``.
        small: Builds it for inputs of ``shape``; its outputs have the shape ``outputs``.
        searched: How many convolutions are, of which ``depthwise`` become depthwise in the search.
    """

    full: Callable[[], nn.Module]
    parameters: int
    small: Callable[[], nn.Module]
    shape: tuple[int, ...]
    outputs: tuple[int, ...]
    searched: int
    depthwise: int


# per stage of ConvNeXt: channels, blocks
STAGES = ((16, 3), (32, 3), (64, 9), (128, 3))

CASES = {
    "TCN": Case(lambda: TCN(1, 10), 1_056_910, lambda: TCN(2, 3, channels=4), (2, 30), (3,), 16, 15),
    "DeepSEA": Case(
        lambda: DeepSEA(4, 36, 1000), 60_017_461, lambda: DeepSEA(4, 3, 37, channels=4), (4, 37), (3,), 3, 0
    ),
    "ConvNeXt": Case(
        lambda: ConvNeXt(3, 100),
        (3 * 25 + 1 + 2) * 16  # the stem and its norm
        + sum(2 * n // 2 + (9 * n // 2 + 1) * n for n, _ in STAGES[1:])
        + sum(blocks * (2 * n * 4 * n + (49 + 1 + 2 + 4 + 1 + 1) * n) for n, blocks in STAGES)
        + (2 + 100) * 128
        + 100,
        lambda: ConvNeXt(3, 5, channels=3),
        (3, 8, 9),
        (5,),
        22,
        18,
    ),
    "DeepCon": Case(lambda: DeepCon(57, 1), 38_595, lambda: DeepCon(5, 1, channels=4), (5, 8, 9), (1, 8, 9), 17, 16),
    "FNO-conv": Case(
        lambda: FNOConv(3, 1),
        4 * 32 + 4 * (169 * 32 * 32 + 33 * 32 + 2 * 32) + 33 * 128 + 129,
        lambda: FNOConv(3, 1, channels=4),
        (3, 8, 9),
        (1, 8, 9),
        4,
        4,
    ),
}
every_backbone = pytest.mark.parametrize("name", CASES)


def convolutions(model: nn.Module) -> dict[str, dk.Conv1d | nn.Conv2d]:
    """Those larger than 1x1, by name."""
    found = {name: m for name, m in model.named_modules() if isinstance(m, dk.Conv1d | nn.Conv2d)}
    return {name: conv for name, conv in found.items() if any(k > 1 for k in conv.kernel_size)}


def supernet(model: nn.Module) -> nn.Module:
    return build_supernet(model, Config(**SPACE))


def some_choices(model: nn.Module) -> dict[str, dict[str, list[int]]]:
    """A kernel for every searched convolution, not the same for neighbours."""
    layers = {name: m for name, m in supernet(model).named_modules() if isinstance(m, dk.MixedConv1d | dk.MixedConv2d)}
    return {name: choice(layer.candidates[i % 4]) for i, (name, layer) in enumerate(layers.items())}


@every_backbone
def test_parameters_and_convolutions_that_are_searched(name: str) -> None:
    case = CASES[name]
    with torch.device("meta"):
        model = case.full()
    assert sum(p.numel() for p in model.parameters()) == case.parameters
    expected = convolutions(model)
    assert {step for conv in expected.values() for step in conv.stride} == {1}
    report = dk.convert(model, dk.SearchSpace(**SPACE))
    assert [row.name for row in report.rows if row.replaced] == [*expected] and len(expected) == case.searched
    assert {row.reason for row in report.rows if not row.replaced} <= {"its kernel has one tap"}
    mixed = [m for m in model.modules() if isinstance(m, dk.MixedConv1d | dk.MixedConv2d)]
    assert sum(m.groups == m.in_channels > 1 for m in mixed) == case.depthwise


@every_backbone
def test_module_names_do_not_depend_on_the_width(name: str) -> None:
    kinds = {"TCN": TCN, "DeepSEA": DeepSEA, "ConvNeXt": ConvNeXt, "DeepCon": DeepCon, "FNO-conv": FNOConv}
    rest = (32,) if name == "DeepSEA" else ()
    names = [[key for key, _ in kinds[name](3, 2, *rest, channels=n).named_modules()] for n in (2, 6)]
    assert names[0] == names[1]


@every_backbone
def test_a_step_of_the_search_moves_all_logits(name: str) -> None:
    torch.manual_seed(0)
    case = CASES[name]
    model = supernet(case.small())
    step, before = SearchSteps(model, Config(**SPACE)), [p.detach().clone() for p in dk.arch_parameters(model)]
    outputs: Tensor = model(torch.randn(3, *case.shape))
    assert outputs.shape == (3, *case.outputs)
    nn.functional.mse_loss(outputs, torch.ones_like(outputs)).backward()
    assert all(logits.grad is not None and logits.grad.any() for logits in dk.arch_parameters(model))
    step()
    for logits, old in zip(dk.arch_parameters(model), before, strict=True):
        assert logits.isfinite().all() and not logits.equal(old)


@every_backbone
def test_every_convolution_takes_a_choice_of_its_own(name: str) -> None:
    torch.manual_seed(0)
    case = CASES[name]
    plain = case.small()
    found = some_choices(plain)
    model = dk.apply_architecture(copy.deepcopy(plain), found)
    for key, conv in convolutions(model).items():
        assert {"kernel_size": list(conv.kernel_size), "dilation": list(conv.dilation)} == found[key]
        assert conv.groups == dict(plain.named_modules())[key].groups  # dense again where the search was depthwise
    assert model(torch.randn(2, *case.shape)).shape == (2, *case.outputs)


@every_backbone
def test_the_winners_alone_are_the_mixture_of_one(name: str) -> None:
    torch.manual_seed(0)
    case = CASES[name]
    model = supernet(case.small()).double().eval()
    mixed = [m for m in model.modules() if isinstance(m, dk.MixedConv1d | dk.MixedConv2d)]
    for i, layer in enumerate(mixed):
        layer.alpha.data[i % 4] = 1e4  # beside it the others' shares are 0
    for scale in (p for key, p in model.named_parameters() if key.endswith(".scale")):
        nn.init.ones_(scale)  # of ConvNeXt's blocks, which begin as nearly nothing
    x = torch.randn(2, *case.shape, dtype=torch.float64)
    with torch.no_grad():
        mixture = model(x)
        dk.discretize(model, weights="keep")
        assert mixture.std() > 0
        torch.testing.assert_close(model(x), mixture, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("stage", ["default", "search", "found"])
def test_tcn_sees_no_later_step(stage: str) -> None:
    torch.manual_seed(0)
    model: nn.Module = TCN(2, 3, channels=4, dense=True)
    nn.init.normal_(model.levels[0].shortcut.weight)  # type: ignore[union-attr, arg-type]
    if stage == "search":
        model = supernet(model)
    elif stage == "found":
        dk.apply_architecture(model, some_choices(model))
    seen = seen_by_step(model, 40, 61)
    assert min(seen) < 20 and max(seen) == 40


def test_tcn_of_a_point_task_looks_at_the_last_step_of_the_dense_one() -> None:
    torch.manual_seed(0)
    dense, point = TCN(2, 3, channels=4, dense=True).eval(), TCN(2, 3, channels=4).eval()
    point.load_state_dict(dense.state_dict())
    x = torch.randn(2, 2, 30)
    assert dense(x).shape == (2, 3, 30)
    torch.testing.assert_close(point(x), dense(x)[:, :, -1])


def test_tcn_is_what_its_paper_says() -> None:
    torch.manual_seed(0)
    model = TCN(1, 2, channels=3, dropout=0.5).eval()
    convs = [*convolutions(model).values()]
    assert [conv.dilation for conv in convs] == [(2 ** (i // 2),) for i in range(16)]
    assert abs(float(torch.cat([conv.weight.detach().flatten() for conv in convs]).std()) - 0.01) < 1e-3
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.5] * 16
    level, x = model.levels[0], torch.randn(1, 1, 20)
    h = x
    for half in level.halves:  # type: ignore[union-attr]
        h = half.bn(nn.functional.conv1d(nn.functional.pad(h, (6, 0)), half.conv.weight, half.conv.bias)).relu()
    torch.testing.assert_close(level(x), (h + level.shortcut(x)).relu())  # type: ignore[operator]


def test_deepsea_fits_one_length() -> None:
    assert DeepSEA(4, 2, 16, channels=2)(torch.randn(1, 4, 16)).shape == (1, 2)
    assert [m.p for m in DeepSEA(4, 2, 16, channels=2).modules() if isinstance(m, nn.Dropout)] == [0.2, 0.5]
    with pytest.raises(ValueError, match="length is 15: it must be at least 16"):
        DeepSEA(4, 2, 15, channels=2)


def test_convnext_begins_near_the_identity_and_norms_channels() -> None:
    torch.manual_seed(0)
    model = ConvNeXt(3, 5, channels=4)
    x = torch.randn(2, 4, 6, 7)
    block = model.stages[0][1]  # type: ignore[index]
    torch.testing.assert_close(block(x), x, rtol=0, atol=1e-4)
    assert not torch.equal(block(x), x)
    norm = model.stages[0][0][1](x)  # type: ignore[index]
    expected = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, unbiased=False) + 1e-6).sqrt()
    torch.testing.assert_close(norm, expected)
    assert all(conv.groups == conv.in_channels for conv in convolutions(model).values() if conv.kernel_size == (7, 7))


def test_deepcon_dilates_and_is_not_negative() -> None:
    torch.manual_seed(0)
    model = DeepCon(5, 1, channels=4)
    second = [conv.dilation[0] for conv in convolutions(model).values()][1:16:2]
    assert second == [1, 2, 4, 1, 2, 4, 1, 2]
    outputs = model(torch.randn(4, 5, 8, 9))
    assert (outputs >= 0).all() and (outputs > 0).any() and (outputs == 0).any()
    dropped = model.blocks[0].dropout(torch.ones(50, 4, 2, 2))  # type: ignore[union-attr, operator]
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert torch.equal(dropped.amax((2, 3)), dropped.amin((2, 3)))  # whole channels


@pytest.mark.parametrize("stage", ["default", "search", "found"])
def test_fno_conv_has_no_edge(stage: str) -> None:
    torch.manual_seed(0)
    model: nn.Module = FNOConv(3, 2, channels=4)
    if stage == "search":
        model = supernet(model)
    elif stage == "found":
        dk.apply_architecture(model, some_choices(model))
    model = model.double().eval()
    x = torch.randn(1, 3, 9, 8, dtype=torch.float64)
    moved = model(x.roll((2, 5), (2, 3)))
    torch.testing.assert_close(moved, model(x).roll((2, 5), (2, 3)))
    assert not torch.allclose(moved, model(x))
    assert all(layer.conv.bias is None for layer in model.layers)  # type: ignore[union-attr]


@pytest.mark.parametrize("cls", [TCN, ConvNeXt, DeepCon, FNOConv, DeepSEA])
def test_bad_arguments(cls: type[nn.Module]) -> None:
    rest = {"length": 16} if cls is DeepSEA else {}
    for name in ("in_channels", "outputs", "channels"):
        with pytest.raises(ValueError, match=f"{name} is 0"):
            cls(**{"in_channels": 1, "outputs": 1, **rest, name: 0})
    if cls is TCN:
        with pytest.raises(ValueError, match="dropout is 2"):
            cls(1, 1, dropout=2)
