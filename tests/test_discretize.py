# SPDX-License-Identifier: BSD-3-Clause
"""``discretize`` and ``apply_architecture``: from a searched model to the network that is trained again."""

import json

import pytest
import torch
from torch import nn

import dash_kernels as dk

SPACE = dk.SearchSpace(kernel_sizes=(3, 5, 4), dilations=(1, 2))


def network(width=4, **options):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, **options),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, groups=2, bias=False, **options),
        nn.Conv2d(width, 2 * width, 1, **options),
    )


def searched(**options):
    """A converted network whose first layer chose 5x5/2 and whose second chose 4x4/1."""
    model = network(**options)
    dk.convert(model, SPACE)
    with torch.no_grad():
        model[0].alpha[3] = 1.0
        model[2].alpha[4] = 1.0
    return model


CHOICES = {
    "0": {"kernel_size": [5, 5], "dilation": [2, 2]},
    "2": {"kernel_size": [4, 4], "dilation": [1, 1]},
}


class TestKeep:
    @pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
    def test_is_the_function_of_the_winners(self):
        model = searched(dtype=torch.float64)
        x = torch.randn(2, 3, 9, 7, dtype=torch.float64)
        y = x
        for layer in model:
            mixed = isinstance(layer, dk.MixedConv2d)
            y = layer(y, mixture=nn.functional.one_hot(layer.alpha.argmax(), 6).double()) if mixed else layer(y)
        assert dk.discretize(model) == CHOICES
        torch.testing.assert_close(model(x), y)

    def test_depthwise_stays_depthwise(self):
        model = searched()
        dk.discretize(model, weights="keep")
        assert [type(model[i]) for i in (0, 2, 3)] == [dk.Conv2d, dk.Conv2d, nn.Conv2d]
        assert (model[0].groups, model[2].groups) == (1, 4)

    def test_frozen_stays_frozen(self):
        model = searched()
        model[0].bias.requires_grad_(False)
        model[2].weight.requires_grad_(False)
        dk.discretize(model, weights="keep")
        assert [p.requires_grad for p in (model[0].weight, model[0].bias, model[2].weight)] == [True, False, False]

    def test_shared_layer_stays_shared(self):
        shared = dk.MixedConv1d(2, 2, kernel_sizes=(3,), dilations=(1, 2), causal=True)
        model = nn.ModuleDict({"a": shared, "b": shared})
        assert list(dk.discretize(model)) == ["a"]
        assert model["a"] is model["b"] and model["a"].causal


class TestFresh:
    def test_original_groups_and_new_weights(self):
        torch.manual_seed(0)
        model = searched(dtype=torch.float64).eval()
        kept = model[0].candidate_weight(3).clone()
        model[2].weight.requires_grad_(False)
        assert dk.discretize(model, weights="fresh") == CHOICES
        assert (model[0].groups, model[2].groups) == (1, 2)
        assert (model[0].kernel_size, model[0].dilation, model[0].padding) == ((5, 5), (2, 2), (4, 4))
        assert (model[2].kernel_size, model[2].padding, model[2].bias) == ((4, 4), "same", None)
        assert model[0].weight.shape == kept.shape and not torch.equal(model[0].weight, kept)
        assert 0.9 * 75**-0.5 < model[0].weight.abs().max() <= 75**-0.5  # torch's bound for 3 channels of 5x5
        assert model[0].weight.dtype == torch.float64 and not model[0].training

    def test_new_weights_of_a_frozen_model_are_trainable(self):
        model = searched()
        for layer in (model[0], model[2]):
            for parameter in layer.parameters():
                parameter.requires_grad_(False)
        dk.discretize(model, weights="fresh")
        assert all(parameter.requires_grad for layer in (model[0], model[2]) for parameter in layer.parameters())

    def test_hooks_move_on(self):
        model = searched()
        seen = []
        model[0].register_forward_hook(lambda module, args, output: seen.append(type(module)))
        dk.discretize(model, weights="fresh")
        model[0](torch.randn(1, 3, 9, 9))
        assert seen == [dk.Conv2d]


