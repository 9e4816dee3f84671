# SPDX-License-Identifier: BSD-3-Clause
"""Bad arguments get one clear sentence, as ValueError or TypeError, before any engine sees them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import dash_kernels as dk
from dash_kernels.functional import mixed_conv, tap_conv

SPACE = dk.SearchSpace((3, 5), (1, 2))  # 16 packed taps in 1-D, 68 in 2-D
EVEN = dk.SearchSpace((4,), (1,))


def mixed(**changes: Any) -> Any:
    good: dict[str, Any] = {
        "x": torch.zeros(2, 4, 9, 9),
        "weight": torch.zeros(6, 4, 68),
        "mixture": torch.zeros(4),
        "space": SPACE,
        "engine": "reference",
    }
    return mixed_conv(**(good | changes))


def taps(**changes: Any) -> Any:
    good: dict[str, Any] = {
        "x": torch.zeros(2, 4, 9),
        "taps": torch.zeros(6, 4, 3),
        "offsets": (-1, 0, 1),
        "engine": "reference",
    }
    return tap_conv(**(good | changes))


MIXED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"x": [1.0]}, TypeError, "input is a list: give a tensor"),
    ({"x": torch.zeros(2, 4, 9, 9, dtype=torch.int64)}, TypeError, "input is torch.int64"),
    ({"weight": torch.zeros(6, 4, 68, dtype=torch.complex64)}, TypeError, "weight is torch.complex64"),
    ({"weight": torch.zeros(6, 4, 68).double()}, TypeError, "input is torch.float32, weight is torch.float64"),
    ({"bias": torch.zeros(6).half()}, TypeError, "input is torch.float32, bias is torch.float16"),
    ({"x": torch.zeros(2, 4, 9, 9, device="meta")}, ValueError, "input is on meta, weight on cpu"),
    ({"x": torch.zeros(9)}, ValueError, r"input has shape \(9,\): give \(batch, channels, \*n\)"),
    ({"x": torch.zeros(1, 1, 1, 1, 1, 1)}, ValueError, r"input has shape \(1, 1, 1, 1, 1, 1\)"),
    ({"x": torch.zeros(2, 3, 9, 9)}, ValueError, r"input has 3 channels .*needs 4"),
    ({"x": torch.zeros(2, 4, 9, 0)}, ValueError, r"\(2, 4, 9, 0\): every axis needs at least one pixel"),
    ({"weight": torch.zeros(6, 4, 67)}, ValueError, "weight has 67 packed taps, the space has 68 with 2 axes"),
    ({"weight": torch.zeros(6, 4)}, ValueError, r"weight has shape \(6, 4\)"),
    ({"mixture": torch.zeros(5)}, ValueError, r"mixture has shape \(5,\), the space has 4 candidates: 3x3/1 3x3/2"),
    ({"mixture": torch.zeros(4, 1)}, ValueError, r"mixture has shape \(4, 1\)"),
    ({"mixture": (1.0, 0, 0, 0)}, TypeError, "mixture is a tuple"),
    ({"mixture": torch.zeros(4, device="meta")}, ValueError, "mixture on meta"),
    ({"space": (3, 5)}, TypeError, "space is a tuple: give a dash_kernels.SearchSpace"),
    (
        {"space": dk.SearchSpace(((3, 3, 3),), (1,))},
        ValueError,
        "weight has 68 packed taps, the space has 27 with 3 axes",
    ),
    ({"bias": torch.zeros(5)}, ValueError, r"bias has shape \(5,\): give \(6,\)"),
    ({"bias": 1.0}, TypeError, "bias is a float"),
    ({"stride": 0}, ValueError, "stride is 0: it must be at least 1"),
    ({"stride": (1, 2, 3)}, ValueError, r"stride is \(1, 2, 3\): give 2 numbers"),
    ({"stride": 1.5}, TypeError, r"stride is 1.5 \(float\)"),
    ({"stride": (1, True)}, TypeError, r"stride\[1\] is True"),
    (
        {"stride": (2, 1), "space": EVEN, "weight": torch.zeros(6, 4, 16), "mixture": torch.zeros(1)},
        ValueError,
        "3 pixels",
    ),
    ({"groups": 0}, ValueError, "groups is 0"),
    ({"groups": 2.0}, TypeError, "groups is 2.0"),
    ({"groups": 2}, ValueError, "with groups=2 needs 8"),
    ({"groups": 4, "weight": torch.zeros(6, 1, 68)}, ValueError, "groups is 4: it must divide the 6 output channels"),
    ({"padding_mode": "same"}, ValueError, "padding_mode is 'same': use one of zeros, circular, reflect, replicate"),
    ({"padding_mode": "reflect", "x": torch.zeros(2, 4, 9, 4)}, ValueError, "widest reach, 4, and the input has 4"),
    ({"engine": 3}, TypeError, "engine is 3"),
    ({"groups": True}, TypeError, "groups is True"),
    ({"ndim": 1}, ValueError, r"input has shape \(2, 4, 9, 9\): give .* where n has 1 axes"),
    ({"ndim": 2.0}, TypeError, "ndim is 2.0"),
    ({"x": torch.zeros(2, 4, 9, 9).to_sparse()}, TypeError, r"layout torch.sparse_coo: .* call to_dense\(\) first"),
    ({"x": torch.zeros(2, 4, 9, 9).to_mkldnn()}, TypeError, "input has layout torch._mkldnn"),
    (
        {"weight": torch.nested.nested_tensor([torch.zeros(4, 68)], layout=torch.jagged)},
        TypeError,
        "weight is a nested tensor: .* pad it",
    ),
    (
        {
            "space": dk.SearchSpace((3,), (2**31,)),
            "weight": torch.zeros(6, 4, 3),
            "mixture": torch.zeros(1),
            "x": torch.zeros(2, 4, 9),
        },
        ValueError,
        "spans 4294967296 pixels",
    ),
]

TAPS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"offsets": ()}, ValueError, "0 offsets"),
    ({"offsets": ((1, 2), (3,), (0, 0))}, ValueError, r"3 offsets with \[1, 2\] numbers each"),
    ({"offsets": (0.5, 1, 2)}, TypeError, r"offsets\[0\] is 0.5"),
    ({"offsets": (0, 1, True)}, TypeError, r"offsets\[2\] is True"),
    ({"offsets": [[0], [1], ["2"]]}, TypeError, r"offsets\[2\] is"),
    ({"offsets": 3}, TypeError, "offsets is 3"),
    ({"offsets": "012"}, TypeError, "offsets is '012'"),
    ({"offsets": (0, 1, 2**31)}, ValueError, "offsets reach from 0 to 2147483648 pixels"),
    ({"offsets": ((-(2**31),), (0,), (1,))}, ValueError, "offsets reach from -2147483648 to 1"),
    ({"groups": 0}, ValueError, "groups is 0"),
    ({"offsets": (0, 1)}, ValueError, r"taps has shape \(6, 4, 3\), there are 2 offsets"),
    ({"taps": torch.zeros(6, 4)}, ValueError, r"taps has shape \(6, 4\)"),
    ({"taps": None}, TypeError, "taps is a NoneType"),
    ({"x": torch.zeros(2, 4, 9, 9)}, ValueError, r"input has shape \(2, 4, 9, 9\), the offsets have 1 numbers each"),
    ({"x": torch.zeros(2, 5, 9)}, ValueError, "input has 5 channels"),
    ({"out_size": 0}, ValueError, "out_size is 0"),
    ({"out_size": (3, 3)}, ValueError, r"out_size is \(3, 3\): give 1 numbers"),
    ({"stride": -1}, ValueError, "stride is -1"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "kind", "message"), MIXED, ids=lambda v: str(v)[:40])
def test_mixed_conv(changes: dict[str, Any], kind: type[Exception], message: str) -> None:
    assert mixed().shape == (2, 6, 9, 9)
    with pytest.raises(kind, match=message):
        mixed(**changes)


@pytest.mark.parametrize(("changes", "kind", "message"), TAPS, ids=lambda v: str(v)[:40])
def test_tap_conv(changes: dict[str, Any], kind: type[Exception], message: str) -> None:
    assert taps().shape == (2, 6, 9)
    with pytest.raises(kind, match=message):
        taps(**changes)


def test_an_odd_span_is_allowed_without_stride_or_looking_back_only() -> None:
    x, weight = torch.zeros(1, 1, 9), torch.zeros(1, 1, 4)
    assert mixed_conv(x, weight, torch.ones(1), EVEN, engine="reference").shape == (1, 1, 9)
    assert mixed_conv(x, weight, torch.ones(1), EVEN, stride=2, engine="reference", causal=True).shape == (1, 1, 5)
    with pytest.raises(ValueError, match=r"candidate 4/1 spans d\(k-1\) = 3 pixels and the stride is above 1"):
        mixed_conv(x, weight, torch.ones(1), EVEN, stride=2, engine="reference")


def test_equal_numbers_of_another_type_are_refused_after_the_right_ones() -> None:
    x, kernel = torch.zeros(1, 1, 4), torch.zeros(1, 1, 2)
    for good, wrong in (((0, 1), (0.0, 1.0)), ((0, 1), (False, True)), (((0,), (1,)), ((0.0,), (True,)))):
        tap_conv(x, kernel, good, engine="reference")
        with pytest.raises(TypeError, match=r"offsets\[0\] is"):
            tap_conv(x, kernel, wrong, engine="reference")  # type: ignore[arg-type]
    assert mixed(stride=(1, 1), groups=1, ndim=2).shape == (2, 6, 9, 9)
    for changes in ({"stride": (1, True)}, {"stride": (1.0, 1)}, {"groups": True}, {"ndim": 2.0}):
        with pytest.raises(TypeError, match="give a whole number"):
            mixed(**changes)


def test_numpy_numbers_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    one, two = numpy.int64(1), numpy.int32(2)
    expected = taps(stride=2, out_size=2)
    for offsets in ([-one, numpy.int8(0), one], ((-one,), (0,), (one,)), numpy.array([-1, 0, 1])):
        assert taps(offsets=offsets, stride=two, out_size=(two,), groups=one).shape == expected.shape
    assert mixed(stride=(two, one), groups=one, ndim=two).shape == (2, 6, 5, 9)
    with pytest.raises(TypeError, match=r"offsets\[0\] is"):
        taps(offsets=numpy.array([True, False, True]))
    with pytest.raises(TypeError, match="groups is"):
        taps(groups=numpy.bool_(True))


def test_one_tap_that_could_be_read_two_ways() -> None:
    space, weight, mixture = dk.SearchSpace((1,), (1, 2)), torch.randn(3, 3, 2), torch.randn(2)
    x = torch.randn(3, 3, 5)
    with pytest.raises(ValueError, match="a batch with 1 pixel axes or unbatched with 2, .* pass ndim=1 or ndim=2"):
        mixed_conv(x, weight, mixture, space, engine="reference")
    kernel = weight @ mixture
    one = mixed_conv(x, weight, mixture, space, engine="reference", ndim=1)
    torch.testing.assert_close(one, torch.einsum("oc,bcn->bon", kernel, x))
    two = mixed_conv(x, weight, mixture, space, engine="reference", ndim=2)
    torch.testing.assert_close(two, torch.einsum("oc,chw->ohw", kernel, x))
    for other in (x[:2], x[:, :2]):  # the channels tell
        expected = torch.einsum("oc,bcn->bon" if other.shape[1] == 3 else "oc,chw->ohw", kernel, other)
        torch.testing.assert_close(mixed_conv(other, weight, mixture, space, engine="reference"), expected)
    with pytest.raises(ValueError, match="input has 2 channels"):
        mixed_conv(x[:2, :2], weight, mixture, space, engine="reference")
    for kind, axes in ((dk.MixedConv1d, 1), (dk.MixedConv2d, 2)):  # layers know
        assert kind(3, 3, kernel_sizes=(1,), dilations=(1,)).ndim == axes
        assert kind(3, 3, kernel_sizes=(1,), dilations=(1,))(x).shape == (3, 3, 5)


EXPLAIN: list[tuple[tuple[Any, Any], type[Exception], str]] = [
    ((3, (1, 4, 5)), TypeError, "layer is a int: give one mixed convolution"),
    ((dk.Conv2d(4, 4, 3), 5), TypeError, r"input_shape is 5: give a sequence of numbers"),
    ((dk.Conv2d(4, 4, 3), (1, 4, -3, 3)), ValueError, r"input_shape\[2\] is -3: it must be at least 0"),
    ((dk.Conv2d(4, 4, 3), (1, 4.0)), TypeError, r"input_shape\[1\] is 4.0"),
]


@pytest.mark.parametrize(("arguments", "kind", "message"), EXPLAIN)
def test_explain(arguments: tuple[Any, Any], kind: type[Exception], message: str) -> None:
    for function in (dk.explain, dk.predict_time):
        with pytest.raises(kind, match=message):
            function(*arguments)
