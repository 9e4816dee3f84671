# SPDX-License-Identifier: BSD-3-Clause
"""The bar for numerical error, and torch's own convolution of the same taps to set it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dash_kernels import SearchSpace, TapLattice, reference
from dash_kernels.engines.engine import Engine


def relative_error(got: Tensor, exact: Tensor) -> float:
    """Distance of ``got`` from ``exact`` (float64) relative to the norm of ``exact``."""
    return float((got.double() - exact).norm() / exact.norm().clamp_min(1e-30))


def assert_as_good_as_torch(
    got: Tensor, plain: Tensor | None, exact: Tensor, *, floor: float = 4, what: str = ""
) -> None:
    """``got`` is at most twice as far from the truth as torch's convolution ``plain`` in that dtype, or ``floor`` eps.

    In float64, where the truth itself is rounded, it is at most 16 eps away, and ``plain`` is not looked at.
    """
    assert got.shape == exact.shape, (what, got.shape, exact.shape)
    if exact.numel() == 0:
        return
    eps = torch.finfo(got.dtype).eps
    if got.dtype == torch.float64:
        bar = 16 * eps
    else:
        assert plain is not None and plain.dtype == got.dtype, what
        bar = max(2 * relative_error(plain, exact), floor * eps)
    error = relative_error(got, exact)
    worst = int((got.double() - exact).abs().argmax())
    assert error <= bar, f"{what}: error {error:.2e}, bar {bar:.2e}, worst at flat index {worst} of {tuple(got.shape)}"


def assert_layer_is_exact(
    engine: Engine,
    space: SearchSpace,
    batch: int,
    inside: int,
    outside: int,
    size: tuple[int, ...],
    groups: int,
    stride: int,
) -> None:
    """An engine's output and both gradients of a layer: 4 eps from the truth in float32, 16 in float64."""
    ndim = len(size)
    offsets = TapLattice.of(space.candidates(ndim)).flat
    out, rest = tuple(-(-n // stride) for n in size), ((stride,) * ndim, groups, False)
    x, taps = torch.randn(batch, inside, *size), torch.randn(outside, inside // groups, len(offsets) // ndim)
    grad = torch.randn(batch, outside, *out)

    # Weight gradients sample by sample: one sum over the whole batch would round more than what is tested.
    samples = zip(grad.double().split(1), x.double().split(1), strict=True)
    exact = (
        reference.tap_conv(x.double(), taps.double(), offsets, out, *rest),
        reference.tap_conv_input_grad(grad.double(), taps.double(), offsets, size, *rest),
        torch.stack([reference.tap_conv_weight_grad(g, v, offsets, *rest) for g, v in samples]).sum(0),
    )
    for dtype, bar in ((torch.float32, 4), (torch.float64, 16)):
        x, taps, grad = x.to(dtype), taps.to(dtype), grad.to(dtype)
        got = (
            engine.tap_conv(x, taps, offsets, out, *rest),
            engine.tap_conv_input_grad(grad, taps, offsets, size, *rest),
            engine.tap_conv_weight_grad(grad, x, offsets, *rest),
        )
        for name, ours, truth in zip(("y", "grad x", "grad taps"), got, exact, strict=True):
            assert relative_error(ours, truth) <= bar * torch.finfo(dtype).eps, f"{name}, {dtype}"


def torch_tap_conv(
    x: Tensor,
    taps: Tensor,
    offsets: Sequence[Sequence[int]],
    out_size: Sequence[int],
    stride: Sequence[int],
    groups: int,
    circular: bool,
) -> Tensor:
    """``tap_conv`` by torch's convolution: one dense kernel over the box that holds all taps. Differentiable."""
    first = [min(axis) for axis in zip(*offsets, strict=True)]
    extent = [max(axis) - low + 1 for axis, low in zip(zip(*offsets, strict=True), first, strict=True)]
    dense = taps.new_zeros((*taps.shape[:2], *extent))
    for t, offset in enumerate(offsets):
        place = tuple(o - low for o, low in zip(offset, first, strict=True))
        dense[(slice(None), slice(None), *place)] += taps[..., t]
    for axis, (low, e, m, s) in enumerate(zip(first, extent, out_size, stride, strict=True), start=2):
        positions = torch.arange(low, low + s * (m - 1) + e)
        n = x.shape[axis]
        inside = (positions >= 0) & (positions < n) | circular
        x = x.index_select(axis, positions % n) * inside.to(x.dtype).view(-1, *[1] * (x.dim() - 1 - axis))
    convolve = (F.conv1d, F.conv2d, F.conv3d)[len(stride) - 1]
    return convolve(x, dense, stride=tuple(stride), groups=groups)
