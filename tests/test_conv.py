# SPDX-License-Identifier: BSD-3-Clause
"""``dk.ConvNd``: torch's layer in every respect, whoever computes it."""

import copy
import inspect
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import dash_kernels as dk
from dash_kernels import conv as conv_module
from dash_kernels.engines import registry

PLAIN = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
OURS = {1: dk.Conv1d, 2: dk.Conv2d, 3: dk.Conv3d}
SIZES = {1: (17,), 2: (11, 8), 3: (5, 6, 4)}
MODES = ("zeros", "circular", "reflect", "replicate")


def pair(ndim, *arguments, engine="reference", **options):
    """One of ours and torch's, with the same weights in float64."""
    options = {"dtype": torch.float64} | options
    ours = OURS[ndim](4, 6, *arguments, engine=engine, **options)
    plain = PLAIN[ndim](4, 6, *arguments, **options)
    plain.load_state_dict(ours.state_dict())
    return ours, plain


def sample(ndim, batch=2):
    return torch.randn(batch, 4, *SIZES[ndim], dtype=torch.float64)


def agree(ours, plain, x):
    """The same results and gradients, with and without batch."""
    x.requires_grad_()
    y, expected = ours(x), plain(x)
    torch.testing.assert_close(y, expected)
    upstream = torch.randn_like(y)
    got = torch.autograd.grad(y, (x, *ours.parameters()), upstream)
    exact = torch.autograd.grad(expected, (x, *plain.parameters()), upstream)
    for g, e in zip(got, exact, strict=True):
        torch.testing.assert_close(g, e)
    torch.testing.assert_close(ours(x[0]), plain(x[0]))


@pytest.fixture
def asked(monkeypatch):
    """The engines that layers ask for, call by call; the reference computes them all."""
    seen = []
    original = conv_module.functional.tap_conv

    def spy(*arguments):
        seen.append(arguments[-1])
        return original(*arguments[:-1], "reference")

    monkeypatch.setattr(conv_module.functional, "tap_conv", spy)
    return seen


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("ndim", "arguments"),
    [
        (1, {"kernel_size": 3, "dilation": 2, "padding": 2}),
        (1, {"kernel_size": 4, "padding": "same"}),
        (1, {"kernel_size": 5, "stride": 3, "padding": 1}),
        (2, {"kernel_size": (3, 2), "padding": (2, 0), "dilation": (1, 3), "stride": (2, 1), "groups": 2}),
        (2, {"kernel_size": 2, "padding": "same", "bias": False}),
        (2, {"kernel_size": 3, "padding": "valid"}),
        (3, {"kernel_size": (2, 1, 3), "padding": (1, 0, 2)}),
    ],
)
def test_engine_computes_what_torch_does(ndim, arguments, mode, engine):
    if ndim == 3 and engine == "fourier":
        pytest.skip("it computes 1-D and 2-D convolutions, not 3-D")
    ours, plain = pair(ndim, padding_mode=mode, engine=engine, **arguments)
    agree(ours, plain, sample(ndim))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("ndim", "arguments"),
    [
        (1, {"kernel_size": 11, "padding": "same", "groups": 2}),
        (1, {"kernel_size": 22, "stride": 2, "padding": 12}),
        (2, {"kernel_size": (7, 8), "padding": "same"}),
        (2, {"kernel_size": 7, "padding": 6, "dilation": 2}),
        (2, {"kernel_size": 14, "padding": 7, "stride": 2, "bias": False}),
    ],
)
def test_large_kernels_are_what_torch_computes_whoever_does(ndim, arguments, mode):
    ours, plain = pair(ndim, padding_mode=mode, engine="auto", **arguments)
    x = torch.randn(2, 4, *(19, 15)[:ndim], dtype=torch.float64)
    agree(ours, plain, x)
    deviation = (ours.float()(x.float()).double() - plain(x)).norm() / plain(x).norm()
    assert deviation < 1e-6


def expected_to_be_faster(monkeypatch, engine):
    monkeypatch.setattr(conv_module, "_engine_is_faster", lambda *fields: engine)