class TestArchitecture:
    def test_survives_json_and_fits_any_width(self):
        architecture = json.loads(json.dumps(dk.discretize(searched())))
        assert architecture == CHOICES
        wide = network(width=12, dtype=torch.float64).eval()
        untouched = wide[3]
        assert dk.apply_architecture(wide, architecture) is wide
        assert [layer.kernel_size for layer in (wide[0], wide[2], wide[3])] == [(5, 5), (4, 4), (1, 1)]
        assert [(layer.in_channels, layer.out_channels, layer.groups) for layer in (wide[0], wide[2])] == [
            (3, 12, 1),
            (12, 12, 2),
        ]
        assert type(wide[0]) is dk.Conv2d and wide[3] is untouched
        assert wide[0].weight.dtype == torch.float64 and not wide[0].training

    def test_same_as_a_fresh_discretization(self):
        model, fresh = searched(), network()
        dk.apply_architecture(fresh, dk.discretize(model, weights="fresh"))
        assert repr(fresh) == repr(model)
        fresh.load_state_dict(model.state_dict())

    def test_new_weights_of_a_frozen_model_are_trainable(self):
        model = network().requires_grad_(False)
        dk.apply_architecture(model, CHOICES)
        assert [p.requires_grad for p in model.parameters()] == [True, True, True, False, False]

    def test_what_has_the_choice_already_stays(self):
        model = network().requires_grad_(False)
        before, same = model[0], {"kernel_size": [*model[0].kernel_size], "dilation": [*model[0].dilation]}
        dk.apply_architecture(model, {"0": same, "2": CHOICES["2"]})
        assert model[0] is before and type(model[2]) is dk.Conv2d
        assert [p.requires_grad for p in (model[0].weight, model[2].weight)] == [False, True]

    def test_on_a_converted_model(self):
        model = network()
        dk.convert(model, SPACE)
        dk.apply_architecture(model, CHOICES)
        assert type(model[2]) is dk.Conv2d and model[2].groups == 2

    def test_nothing_mixed_is_an_empty_architecture(self):
        model = network()
        assert dk.discretize(model) == {}
        assert type(model[0]) is nn.Conv2d

    def test_strided_and_one_dimensional(self):
        model = nn.Sequential(nn.Conv1d(2, 4, 3, stride=2, padding=1))
        dk.apply_architecture(model, {"0": {"kernel_size": (7,), "dilation": (3,)}})
        assert model(torch.randn(1, 2, 9)).shape == (1, 4, 5)

    @pytest.mark.parametrize("architecture", [None, [("0", CHOICES["0"])], "0"])
    def test_architecture_that_is_no_mapping(self, architecture):
        with pytest.raises(TypeError, match="architecture is a"):
            dk.apply_architecture(network(), architecture)

    @pytest.mark.parametrize(
        ("architecture", "error", "complaint"),
        [
            ({"stem": CHOICES["0"]}, ValueError, "no modules 'stem'"),
            ({"1": CHOICES["0"]}, ValueError, "1: it is a ReLU, no convolution"),
            ({"0": {"kernel_size": [3, 3, 3], "dilation": [1, 1, 1]}}, ValueError, "0: kernel_size is"),
            ({"0": {"kernel_size": [3, 0], "dilation": [1, 1]}}, ValueError, r"0: kernel_size\[1\] is 0"),
            ({"0": {"kernel_size": [3, 3.5], "dilation": [1, 1]}}, TypeError, r"0: kernel_size\[1\] is 3.5"),
            ({"0": {"kernel_size": [3, 3]}}, TypeError, "0: the choice is"),
            ({"0": [3, 3]}, TypeError, "0: the choice is"),
        ],
    )
    def test_refusals_change_nothing(self, architecture, error, complaint):
        model = network()
        before = list(model.modules())
        with pytest.raises(error, match=complaint):
            dk.apply_architecture(model, {"2": CHOICES["2"]} | architecture)
        assert all(a is b for a, b in zip(before, model.modules(), strict=True))

    def test_shared_module_has_one_choice(self):
        shared = nn.Conv2d(2, 2, 3, padding=1)
        with pytest.raises(ValueError, match="b: it is the module named before"):
            dk.apply_architecture(nn.ModuleDict({"a": shared, "b": shared}), {"a": CHOICES["0"], "b": CHOICES["2"]})

    def test_stride_that_cannot_have_the_choice(self):
        model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1))
        with pytest.raises(ValueError, match=r"0: kernel size \(4, 4\) .* stride"):
            dk.apply_architecture(model, {"0": CHOICES["2"]})


@pytest.mark.parametrize(
    "change",
    [dk.discretize, dk.arch_parameters, dk.weight_parameters, lambda model: dk.apply_architecture(model, CHOICES)],
)
def test_what_is_no_module(change):
    for model in (None, "model", {"0": nn.ReLU()}):
        with pytest.raises(TypeError, match="model is a .*: give an nn.Module"):
            change(model)


def test_refusals_of_discretize():
    with pytest.raises(ValueError, match="weights is 'old'"):
        dk.discretize(searched(), weights="old")
    with pytest.raises(ValueError, match=r"use its to_conv\(\)"):
        dk.discretize(dk.MixedConv1d(1, 1, kernel_sizes=(3,), dilations=(1,)))
    model = searched()
    with torch.no_grad():
        model[2].alpha[0] = float("nan")
    with pytest.raises(ValueError, match="2: alpha contains NaN"):
        dk.discretize(model)
    assert isinstance(model[0], dk.MixedConv2d)
