# SPDX-License-Identifier: BSD-3-Clause
"""The mixed layers: what they compute, what they hold, and what they refuse."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import dash_kernels as dk
from dash_kernels import reference

MIXED = {1: dk.MixedConv1d, 2: dk.MixedConv2d, 3: dk.MixedConv3d}
PLAIN = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
OURS = {1: dk.Conv1d, 2: dk.Conv2d, 3: dk.Conv3d}
SIZES = {1: (17,), 2: (11, 8), 3: (4, 5, 3)}
MODES = ("zeros", "circular", "reflect", "replicate")


def build(ndim, in_channels=4, out_channels=6, **options):
    """A float64 layer with logits far enough apart to tell its candidates from each other."""
    if ndim == 3:  # only the reference computes it, so falling back is no accident; and it is slow
        options = {"kernel_sizes": (2, (1, 3, 2)), "engine": "reference"} | options
    options = {"kernel_sizes": (3, 2, 1), "dilations": (1, 2), "dtype": torch.float64} | options
    layer = MIXED[ndim](in_channels, out_channels, **options)
    nn.init.normal_(layer.alpha)
    return layer


def sample(layer, batch=2):
    return torch.randn(batch, layer.in_channels, *SIZES[layer.ndim], dtype=layer.weight.dtype)


def by_definition(layer, x, mixture):
    """Every candidate's convolution by torch, weighted and added up."""
    return reference.mixed_results(
        x,
        layer.weight,
        mixture,
        layer.candidates,
        layer.bias,
        layer.stride,
        layer.groups,
        layer.padding_mode,
        layer.causal,
    )


def one_hot(layer, i):
    return torch.eye(len(layer.candidates), dtype=layer.weight.dtype)[i]