@pytest.mark.parametrize("mode", MODES)
def test_torch_computes_where_it_is_expected_to_be_faster(mode, asked, monkeypatch):
    expected_to_be_faster(monkeypatch, engine=False)
    ours, plain = pair(2, 3, padding=1, padding_mode=mode, engine="auto")
    x = sample(2)
    assert torch.equal(ours(x), plain(x))
    assert not asked


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_an_engine_computes_where_it_is_expected_to_be_faster(ndim, mode, asked, monkeypatch):
    expected_to_be_faster(monkeypatch, engine=True)
    ours, plain = pair(ndim, 3, padding=1, stride=2, padding_mode=mode, engine="auto")
    x = sample(ndim)
    torch.testing.assert_close(ours(x), plain(x))
    assert asked == ["auto"]


@pytest.mark.skipif(dk.engines()["direct"] is not None, reason=str(dk.engines()["direct"]))
@pytest.mark.parametrize("mode", MODES)
def test_the_cost_model_decides_for_all_passes_together(mode, asked):
    with torch.device("meta"):
        large = dk.Conv2d(16, 16, 15, padding=7, padding_mode=mode)
        tiny = dk.Conv1d(2, 2, 3, padding=1, padding_mode=mode)
    for conv, shape, by_engine in ((large, (16, 16, 40, 40), True), (tiny, (1, 2, 8), False)):
        weighed = conv._weighing(shape, torch.float32, "cpu")
        assert weighed.engine_is_faster == by_engine
        assert [problem.operator for problem in weighed.problems] == [
            "tap_conv",
            "tap_conv_input_grad",
            "tap_conv_weight_grad",
        ]
        assert conv._weighing(shape, torch.float16, "cpu") == weighed  # an engine computes it in float32
        assert conv._weighing(shape[1:], torch.float32, "cpu") == conv._weighing((1, *shape[1:]), torch.float32, "cpu")
        for kind in (torch.complex64, torch.int32):
            assert conv._weighing(shape, kind, "cpu") is None
        assert not conv._weighing(shape, torch.float32, "cuda").engine_is_faster
    x = torch.randn(1, 2, 8)
    dk.Conv1d(2, 2, 3, padding=1, padding_mode=mode)(x)
    assert not asked
    dk.Conv1d(16, 16, 101, padding=50, padding_mode=mode)(torch.randn(16, 16, 500))
    assert asked == ["auto"]


def test_the_reference_is_not_weighed(monkeypatch):
    only = tuple(engine for engine in registry.ENGINES if engine.name == "reference")
    monkeypatch.setattr(registry, "ENGINES", only)
    weighed = dk.Conv2d(16, 16, 15, padding=7)._weighing((16, 16, 40, 40), torch.float32, "cpu")
    assert weighed.engines is None and not weighed.engine_is_faster


def test_an_engine_that_is_asked_for_computes_small_kernels(asked):
    ours, plain = pair(2, 3, padding=1, engine="auto")
    x = sample(2)
    with dk.use_engine("reference"):
        torch.testing.assert_close(ours(x), plain(x))
    assert asked == ["auto"]
    ours.engine = "reference"
    torch.testing.assert_close(ours(x), plain(x))
    assert asked == ["auto", "reference"]


@pytest.mark.parametrize("padding", [17, 18, 60])
def test_circular_padding_of_any_width(padding, asked, monkeypatch):
    expected_to_be_faster(monkeypatch, engine=False)
    ours, plain = pair(1, 3, padding=padding, dilation=padding, padding_mode="circular", engine="auto")
    x = sample(1)
    y = ours(x)
    assert asked == (["auto"] if padding > 17 else [])
    if padding > 17:
        with pytest.raises(RuntimeError):
            plain(x)
    positions = torch.arange(-padding, 17 + padding) % 17
    torch.testing.assert_close(y, nn.functional.conv1d(x[..., positions], ours.weight, ours.bias, 1, 0, padding))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_causal_layer_pads_before_the_input_only(engine, mode):
    conv = dk.Conv1d(4, 6, 3, dilation=4, stride=2, causal=True, padding_mode=mode, engine=engine, dtype=torch.float64)
    x = sample(1)
    padded = nn.functional.pad(x, (8, 0), mode="constant" if mode == "zeros" else mode)
    expected = nn.functional.conv1d(padded, conv.weight, conv.bias, 2, 0, 4)
    torch.testing.assert_close(conv(x), expected)
    assert "causal=True" in repr(conv)
    with pytest.raises(ValueError, match="leave it at 0"):
        dk.Conv1d(4, 6, 3, padding=1, causal=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_on_an_engine(dtype):
    ours, plain = pair(2, 3, padding=1, dtype=dtype)
    x = sample(2).to(dtype)
    exact = plain.double()(x.double())
    y = ours(x)
    assert y.dtype == dtype
    torch.testing.assert_close(y.double(), exact, rtol=0, atol=2 * torch.finfo(dtype).eps * exact.abs().max().item())


def test_complex_input_is_torchs(asked):
    conv = dk.Conv2d(2, 3, 3, padding=1, engine="reference", dtype=torch.complex64)
    assert conv(torch.randn(1, 2, 4, 4, dtype=torch.complex64)).dtype == torch.complex64
    assert not asked


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_is_torchs_class_with_torchs_arguments_and_state(ndim):
    assert issubclass(OURS[ndim], PLAIN[ndim])
    torchs = list(inspect.signature(PLAIN[ndim]).parameters.values())
    ours = list(inspect.signature(OURS[ndim]).parameters.values())
    assert [(p.name, p.default) for p in ours[: len(torchs)]] == [(p.name, p.default) for p in torchs]
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in ours[len(torchs) :])
    torch.manual_seed(1)
    conv = OURS[ndim](4, 6, 3)
    torch.manual_seed(1)
    plain = PLAIN[ndim](4, 6, 3)
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in conv.state_dict().items())
    assert list(conv.state_dict()) == list(plain.state_dict())
    assert repr(conv) == repr(plain)
    assert repr(OURS[ndim](4, 6, 3, engine="reference")).endswith("engine=reference)")


