# SPDX-License-Identifier: BSD-3-Clause
"""``convert``: which convolutions become mixtures, what is kept of them, and what the report says."""

import copy
import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import dash_kernels as dk

SPACE = dk.SearchSpace(kernel_sizes=(3, 5), dilations=(1, 2))


class Block(nn.Module):
    """A residual block as one finds them: a stride, a 1×1 shortcut, a normalisation."""

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride)

    def forward(self, x):
        return self.conv2(self.norm(self.conv1(x)).relu()) + self.shortcut(x)


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), Block(4, 8, 2), Block(8, 8, 1))


def converted(conv, **options):
    """What stands in the place of ``conv`` afterwards, and its row of the report."""
    model = nn.Sequential(conv)
    report = dk.convert(model, SPACE, **options)
    return model[0], report.rows[0]


class TestWhatIsReplaced:
    def test_a_whole_network(self):
        model = network()
        shape = model(x := torch.randn(2, 3, 9, 9)).shape
        report = dk.convert(model, SPACE)
        assert report.replaced == ("0", "2.conv1", "2.conv2", "3.conv1", "3.conv2")
        assert [row.name for row in report.rows if not row.replaced] == ["2.shortcut", "3.shortcut"]
        assert model(x).shape == shape
        assert all(isinstance(model.get_submodule(name), dk.MixedConv2d) for name in report.replaced)

    @pytest.mark.parametrize(
        "conv",
        [
            nn.Conv1d(2, 4, 3, padding=1),
            nn.Conv2d(2, 4, 3, padding="same"),
            nn.Conv2d(2, 4, 4, padding="same", dilation=3),
            nn.Conv2d(2, 4, (1, 3), padding=(0, 2), dilation=(1, 2), stride=(2, 1)),
            nn.Conv3d(2, 4, 3, padding=1),
            dk.Conv1d(2, 4, 3, padding=1),
            dk.Conv2d(2, 4, 3, padding=1),
            dk.Conv3d(2, 4, 3, padding=1),
        ],
        ids=str,
    )
    def test_exact_types_with_size_over_stride_outputs(self, conv):
        mixed, row = converted(conv)
        assert type(mixed) is (dk.MixedConv1d, dk.MixedConv2d, dk.MixedConv3d)[len(conv.stride) - 1]
        assert mixed.stride == conv.stride and mixed.candidates == SPACE.candidates(len(conv.stride))
        assert row.replaced and row.reason == "4 candidates"

    @pytest.mark.parametrize(
        ("conv", "reason"),
        [
            (nn.Conv2d(2, 4, 1), "one tap"),
            (nn.Conv1d(2, 4, 1, stride=2), "one tap"),
            (nn.Conv2d(2, 4, 3), r"padding=\(0, 0\) does not give"),
            (nn.Conv2d(2, 4, 3, padding="valid"), "padding='valid' does not give"),
            (nn.Conv2d(2, 4, 3, padding=(1, 0)), r"padding=\(1, 0\)"),
            (nn.Conv2d(2, 4, 2, stride=2), "padding"),
            (nn.Conv2d(2, 4, 4, stride=2, padding=1), "padding"),
            (nn.Conv1d(2, 4, 3, padding=2), "padding"),
            (nn.ConvTranspose2d(2, 4, 3, padding=1), "transposed"),
            (type("MyConv", (nn.Conv2d,), {})(2, 4, 3, padding=1), "MyConv is a subclass"),
            (nn.LazyConv2d(4, 3, padding=1), "LazyConv2d is a subclass"),
            (parametrizations.weight_norm(nn.Conv2d(2, 4, 3, padding=1)), "parametrised"),
            (prune.l1_unstructured(nn.Conv2d(2, 4, 3, padding=1), "weight", 3), "parametrised"),
            (nn.Conv2d(2, 4, 3, padding=1, dtype=torch.complex64), "complex64"),
            (dk.MixedConv2d(2, 4, kernel_sizes=(3,), dilations=(1,)), "MixedConv2d already"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_everything_else_is_kept_with_a_reason(self, conv, reason):
        kept, row = converted(conv)
        assert kept is conv and not row.replaced
        assert re.search(reason, row.reason)

    def test_exchanged_forward_is_kept(self):
        conv = nn.Conv2d(2, 4, 3, padding=1)
        conv.forward = lambda x: x
        kept, row = converted(conv)
        assert kept is conv and "forward" in row.reason

    def test_shared_weight_is_kept(self):
        model = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
        model[1].weight = model[0].weight
        report = dk.convert(model, SPACE)
        assert report.replaced == () and all("shares its weight" in row.reason for row in report.rows)

    def test_module_used_twice_becomes_one_mixture_used_twice(self):
        shared = nn.Conv2d(4, 4, 3, padding=1)
        model = nn.ModuleDict({"a": nn.Sequential(shared, nn.ReLU()), "b": shared, "c": nn.Conv2d(4, 2, 3, padding=1)})
        report = dk.convert(model, SPACE)
        assert isinstance(model["b"], dk.MixedConv2d) and model["a"][0] is model["b"] and model["c"] is not model["b"]
        assert report.replaced == ("a.0", "c")
        assert "also used as b" in report.rows[0].reason
        assert len(dk.arch_parameters(model)) == 2

    def test_causal_convolution_becomes_a_causal_mixture(self):
        mixed, _ = converted(dk.Conv1d(2, 4, 3, causal=True))
        assert mixed.causal

    def test_converted_model_is_not_converted_twice(self):
        model = network()
        dk.convert(model, SPACE)
        before = list(model.modules())
        report = dk.convert(model, dk.SearchSpace(kernel_sizes=(7,), dilations=(1,)))
        assert report.replaced == ()
        assert all(a is b for a, b in zip(before, model.modules(), strict=True))

    def test_model_without_convolutions(self):
        report = dk.convert(nn.Sequential(nn.Linear(2, 2)), SPACE)
        assert report.rows == ()
        assert "0 of 0" in str(report)


class TestSkip:
    @pytest.mark.parametrize(
        ("skip", "kept"),
        [
            ("0", {"0"}),
            (["0", "3.conv2"], {"0", "3.conv2"}),
            ("2", {"2.conv1", "2.conv2"}),
            (("*.conv1",), {"2.conv1", "3.conv1"}),
            ("[23].conv?", {"2.conv1", "2.conv2", "3.conv1", "3.conv2"}),
            (("*.shortcut",), set()),
            (lambda name, module: name == "0" or module.stride == (2, 2), {"0", "2.conv1"}),
        ],
        ids=str,
    )
    def test_names_parts_globs_and_predicates(self, skip, kept):
        report = dk.convert(network(), SPACE, skip=skip)
        named = {row.name for row in report.rows if "skip" in row.reason}
        assert named == kept
        assert not named & set(report.replaced)

    def test_any_name_of_a_shared_module_counts(self):
        shared = nn.Conv2d(4, 4, 3, padding=1)
        assert dk.convert(nn.ModuleDict({"a": shared, "b": shared}), SPACE, skip="b").replaced == ()

    @pytest.mark.parametrize("wrong", ["stem", "", "*downsample*", "conv1", "[45].conv?"])
    def test_name_or_glob_that_fits_nothing(self, wrong):
        model = network()
        for skip in (wrong, ("0", wrong)):
            with pytest.raises(ValueError, match=re.escape(f"skip names {wrong!r}")):
                dk.convert(model, SPACE, skip=skip)
        assert dk.arch_parameters(model) == []

    @pytest.mark.parametrize("skip", [(1,), 3])
    def test_neither_names_nor_a_function(self, skip):
        with pytest.raises(TypeError, match="skip"):
            dk.convert(network(), SPACE, skip=skip)


class TestWhatIsKept:
    def test_of_the_convolution(self):
        conv = nn.Conv2d(
            2, 4, 3, stride=(1, 2), padding=1, groups=2, padding_mode="circular", dtype=torch.float64
        ).eval()
        conv.weight.requires_grad_(False)
        mixed, _ = converted(conv)
        assert (mixed.stride, mixed.groups, mixed.padding_mode) == ((1, 2), 2, "circular")
        assert mixed.weight.dtype == torch.float64 and not mixed.training
        assert not mixed.weight.requires_grad and mixed.bias.requires_grad and mixed.alpha.requires_grad
        assert torch.equal(mixed.bias, conv.bias) and mixed.bias is not conv.bias

    def test_bias_or_none(self):
        assert converted(nn.Conv2d(2, 4, 3, padding=1, bias=False))[0].bias is None
        frozen = nn.Conv2d(2, 4, 3, padding=1)
        frozen.bias.requires_grad_(False)
        assert not converted(frozen)[0].bias.requires_grad

    def test_device(self):
        mixed, _ = converted(nn.Conv2d(2, 4, 3, padding=1, device="meta"))
        assert all(parameter.device.type == "meta" for parameter in mixed.parameters())

    def test_hooks(self):
        conv = nn.Conv2d(2, 4, 3, padding=1)
        seen = []
        handle = conv.register_forward_hook(lambda module, args, output: seen.append(type(module)))
        conv.register_forward_pre_hook(lambda module, args, kwargs: seen.append("before"), with_kwargs=True)
        conv.register_full_backward_hook(lambda module, grad_in, grad_out: seen.append("backward"))
        mixed, _ = converted(conv)
        mixed(torch.randn(1, 2, 4, 4, requires_grad=True)).sum().backward()
        assert seen == ["before", dk.MixedConv2d, "backward"]
        handle.remove()
        mixed(torch.randn(1, 2, 4, 4))
        assert seen.count(dk.MixedConv2d) == 1

    @pytest.mark.parametrize(
        ("channels", "groups", "depthwise", "expected"),
        [
            ((4, 4), 1, "auto", 4),
            ((4, 4), 2, "auto", 4),
            ((4, 4), 2, "never", 2),
            ((4, 8), 2, "auto", 2),
            ((1, 1), 1, "auto", 1),
        ],
    )
    def test_groups(self, channels, groups, depthwise, expected):
        mixed, row = converted(nn.Conv2d(*channels, 3, padding=1, groups=groups), depthwise=depthwise)
        assert (mixed.groups, mixed.original_groups) == (expected, groups)
        assert ("depthwise" in row.reason) == (expected != groups)
        assert copy.deepcopy(mixed).original_groups == groups

    def test_options_of_the_new_layers(self):
        mixed, _ = converted(nn.Conv2d(2, 4, 3, padding=1), mixture="softmax", temperature=0.5, engine="reference")
        assert (mixed.mixture, mixed.temperature, mixed.engine) == ("softmax", 0.5, "reference")


class TestReport:
    def test_prints_as_a_table(self):
        model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1))
        report = dk.convert(model, SPACE)
        assert str(report).splitlines() == [
            "name  module                         reason",
            "0     Conv2d(3, 8, 3x3/1)  replaced  4 candidates",
            "2     Conv2d(8, 8, 1x1/1)  kept      its kernel has one tap",
            "1 of 2 convolutions replaced",
        ]
        assert repr(report) == str(report)
        assert [(row.name, row.module, row.replaced) for row in report.rows] == [
            ("0", "Conv2d(3, 8, 3x3/1)", True),
            ("2", "Conv2d(8, 8, 1x1/1)", False),
        ]

    def test_parameters_fall_into_two_groups(self):
        model = network()
        dk.convert(model, SPACE)
        logits, weights = dk.arch_parameters(model), dk.weight_parameters(model)
        assert [tuple(alpha.shape) for alpha in logits] == [(4,)] * 5
        assert {id(p) for p in logits} | {id(p) for p in weights} == {id(p) for p in model.parameters()}
        assert not {id(p) for p in logits} & {id(p) for p in weights}
        assert dk.arch_parameters(nn.Linear(2, 2)) == []


class TestRefusals:
    @pytest.mark.parametrize(
        "root",
        [nn.Conv2d(2, 2, 3), nn.ConvTranspose1d(2, 2, 3), dk.MixedConv1d(2, 2, kernel_sizes=(3,), dilations=(1,))],
        ids=lambda module: type(module).__name__,
    )
    def test_root_convolution(self, root):
        with pytest.raises(ValueError, match=r"model is itself a .*: give nn\.Sequential\(model\)"):
            dk.convert(root, SPACE)

    @pytest.mark.parametrize(
        ("space", "complaint"),
        [
            (dk.SearchSpace(kernel_sizes=(3, 4), dilations=(1,)), r"2\.conv1: candidate 4x4/1"),
            (dk.SearchSpace(kernel_sizes=((3, 3, 3),), dilations=(1,)), "0: kernel_sizes has the entry"),
        ],
    )
    def test_error_names_the_layer_and_changes_nothing(self, space, complaint):
        model = network()
        before = list(model.modules())
        with pytest.raises(ValueError, match=complaint):
            dk.convert(model, space)
        assert all(a is b for a, b in zip(before, model.modules(), strict=True))

    def test_arguments(self):
        with pytest.raises(TypeError, match="model is a str"):
            dk.convert("model", SPACE)
        with pytest.raises(TypeError, match="space is a tuple"):
            dk.convert(network(), (3, 5))
        with pytest.raises(ValueError, match="depthwise is 'always'"):
            dk.convert(network(), SPACE, depthwise="always")