class TestForward:
    @pytest.mark.parametrize("groups", [1, 2])
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("ndim", [1, 2, 3])
    def test_is_the_mixture_of_results(self, ndim, mode, groups):
        layer = build(ndim, groups=groups, padding_mode=mode)
        x, mixture = sample(layer), torch.randn(len(layer.candidates), dtype=torch.float64)
        torch.testing.assert_close(layer(x, mixture=mixture), by_definition(layer, x, mixture))

    @pytest.mark.parametrize("stride", [2, (3, 1)])
    def test_strided_output_is_centred_on_every_stride_th_input(self, stride):
        layer = build(2, kernel_sizes=(3, 5), dilations=(1, 2), stride=stride, bias=False)
        x, mixture = sample(layer), torch.randn(4, dtype=torch.float64)
        step = layer.stride
        dense = by_definition(build_like(layer, stride=1), x, mixture)
        assert layer(x).shape[2:] == tuple(-(-n // s) for n, s in zip(SIZES[2], step, strict=True))
        torch.testing.assert_close(layer(x, mixture=mixture), dense[:, :, :: step[0], :: step[1]])

    def test_choices_per_axis(self):
        layer = build(2, kernel_sizes=((1, 3), 2), dilations=((2, 1), 1))
        assert [str(c) for c in layer.candidates] == ["1x3/2x1", "1x3/1", "2x2/2x1", "2x2/1"]
        x, mixture = sample(layer), torch.randn(4, dtype=torch.float64)
        torch.testing.assert_close(layer(x, mixture=mixture), by_definition(layer, x, mixture))

    @pytest.mark.parametrize("mode", MODES)
    def test_causal_layer_never_looks_ahead(self, mode):
        layer = build(1, causal=True, padding_mode="zeros" if mode == "circular" else mode).eval()
        x = sample(layer)
        later = x.clone()
        later[..., 9:] += 1
        before, after = layer(x), layer(later)
        torch.testing.assert_close(before[..., :9], after[..., :9])
        assert not torch.allclose(before[..., 9], after[..., 9])
        torch.testing.assert_close(before, by_definition(layer, x, layer.mixture_weights()))

    def test_reflection_wider_than_the_input_is_refused(self):
        layer = build(1, kernel_sizes=(3,), dilations=(17,), padding_mode="reflect")
        with pytest.raises(ValueError, match="reflect"):
            layer(sample(layer))

    @pytest.mark.parametrize("ndim", [1, 2])
    def test_unbatched_input(self, ndim):
        layer = build(ndim).eval()
        x = sample(layer)
        torch.testing.assert_close(layer(x[0]), layer(x)[0])

    def test_unbatched_input_of_candidates_with_one_tap(self):
        layer = build(2, kernel_sizes=(1,), dilations=(1,)).eval()
        x = sample(layer)
        torch.testing.assert_close(layer(x[0]), layer(x)[0])

    def test_batch_as_large_as_the_channels_of_candidates_with_one_tap(self):
        layer = build(2, kernel_sizes=(1,), dilations=(1,)).eval()
        x = sample(layer, batch=4)
        torch.testing.assert_close(layer(x), torch.stack([layer(each) for each in x]))

    def test_empty_batch(self):
        layer = build(2)
        x = sample(layer, batch=0).requires_grad_()
        y = layer(x)
        assert y.shape == (0, 6, *SIZES[2])
        y.sum().backward()
        assert x.grad.shape == x.shape
        assert not layer.weight.grad.any()

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_computed_in_single(self, dtype):
        layer = build(2, dtype=dtype).eval()
        x = sample(layer)
        y = layer(x)
        assert y.dtype == dtype
        exact = by_definition(layer.double(), x.double(), layer.mixture_weights())
        allowed = 4 * torch.finfo(dtype).eps * exact.abs().max().item()
        torch.testing.assert_close(y.double(), exact, rtol=0, atol=allowed)

    @pytest.mark.parametrize(
        ("shape", "complaint"),
        [
            ((2, 3, 8, 8), r"takes \(batch, 4, \*n\)"),
            ((4, 8), r"input has shape \(4, 8\)"),
            ((1, 2, 4, 8, 8), r"n of 2 axes"),
        ],
    )
    def test_input_that_does_not_fit(self, shape, complaint):
        with pytest.raises(ValueError, match=complaint):
            build(2)(torch.randn(shape, dtype=torch.float64))

    @pytest.mark.parametrize("x", [[1, 2], None, np.zeros((1, 4, 8, 8))])
    def test_input_that_is_no_tensor(self, x):
        with pytest.raises(TypeError, match=f"input is a {type(x).__name__}"):
            build(2)(x)

    def test_mixture_that_does_not_fit(self):
        layer = build(2)
        with pytest.raises(ValueError, match="6 candidates"):
            layer(sample(layer), mixture=torch.ones(5, dtype=torch.float64))


def build_like(layer, stride):
    twin = build(
        layer.ndim, kernel_sizes=layer.space.kernel_sizes, dilations=layer.space.dilations, stride=stride, bias=False
    )
    twin.load_state_dict(layer.state_dict())
    return twin


class TestMixture:
    def spy(self, temperature=1.0, mixture="gumbel"):
        """A layer whose output is its mixture: candidate i passes a constant input to output channel i."""
        layer = dk.MixedConv1d(
            1, 4, kernel_sizes=(1,), dilations=(1, 2, 3, 4), bias=False, temperature=temperature, mixture=mixture
        )
        with torch.no_grad():
            for i in range(4):
                layer.candidate_weight(i).copy_(torch.eye(4)[i].view(4, 1, 1))
            layer.alpha.copy_(torch.tensor([0.5, -1.0, 2.0, 0.0]))
        return layer, lambda: layer(torch.ones(1, 1, 1)).flatten()

    def test_training_draws_fresh_noise_from_the_generator(self):
        _, draw = self.spy()
        torch.manual_seed(5)
        first, second = draw(), draw()
        torch.manual_seed(5)
        assert torch.equal(draw(), first)
        assert not torch.equal(first, second)
        torch.testing.assert_close(first.sum(), torch.tensor(1.0))

    def test_noise_is_gumbel(self):
        """The largest of alpha + Gumbel noise is i with probability softmax(alpha)_i."""
        layer, draw = self.spy()
        wins = torch.stack([draw() for _ in range(3000)]).argmax(1).bincount(minlength=4) / 3000
        expected = layer.alpha.detach().softmax(0)
        deviation = (expected * (1 - expected) / 3000).sqrt()
        assert ((wins - expected).abs() < 3 * deviation).all()

    @pytest.mark.parametrize("quiet", ["eval", "softmax"])
    def test_no_noise_elsewhere(self, quiet):
        layer, draw = self.spy(temperature=0.5, mixture="softmax" if quiet == "softmax" else "gumbel")
        layer.train(quiet != "eval")
        torch.testing.assert_close(draw(), (layer.alpha / 0.5).softmax(0))
        torch.testing.assert_close(layer.mixture_weights(), (layer.alpha / 0.5).softmax(0))

    def test_temperature_anneals(self):
        layer, draw = self.spy()
        layer.temperature = 1e-3
        assert draw().max() > 0.999
        layer.temperature = 1e3
        assert draw().max() < 0.27
        for wrong in (0, -1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="temperature is"):
                layer.temperature = wrong
        for wrong in ("a", "1.0", None, True, torch.ones(2), np.ones(2)):
            with pytest.raises(TypeError, match="temperature is .*give one positive, finite number"):
                layer.temperature = wrong
        assert layer.temperature == 1e3
        for right in (np.float32(0.5), torch.tensor(0.5), np.float64(0.5)):
            layer.temperature = right
            assert type(layer.temperature) is float and layer.temperature == 0.5

    def test_mixture_is_changed_to_known_names_only(self):
        layer, draw = self.spy()
        with pytest.raises(ValueError, match="mixture is 'gumble': use one of gumbel, softmax"):
            layer.mixture = "gumble"
        assert layer.mixture == "gumbel" and not torch.equal(draw(), draw())
        layer.mixture = "softmax"
        assert torch.equal(draw(), draw())

    def test_given_mixture_is_used_as_it_is(self):
        layer, _ = self.spy()
        given = torch.tensor([2.0, -3.0, 0.0, 0.25])
        torch.testing.assert_close(layer(torch.ones(1, 1, 1), mixture=given).flatten(), given)

    def test_half_precision_logits(self):
        layer, draw = self.spy()
        layer.bfloat16()
        assert layer.mixture_weights().dtype == torch.bfloat16
        assert layer(torch.ones(1, 1, 1, dtype=torch.bfloat16)).isfinite().all()

    def test_winner_is_the_first_of_the_largest(self):
        layer, _ = self.spy()
        with torch.no_grad():
            layer.alpha.copy_(torch.tensor([0.0, 3.0, 3.0, 1.0]))
        assert layer.winner() == 1
        assert layer.to_conv().dilation == (2,)
        with torch.no_grad():
            layer.alpha[0] = float("nan")
        with pytest.raises(ValueError, match="alpha contains NaN"):
            layer.to_conv()


class TestGradients:
    @pytest.mark.parametrize(
        ("ndim", "options"),
        [
            (1, {"causal": True}),
            (2, {"stride": 2, "kernel_sizes": (3, 1), "groups": 2}),
            (2, {"padding_mode": "circular"}),
            (3, {}),
        ],
    )
    def test_against_the_definition(self, ndim, options):
        layer = build(ndim, mixture="softmax", **options)
        x = sample(layer).requires_grad_()
        upstream = torch.randn_like(layer(x))
        inputs = (x, *layer.parameters())
        got = torch.autograd.grad(layer(x), inputs, upstream)
        exact = torch.autograd.grad(by_definition(layer, x, layer.mixture_weights()), inputs, upstream)
        for g, e in zip(got, exact, strict=True):
            torch.testing.assert_close(g, e)

    def test_first_and_second_order(self):
        layer = build(1, 2, 2, kernel_sizes=(2, 1), dilations=(1,), mixture="softmax")
        names = [name for name, _ in layer.named_parameters()]
        values = tuple(parameter.detach().requires_grad_() for parameter in layer.parameters())
        x = torch.randn(1, 2, 4, dtype=torch.float64, requires_grad=True)

        def forward(x, *values):
            return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

        assert torch.autograd.gradcheck(forward, (x, *values))
        assert torch.autograd.gradgradcheck(forward, (x, *values))


class TestToConv:
    @pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("ndim", [1, 2, 3])
    def test_is_the_one_hot_mixture(self, ndim, mode):
        layer = build(ndim, groups=2, padding_mode=mode)
        x = sample(layer)
        for i in range(len(layer.candidates)):
            expected = layer(x, mixture=one_hot(layer, i))
            for cls in (PLAIN[ndim], OURS[ndim]):
                conv = layer.to_conv(i, cls)
                assert type(conv) is cls
                torch.testing.assert_close(conv(x), expected)

    def test_strided(self):
        layer = build(2, kernel_sizes=(3, 5, (2, 3)), dilations=(2,), stride=(2, 3))
        for i in range(3):
            torch.testing.assert_close(layer.to_conv(i)(x := sample(layer)), layer(x, mixture=one_hot(layer, i)))

    def test_class_by_default_is_torchs(self):
        assert type(build(2).to_conv()) is nn.Conv2d

    def test_causal_needs_our_class(self):
        layer = build(1, causal=True)
        with pytest.raises(ValueError, match=r"cls=dash_kernels\.Conv1d"):
            layer.to_conv(0)
        for i in range(len(layer.candidates)):
            x = sample(layer)
            torch.testing.assert_close(layer.to_conv(i, dk.Conv1d)(x), layer(x, mixture=one_hot(layer, i)))

    def test_circular_padding_wider_than_the_input_needs_our_class(self):
        layer = build(1, kernel_sizes=(3,), dilations=(40,), padding_mode="circular", engine="reference")
        x = sample(layer)
        with pytest.raises(RuntimeError):
            layer.to_conv(0)(x)
        conv = layer.to_conv(0, dk.Conv1d)
        conv.engine = "reference"
        torch.testing.assert_close(conv(x), layer(x, mixture=one_hot(layer, 0)))

    def test_holds_copies_and_keeps_mode_dtype_and_requires_grad(self):
        layer = build(2).eval()
        layer.weight.requires_grad_(False)
        conv = layer.to_conv(1)
        assert not conv.training and not conv.weight.requires_grad and conv.bias.requires_grad
        assert conv.weight.dtype == torch.float64
        with torch.no_grad():
            conv.weight.zero_()
        assert layer.candidate_weight(1).any()

    @pytest.mark.parametrize("i", [6, -1, True, 1.0, "1", torch.tensor(1.0), torch.tensor([1, 2]), torch.tensor(6)])
    def test_unknown_candidate(self, i):
        with pytest.raises(ValueError, match="candidates 0 to 5"):
            build(2).to_conv(i)
        with pytest.raises(ValueError, match="candidates 0 to 5"):
            build(2).candidate_weight(i)

    @pytest.mark.parametrize("i", [torch.tensor(2), np.int64(2), np.array(2)])
    def test_candidate_named_by_any_whole_number(self, i):
        layer = build(2)
        assert torch.equal(layer.to_conv(i).weight, layer.candidate_weight(2))
        assert torch.equal(layer.candidate_weight(i), layer.candidate_weight(2))
        assert torch.equal(layer.to_conv(layer.alpha.argmax()).weight, layer.to_conv().weight)

    @pytest.mark.parametrize("cls", [nn.Conv1d, nn.Linear, "Conv2d"])
    def test_class_that_is_no_convolution_of_this_dimension(self, cls):
        with pytest.raises(TypeError, match=r"nn\.Conv2d"):
            build(2).to_conv(0, cls)


class TestCollapse:
    @pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
    @pytest.mark.parametrize("mode", ["zeros", "circular"])
    @pytest.mark.parametrize("ndim", [1, 2, 3])
    def test_is_the_same_function(self, ndim, mode):
        layer = build(ndim, groups=2, padding_mode=mode).eval()
        x = sample(layer)
        torch.testing.assert_close(layer.collapse()(x), layer(x))
        mixture = torch.randn(len(layer.candidates), dtype=torch.float64)
        torch.testing.assert_close(layer.collapse(mixture)(x), layer(x, mixture=mixture))

    @pytest.mark.parametrize(
        ("kernel_sizes", "dilations", "kernel_size", "dilation"),
        [
            ((3, 5), (1, 2), (9, 9), (1, 1)),
            ((3, 5), (2, 4), (9, 9), (2, 2)),
            ((1, 3), (7,), (3, 3), (7, 7)),
            ((1,), (3, 5), (1, 1), (1, 1)),
            (((3, 1), (5, 3)), ((2, 3),), (5, 3), (2, 3)),
        ],
    )
    def test_taps_on_a_grid_make_a_dilated_kernel(self, kernel_sizes, dilations, kernel_size, dilation):
        layer = build(2, kernel_sizes=kernel_sizes, dilations=dilations, stride=2).eval()
        conv = layer.collapse()
        assert (conv.kernel_size, conv.dilation) == (kernel_size, dilation)
        torch.testing.assert_close(conv(x := sample(layer)), layer(x))

    def test_causal(self):
        layer = build(1, causal=True, kernel_sizes=(1, 3, 4), dilations=(2, 6)).eval()
        conv = layer.collapse(cls=dk.Conv1d)
        assert (conv.kernel_size, conv.dilation) == ((10,), (2,))
        torch.testing.assert_close(conv(x := sample(layer)), layer(x))

    def test_mixture_of_wrong_length(self):
        with pytest.raises(ValueError, match="6 candidates"):
            build(2).collapse(torch.ones(4))

    def test_mixture_that_is_no_tensor_of_numbers(self):
        with pytest.raises(TypeError, match="mixture is a list"):
            build(2).collapse([1 / 6] * 6)
        with pytest.raises(TypeError, match="mixture is torch.int64"):
            build(2).collapse(torch.ones(6, dtype=torch.int64))


class TestParameters:
    def test_candidates_lie_side_by_side_unscaled(self):
        layer = build(2, kernel_sizes=(3, 2), dilations=(1, 4), groups=2)
        assert layer.weight.shape == (6, 2, 9 + 9 + 4 + 4)
        parts = layer.weight.split([9, 9, 4, 4], dim=2)
        for i, part in enumerate(parts):
            kernel = layer.candidate_weight(i)
            assert kernel.shape == (6, 2, *layer.candidates[i].kernel_size)
            assert torch.equal(kernel.flatten(2), part)
            assert kernel.data_ptr() == part.data_ptr()

    def test_each_candidate_starts_as_torchs_convolution_of_its_shape(self):
        torch.manual_seed(3)
        layer = dk.MixedConv2d(4, 6, kernel_sizes=(5, 3), dilations=(1,), groups=2)
        torch.manual_seed(3)
        conv = nn.Conv2d(4, 6, 5, groups=2)
        assert torch.equal(layer.candidate_weight(0), conv.weight)
        for tensor, bound in ((layer.candidate_weight(0), 50**-0.5), (layer.candidate_weight(1), 18**-0.5)):
            assert 0.9 * bound < tensor.abs().max() <= bound
        assert layer.bias.abs().max() <= 50**-0.5

    def test_logits_start_small(self):
        torch.manual_seed(0)
        layer = dk.MixedConv1d(1, 1, kernel_sizes=range(1, 33), dilations=range(1, 33))
        assert 0.9e-3 < layer.alpha.std() < 1.1e-3 and layer.alpha.mean().abs() < 1e-4

    def test_reset_draws_anew(self):
        layer = build(1)
        before = copy.deepcopy(layer.state_dict())
        layer.reset_parameters()
        assert not any(torch.equal(value, before[name]) for name, value in layer.state_dict().items())

    def test_attributes_describe_the_widest_candidate(self):
        layer = build(2, kernel_sizes=(3, 5, 7), dilations=(4, 1), stride=(1, 2), groups=2, padding_mode="circular")
        assert (layer.kernel_size, layer.dilation, layer.padding) == ((7, 7), (4, 4), (12, 12))
        assert (layer.stride, layer.groups, layer.padding_mode) == ((1, 2), 2, "circular")
        assert build(1, kernel_sizes=(4,), dilations=(1,)).padding == "same"
        assert build(1, kernel_sizes=(4,), dilations=(3,), causal=True).padding == (9,)

    def test_state_dict_deepcopy_and_pickle(self):
        layer = build(2, temperature=0.5).eval()
        assert list(layer.state_dict()) == ["alpha", "weight", "bias"]
        saved = io.BytesIO()
        torch.save(layer.state_dict(), saved)
        saved.seek(0)
        loaded = build(2, temperature=0.5).eval()
        loaded.load_state_dict(torch.load(saved))
        x = sample(layer)
        for twin in (loaded, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert torch.equal(twin(x), layer(x))
            assert repr(twin) == repr(layer)
            assert all(a is not b for a, b in zip(twin.parameters(), layer.parameters(), strict=True))

    def test_meta_device_then_empty(self):
        layer = dk.MixedConv2d(2, 2, kernel_sizes=(3,), dilations=(1,), device="meta").to_empty(device="cpu")
        layer.reset_parameters()
        assert layer(torch.randn(1, 2, 4, 4)).isfinite().all()

    def test_no_bias(self):
        layer = build(2, bias=False)
        assert layer.bias is None and layer.to_conv().bias is None and "bias" not in layer.state_dict()

    def test_repr_names_candidates_and_engine(self):
        shown = repr(build(2, kernel_sizes=(3,), dilations=(1, 7), groups=2, bias=False, engine="reference"))
        for part in ("MixedConv2d(4, 6", "3x3/1 3x3/7", "stride=(1, 1)", "groups=2", "bias=False", "engine=reference"):
            assert part in shown
        assert "engine=auto (" in repr(build(2)) and "reference)" in repr(build(2))
        assert "causal=True" in repr(build(1, causal=True))


def test_integers_of_numpy():
    two = np.int64(2)
    for stride in (two, (two, two)):
        layer = dk.MixedConv2d(two, np.int32(4), kernel_sizes=(3,), dilations=(1,), stride=stride, groups=two)
        assert layer(torch.randn(1, 2, 5, 5)).shape == (1, 4, 3, 3)
        assert "stride=(2, 2)" in repr(layer) and type(layer.in_channels) is type(layer.groups) is int


@pytest.mark.parametrize("layer", [dk.MixedConv2d, dk.MixedConv3d])
def test_only_one_axis_can_be_causal(layer):
    with pytest.raises(TypeError, match="unexpected keyword argument 'causal'"):
        layer(2, 2, kernel_sizes=(3,), dilations=(1,), causal=True)


@pytest.mark.parametrize(
    ("options", "error", "complaint"),
    [
        ({"in_channels": 0}, ValueError, "in_channels is 0"),
        ({"out_channels": 2.5}, TypeError, "out_channels is 2.5"),
        ({"groups": 3}, ValueError, "groups is 3"),
        ({"groups": 0}, ValueError, "groups is 0"),
        ({"stride": (1, 2, 3)}, ValueError, "stride is"),
        ({"stride": 2, "kernel_sizes": (3, 2)}, ValueError, "candidate 2x2/1"),
        ({"kernel_sizes": ()}, ValueError, "kernel_sizes is empty"),
        ({"kernel_sizes": (0,)}, ValueError, "kernel_sizes"),
        ({"kernel_sizes": ((3, 3, 3),)}, ValueError, "kernel_sizes has the entry"),
        ({"dilations": 2}, TypeError, "dilations"),
        ({"padding_mode": "wrap"}, ValueError, "padding_mode is 'wrap'"),
        ({"mixture": "hard"}, ValueError, "mixture is 'hard'"),
        ({"in_channels": torch.ones(2)}, TypeError, "in_channels is"),
        ({"groups": True}, TypeError, "groups is True"),
        ({"temperature": "a"}, TypeError, "temperature is 'a'"),
        ({"temperature": 0.0}, ValueError, "temperature is 0.0"),
        ({"engine": "magic"}, ValueError, "magic"),
        ({"dtype": torch.complex64}, TypeError, "complex64"),
        ({"dtype": torch.int64}, TypeError, "int64"),
    ],
)
def test_bad_arguments_are_told_at_once(options, error, complaint):
    arguments = {"in_channels": 4, "out_channels": 4, "kernel_sizes": (3,), "dilations": (1,)} | options
    with pytest.raises(error, match=complaint):
        dk.MixedConv2d(**arguments)
