# SPDX-License-Identifier: BSD-3-Clause
"""Ordinary convolutions made from a mixed one: a single candidate, or the whole mixture with its summed kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .conv import AnyConv, Conv1d
from .space import Candidate
from .taps import TapLattice

if TYPE_CHECKING:
    from ._mixed import MixedConvNd


def same_padding(candidate: Candidate) -> str | tuple[int, ...]:
    """The ``padding`` with which an ``nn.ConvNd`` of this kernel has ceil(n / stride) outputs per axis."""
    return "same" if any(reach % 2 for reach in candidate.reach) else tuple(reach // 2 for reach in candidate.reach)


def same_conv(
    cls: type[AnyConv],
    like: MixedConvNd | AnyConv,
    kernel_size: Sequence[int],
    dilation: Sequence[int],
    *,
    groups: int,
    causal: bool,
) -> AnyConv:
    """A newly initialised ``cls`` with ceil(n / stride) outputs per axis; the rest is as in ``like``.

    From ``like`` come the channels, stride, bias or none, padding mode, device, dtype and mode. Its parameters are
    trainable, whatever those of ``like`` are: they are new and have to be.

    Raises:
        TypeError: ``cls`` is not a convolution class for as many axes.
        ValueError: ``cls`` cannot pad that way.
    """
    ndim = len(like.stride)
    base: type[AnyConv] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[ndim - 1]
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise TypeError(f"cls={cls!r} must be nn.Conv{ndim}d, dash_kernels.Conv{ndim}d or a subclass of them.")
    if causal and not issubclass(cls, Conv1d):
        raise ValueError(f"{cls.__name__} pads both ends, so it cannot be causal: use cls=dash_kernels.Conv1d.")
    kernel = Candidate(tuple(kernel_size), tuple(dilation))
    padding = (0,) if causal else same_padding(kernel)
    if padding == "same" and any(step > 1 for step in like.stride):
        raise ValueError(
            f"kernel size {kernel.kernel_size} with dilation {kernel.dilation} spans d(k-1) = {kernel.reach} "
            f"pixels, the stride is {like.stride}: no nn.Conv{ndim}d pads an odd span. Use an odd size."
        )
    build: Any = cls  # torch's annotations differ from class to class
    conv: AnyConv = build(
        like.in_channels,
        like.out_channels,
        kernel.kernel_size,
        stride=like.stride,
        padding=padding,
        dilation=kernel.dilation,
        groups=groups,
        bias=like.bias is not None,
        padding_mode=like.padding_mode,
        device=like.weight.device,
        dtype=like.weight.dtype,
        **({"causal": True} if causal else {}),
    )
    return conv.train(like.training)


def candidate_conv(layer: MixedConvNd, i: int, cls: type[AnyConv]) -> AnyConv:
    """Candidate ``i`` of ``layer`` as a ``cls``; see ``MixedConv2d.to_conv``."""
    candidate = layer.candidates[i]
    conv = same_conv(cls, layer, candidate.kernel_size, candidate.dilation, groups=layer.groups, causal=layer.causal)
    return _filled(conv, layer, layer.candidate_weight(i))


def summed_conv(layer: MixedConvNd, mixture: Tensor, cls: type[AnyConv]) -> AnyConv:
    """The mixture of all candidates of ``layer`` as a ``cls``; see ``MixedConv2d.collapse``."""
    offsets = TapLattice.of(layer.candidates, layer.causal).offsets
    axes = range(layer.ndim)
    first = [min(offset[axis] for offset in offsets) for axis in axes]
    last = [max(offset[axis] for offset in offsets) for axis in axes]
    # the taps of all candidates sit on a grid of this spacing; one lone tap has none
    spacing = [math.gcd(*(offset[axis] - first[axis] for offset in offsets)) or 1 for axis in axes]
    kernel_size = [(last[axis] - first[axis]) // spacing[axis] + 1 for axis in axes]

    with torch.no_grad():
        wide = torch.float32 if layer.weight.dtype in (torch.float16, torch.bfloat16) else layer.weight.dtype
        kernel = torch.zeros(*layer.weight.shape[:2], *kernel_size, dtype=wide, device=layer.weight.device)
        for i, (candidate, share) in enumerate(zip(layer.candidates, mixture.unbind(), strict=True)):
            place = [slice(None), slice(None)]
            for axis, (reach, dilation) in enumerate(zip(candidate.reach, candidate.dilation, strict=True)):
                start = -first[axis] - (reach if layer.causal else reach // 2)
                place.append(
                    slice(start // spacing[axis], (start + reach) // spacing[axis] + 1, dilation // spacing[axis] or 1)
                )
            kernel[tuple(place)] += share.to(wide) * layer.candidate_weight(i).to(wide)
    conv = same_conv(cls, layer, kernel_size, spacing, groups=layer.groups, causal=layer.causal)
    return _filled(conv, layer, kernel)


def _filled(conv: AnyConv, layer: MixedConvNd, kernel: Tensor) -> AnyConv:
    """``conv`` with this kernel and the bias of ``layer``, trainable where those of ``layer`` are."""
    with torch.no_grad():
        conv.weight.copy_(kernel)
        if conv.bias is not None and layer.bias is not None:
            conv.bias.copy_(layer.bias)
    for name, parameter in conv.named_parameters():
        parameter.requires_grad_(getattr(layer, name).requires_grad)
    return conv
