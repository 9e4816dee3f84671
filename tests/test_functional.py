# SPDX-License-Identifier: BSD-3-Clause
"""The functions: padding, dtypes, batches, memory, and what surrounds them: autocast, checkpoint, transforms."""

from __future__ import annotations

import pytest
import torch
from cases import lay_out
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

import dash_kernels as dk
from dash_kernels import reference
from dash_kernels.functional import PADDING_MODES, mixed_conv, tap_conv

SPACE = dk.SearchSpace((3, 5), (1, 2))


def operands(
    ndim: int = 2, dtype: torch.dtype = torch.float64, batch: int = 2
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, weight, mixture and bias, all needing gradients."""
    packed = sum(c.taps for c in SPACE.candidates(ndim))
    shapes = ((batch, 4, *(9, 8)[:ndim]), (6, 2, packed), (4,), (6,))
    x, weight, mixture, bias = (torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes)
    return x, weight, mixture, bias


@pytest.mark.parametrize("padding_mode", PADDING_MODES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("ndim", [1, 2])
def test_mixed_conv_is_the_sum_of_the_candidates(ndim: int, stride: int, padding_mode: str, engine: str) -> None:
    x, weight, mixture, bias = leaves = operands(ndim)
    y = mixed_conv(x, weight, mixture, SPACE, bias, stride, 2, padding_mode, engine)
    expected = reference.mixed_results(x, weight, mixture, SPACE.candidates(ndim), bias, stride, 2, padding_mode)
    grad = torch.randn_like(y)
    got, wanted = torch.autograd.grad(y, leaves, grad), torch.autograd.grad(expected, leaves, grad)
    for a, b in zip((y, *got), (expected, *wanted), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("padding_mode", PADDING_MODES)
def test_second_derivatives(padding_mode: str, engine: str) -> None:
    space = dk.SearchSpace((2, 3), (1,))
    x = torch.randn(1, 2, 4, dtype=torch.float64, requires_grad=True)
    weight, mixture = torch.randn(2, 1, 5).double().requires_grad_(), torch.randn(2).double().requires_grad_()
    bias = torch.randn(2).double().requires_grad_()

    def call(*leaves: Tensor) -> Tensor:
        return mixed_conv(*leaves[:3], space, leaves[3], groups=2, padding_mode=padding_mode, engine=engine)

    assert torch.autograd.gradcheck(call, (x, weight, mixture, bias))
    assert torch.autograd.gradgradcheck(call, (x, weight, mixture, bias))


def test_tap_conv_in_all_its_spellings(engine: str) -> None:
    x, taps = torch.randn(2, 3, 9), torch.randn(4, 3, 2)
    expected = tap_conv(x, taps, ((-1,), (2,)), engine=engine)
    assert expected.shape == (2, 4, 9)
    for offsets in ((-1, 2), [-1, 2], [(-1,), (2,)], [[-1], [2]], range(-1, 3, 3)):
        assert torch.equal(tap_conv(x, taps, offsets, engine=engine), expected)
    assert tap_conv(x, taps, (-1, 2), stride=(2,), out_size=3, engine=engine).shape == (2, 4, 3)
    torch.testing.assert_close(tap_conv(x, taps, (-1, 2), stride=2, out_size=[3], engine=engine), expected[..., :6:2])


def test_unbatched_is_a_batch_of_one(engine: str) -> None:
    for ndim in (1, 2):
        x, weight, mixture, bias = operands(ndim)
        both = mixed_conv(x, weight, mixture, SPACE, bias, 2, 2, engine=engine)
        for one, of_both in zip(x, both, strict=True):
            torch.testing.assert_close(mixed_conv(one, weight, mixture, SPACE, bias, 2, 2, engine=engine), of_both)
    taps = torch.randn(4, 3, 2)
    assert tap_conv(torch.randn(3, 9), taps, (0, 1), engine=engine).shape == (4, 9)


def test_unbatched_3d_is_not_taken_for_batched_2d() -> None:
    x, packed = torch.randn(2, 4, 5, 6), sum(c.taps for c in SPACE.candidates(3))
    y = mixed_conv(x, torch.randn(3, 2, packed), torch.randn(4), SPACE, engine="reference")
    assert y.shape == (3, 4, 5, 6)


def test_empty_batch(engine: str) -> None:
    x, weight, mixture, bias = leaves = operands(batch=0)
    for padding_mode in PADDING_MODES:
        y = mixed_conv(x, weight, mixture, SPACE, bias, 2, 2, padding_mode, engine)
        assert y.shape == (0, 6, 5, 4)
        grads = torch.autograd.grad(y, leaves, torch.randn_like(y))
        assert all(torch.equal(g, torch.zeros_like(leaf)) for g, leaf in zip(grads, leaves, strict=True))


@pytest.mark.parametrize("channels", [(0, 3), (2, 0), (0, 0)])
def test_no_channels(channels: tuple[int, int], engine: str) -> None:
    """An engine says that it cannot, or the result is the bias alone."""
    inside, outside = channels
    x = torch.randn(2, inside, 5, requires_grad=True)
    taps, bias = torch.randn(outside, inside, 2, requires_grad=True), torch.randn(outside)
    if engine == "fourier":
        with pytest.raises(ValueError, match="channels on both sides"):
            tap_conv(x, taps, (0, 2), bias, engine=engine)
        return
    y = tap_conv(x, taps, (0, 2), bias, engine=engine)
    assert torch.equal(y, bias[:, None].expand(2, outside, 5))
    grads = torch.autograd.grad(y, (x, taps), torch.randn(y.shape))
    assert [grad.shape for grad in grads] == [x.shape, taps.shape] and not any(grad.any() for grad in grads)


@pytest.mark.parametrize("layout", ["channel slice", "transposed", "expanded"])
def test_memory_layout_changes_nothing(layout: str, engine: str) -> None:
    x, weight, mixture, bias = (t.detach() for t in operands())
    x = x[:1].expand_as(x)
    expected = mixed_conv(x.contiguous(), weight, mixture, SPACE, bias, groups=2, engine=engine)
    thin = weight.transpose(0, 1).contiguous().transpose(0, 1)
    assert torch.equal(mixed_conv(lay_out(x, layout), thin, mixture, SPACE, bias, groups=2, engine=engine), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_is_computed_in_float32(dtype: torch.dtype, engine: str) -> None:
    leaves = [t.detach().to(dtype).requires_grad_() for t in operands()]
    wide = [t.detach().float().requires_grad_() for t in leaves]
    y = mixed_conv(*leaves[:3], SPACE, leaves[3], groups=2, engine=engine)
    expected = mixed_conv(*wide[:3], SPACE, wide[3], groups=2, engine=engine)
    assert y.dtype == dtype and torch.equal(y, expected.to(dtype))
    grad = torch.randn_like(y)
    got, wanted = torch.autograd.grad(y, leaves, grad), torch.autograd.grad(expected, wide, grad.float())
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == dtype and torch.equal(a, b.to(dtype))


def test_autocast_computes_and_returns_float32(engine: str) -> None:
    x, weight, mixture, bias = operands(dtype=torch.float32)
    expected = mixed_conv(x, weight, mixture, SPACE, bias, groups=2, engine=engine)
    with torch.autocast(torch.get_default_device().type, dtype=torch.bfloat16):
        y = mixed_conv(x, weight, mixture, SPACE, bias, groups=2, engine=engine)
        mixed = mixed_conv(x.bfloat16(), weight, mixture.bfloat16(), SPACE, bias, groups=2, engine=engine)
        double = mixed_conv(*(t.double() for t in (x, weight, mixture)), SPACE, groups=2, engine=engine)
    assert torch.equal(y, expected)
    assert (y.dtype, mixed.dtype, double.dtype) == (torch.float32, torch.float32, torch.float64)
    y.backward(torch.randn_like(y))
    assert weight.grad is not None and weight.grad.dtype == torch.float32


def test_mixture_of_another_dtype_is_converted(engine: str) -> None:
    x, weight, mixture, _ = operands(dtype=torch.float32)
    y = mixed_conv(x, weight, mixture.double(), SPACE, groups=2, engine=engine)
    assert y.dtype == torch.float32


def test_the_input_is_left_alone(engine: str) -> None:
    leaves = [t.detach() for t in operands(dtype=torch.float32)]
    before = [t.clone() for t in leaves]
    for padding_mode in PADDING_MODES:
        mixed_conv(*leaves[:3], SPACE, leaves[3], 2, 2, padding_mode, engine)
    assert all(torch.equal(t, b) for t, b in zip(leaves, before, strict=True))


def test_checkpoint_recomputes_the_same(engine: str) -> None:
    x, weight, mixture, bias = leaves = operands()

    def call(*t: Tensor) -> Tensor:
        return mixed_conv(*t[:3], SPACE, t[3], groups=2, engine=engine)

    grad = torch.randn(2, 6, 9, 8, dtype=torch.float64)
    expected = torch.autograd.grad(call(*leaves), leaves, grad)
    got = torch.autograd.grad(checkpoint(call, *leaves, use_reentrant=False), leaves, grad)
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_meta_tensors_tell_the_shape() -> None:
    x, weight, mixture, _ = (t.detach().to("meta") for t in operands())
    y = mixed_conv(x, weight, mixture, SPACE, stride=2, groups=2)
    assert y.is_meta and y.shape == (2, 6, 5, 4)


def test_function_transforms(engine: str) -> None:
    """torch.func sees the operators through the dispatcher."""
    x, weight, mixture, _ = (t.detach() for t in operands())

    def energy(m: Tensor) -> Tensor:
        return mixed_conv(x, weight, m, SPACE, groups=2, engine=engine).square().sum()

    leaf = mixture.clone().requires_grad_()
    (expected,) = torch.autograd.grad(energy(leaf), leaf)
    torch.testing.assert_close(torch.func.grad(energy)(mixture), expected)
    (column,) = torch.autograd.grad(torch.autograd.grad(energy(leaf), leaf, create_graph=True)[0][1], leaf)
    twice = torch.func.grad(lambda m: torch.func.grad(energy)(m)[1])
    torch.testing.assert_close(twice(mixture), column)


def test_vmap(engine: str) -> None:
    """Over inputs, over weights as in an ensemble, over both, and of gradients per sample."""
    x, weight, mixture, bias = (t.detach() for t in operands())
    several = torch.stack([weight, 2 * weight, weight - 1])

    def call(x: Tensor, weight: Tensor) -> Tensor:
        return mixed_conv(x, weight, mixture, SPACE, bias, groups=2, engine=engine)

    ensemble = torch.func.vmap(call, in_dims=(None, 0))(x, several)
    torch.testing.assert_close(ensemble, torch.stack([call(x, w) for w in several]))
    inputs = torch.stack([x, x.flip(-1), -x], dim=1)
    each = torch.func.vmap(call, in_dims=(1, 0))(inputs, several)
    torch.testing.assert_close(each, torch.stack([call(inputs[:, i], several[i]) for i in range(3)]))

    def energy(weight: Tensor, sample: Tensor) -> Tensor:
        return call(sample[None], weight).square().sum()

    per_sample = torch.func.vmap(torch.func.grad(energy), in_dims=(None, 0))(weight, x)
    torch.testing.assert_close(per_sample, torch.stack([torch.func.grad(energy)(weight, sample) for sample in x]))


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")  # torch's own, at the first dual tensor
def test_forward_mode(engine: str) -> None:
    """Also forward over reverse, and whether or not anything needs a gradient."""
    space = dk.SearchSpace((2, 3), (1,))
    leaves = [torch.randn(shape).double() for shape in ((1, 2, 4), (2, 1, 5), (2,), (2,))]

    def call(*t: Tensor) -> Tensor:
        return mixed_conv(*t[:3], space, t[3], groups=2, engine=engine)

    directions = [torch.randn_like(leaf) for leaf in leaves]
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(*pair) for pair in zip(leaves, directions, strict=True)]
        tangent = forward_ad.unpack_dual(call(*duals)).tangent
        assert forward_ad.unpack_dual(call(*leaves)).tangent is None
        undifferentiated = [leaf.clone().requires_grad_() for leaf in leaves]
        call(*undifferentiated).sum().backward()
    step = 1e-6
    moved = [call(*(a + s * b for a, b in zip(leaves, directions, strict=True))) for s in (step, -step)]
    torch.testing.assert_close(tangent, (moved[0] - moved[1]) / (2 * step), rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(torch.func.jvp(call, tuple(leaves), tuple(directions))[1], tangent)

    needing = [leaf.requires_grad_() for leaf in leaves]
    call(*needing).sum().backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(undifferentiated, needing, strict=True))
    assert torch.autograd.gradcheck(call, needing, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(call, needing, check_fwd_over_rev=True)


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")  # torch's own, at the first dual tensor
def test_forward_mode_is_never_dropped() -> None:
    """Where the dispatcher is in charge it is refused."""
    x, taps = torch.randn(1, 1, 4), torch.randn(1, 1, 2)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        with pytest.raises(NotImplementedError, match="forward-mode AD is not supported in .*tap_conv as called here"):
            torch.ops.dash_kernels.tap_conv(dual, taps, [0, 1], [4], [1], 1, False, None, "reference")
        with pytest.raises(NotImplementedError, match="forward-mode AD"), torch.autocast("cpu", dtype=torch.bfloat16):
            tap_conv(dual, taps, (0, 1))