def test_deepcopy_and_pickle():
    conv = dk.Conv1d(4, 6, 3, dilation=2, causal=True, engine="reference", dtype=torch.float64)
    x = sample(1)
    for twin in (copy.deepcopy(conv), pickle.loads(pickle.dumps(conv))):
        assert torch.equal(twin(x), conv(x))
        assert repr(twin) == repr(conv)


def test_parametrised_weight_reaches_the_engine():
    ours, plain = (torch.nn.utils.parametrizations.weight_norm(conv) for conv in pair(2, 3, padding=1))
    x = sample(2)
    torch.testing.assert_close(ours(x), plain(x))


def test_bad_arguments():
    with pytest.raises(ValueError, match="magic"):
        dk.Conv2d(4, 6, 3, engine="magic")
    with pytest.raises(ValueError, match="padding_mode"):
        dk.Conv2d(4, 6, 3, padding_mode="wrap")
    with pytest.raises(ValueError, match=r"input has \(11, 8\) pixels with its padding: the kernel spans \(13, 13\)"):
        dk.Conv2d(4, 6, 13, engine="reference", dtype=torch.float64)(sample(2))
    with pytest.raises(RuntimeError):
        dk.Conv2d(4, 6, 3, engine="reference")(torch.randn(4, 4))


@pytest.mark.parametrize(
    ("x", "error", "complaint"),
    [
        (torch.zeros(1, 3, 9, 9), ValueError, r"input has 3 channels .* Conv2d takes 4"),
        (torch.zeros(3, 9, 9), ValueError, r"input has 3 channels .* Conv2d takes 4"),
        (torch.zeros(1, 4, 9, 9, dtype=torch.float64), TypeError, "input is torch.float64, weight is torch.float32"),
        (torch.zeros(1, 4, 9, 9, device="meta"), ValueError, "input is on meta, weight on cpu"),
        ([1.0, 2.0], TypeError, "input is a list"),
        (None, TypeError, "input is a NoneType"),
    ],
)
def test_input_that_does_not_fit_is_told_in_terms_of_the_layer(x, error, complaint, engine):
    with pytest.raises(error, match=complaint):
        dk.Conv2d(4, 6, 9, padding=4, engine=engine)(x)


def test_autocast_mixes_all_dtypes_but_double(engine):
    conv = dk.Conv2d(4, 6, 3, padding=1, engine=engine)
    x = sample(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert conv(x.bfloat16()).dtype == torch.float32
        with pytest.raises(TypeError, match="input is torch.float64, weight is torch.float32"):
            conv(x)


def test_integers_of_numpy(engine):
    two, three = np.int64(2), np.int32(3)
    options = {"stride": (two, 1), "padding": two, "dilation": np.array([2, 1]), "groups": two, "dtype": torch.float64}
    conv = dk.Conv2d(np.int64(4), np.int64(6), (three, three), engine=engine, **options)
    plain = nn.Conv2d(4, 6, 3, stride=(2, 1), padding=2, dilation=(2, 1), groups=2, dtype=torch.float64)
    plain.load_state_dict(conv.state_dict())
    agree(conv, plain, sample(2))
