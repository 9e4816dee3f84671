# SPDX-License-Identifier: BSD-3-Clause
"""``MixedConv1d``, ``MixedConv2d``, ``MixedConv3d``: a convolution layer that is a mixture of candidate kernels."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ._mixed import Choices, MixedConvNd


class MixedConv1d(MixedConvNd):
    """A 1-d convolution whose kernel is a weighted mixture of candidate kernels.

    :class:`MixedConv2d` tells how it works, its arguments and its shapes; here a size is one number, the length. In
    addition:

    Args:
        causal: No output sees a later input: the taps of a candidate sit at offsets ``-d(k-1) ... 0`` instead of being
            centred.

    Note:
        With engine "fourier" rounding is relative to the norm of the whole sequence, and NaN or infinity anywhere in a
        sequence spreads over all of it. There ``causal=True`` is causal up to the rounding of the largest later values;
        ``engine="reference"`` is causal to the bit.

    Example:
        >>> layer = MixedConv1d(4, 8, kernel_sizes=(3, 7), dilations=(1, 3), causal=True)
        >>> layer(torch.randn(2, 4, 100)).shape
        torch.Size([2, 8, 100])
    """

    ndim = 1
    conv = nn.Conv1d

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_sizes: Choices,
        dilations: Choices,
        stride: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        mixture: str = "gumbel",
        temperature: float = 1.0,
        engine: str = "auto",
        causal: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.causal = causal  # where the taps sit, which the constructor needs to know
        super().__init__(
            in_channels,
            out_channels,
            kernel_sizes=kernel_sizes,
            dilations=dilations,
            stride=stride,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            mixture=mixture,
            temperature=temperature,
            engine=engine,
            device=device,
            dtype=dtype,
        )


class MixedConv2d(MixedConvNd):
    r"""A 2-d convolution whose kernel is a weighted mixture of candidate kernels.

    Each candidate :math:`i` has a size :math:`k_i`, a dilation :math:`d_i` and weights :math:`w_i` of its own.
    Convolution is linear, so the mixture of the results is computed as one convolution with the mixture of the kernels,
    however many candidates there are:

    .. math:: \sum_i m_i \, (w_i \ast_{d_i} x) = \Big(\sum_i m_i \, \mathrm{dilate}_{d_i}(w_i)\Big) \ast x

    In training the mixture is :math:`m = \mathrm{softmax}((\alpha + g) / \tau)` with fresh Gumbel noise :math:`g` in
    every forward pass; in evaluation, and with ``mixture="softmax"``, :math:`m = \mathrm{softmax}(\alpha / \tau)`.
    The logits ``alpha`` are a parameter, trained with the weights.

    It stands where an ``nn.Conv2d`` with "same" padding stood: tap :math:`j` of a candidate sits
    :math:`d j - \lfloor d(k-1)/2 \rfloor` pixels from the output position, and output :math:`p` is centred on input
    :math:`\mathrm{stride} \cdot p`. ``kernel_size``, ``dilation`` and ``padding`` describe the widest candidate.

    Args:
        in_channels, out_channels: Channels of the input and of the output.
        kernel_sizes: Sizes to choose from, in pixels: ``(3, 5)`` are two choices, ``((3, 9), 5)`` are 3×9 and 5×5.
        dilations: Dilations to choose from, in pixels, written likewise. Every pair of a size and a dilation is a
            candidate, sizes major.
        stride: Step between output pixels, one number or one per axis.
        groups, bias: As in ``nn.Conv2d``.
        padding_mode: ``"zeros"``, ``"circular"``, ``"reflect"`` or ``"replicate"``.
        mixture: ``"gumbel"`` or ``"softmax"``, see above.
        temperature: :math:`\tau` > 0, an attribute to anneal.
        engine: ``"auto"`` or a name of :func:`dash_kernels.engines`. :func:`dash_kernels.explain` tells which one runs.
        device, dtype: As in ``nn.Conv2d``; real floating point.

    Attributes:
        alpha: ``(len(candidates),)``, the logits, drawn as 1e-3·N(0, 1).
        weight: ``(out_channels, in_channels/groups, taps)``, the kernels of all candidates side by side, each
            row-major and drawn as ``nn.Conv2d`` of its shape would; :meth:`candidate_weight` is the view of one.
        bias: ``(out_channels,)`` or None.
        candidates: What ``alpha`` counts: ``Candidate(kernel_size, dilation)``.

    Shape:
        - Input: ``(batch, in_channels, height, width)``, or without batch; float32 or float64; float16 and bfloat16,
          and everything under autocast, are computed in float32.
        - Output: ``(batch, out_channels, ceil(height / stride), ceil(width / stride))``, in ``torch.channels_last`` if
          the input is, as torch's own layers; the compiled engines read and write both formats as they are.

    Raises:
        ValueError: A number is below 1, ``groups`` does not divide the channels, a name is unknown, or along an axis
            with stride above 1 a candidate has an odd ``d(k-1)``, which no strided ``nn.Conv2d`` computes.
        TypeError: A number is not an int, or ``dtype`` is not real floating point.

    Note:
        Rounding is relative to the norm of the whole map, not to each pixel: with engine "fourier" every output pixel
        is computed from every input pixel, so that beside very large values small ones lose digits, and one NaN or
        infinity spreads over its map. That engine transforms two samples of a batch as one: what is said of a map
        holds for both. ``engine="direct"`` keeps it to the kernel's extent.

    Note:
        Other libraries call other things ``MixedConv2d``. timm's splits the channels and gives each part one kernel
        size (MixNet); NNI's slices one large kernel, so that all candidates share weights. Here every candidate sees
        every channel and owns its weights.

    Source: Shen, Khodak, Talwalkar, "Efficient Architecture Search for Diverse Tasks", 2022, arXiv:2204.07554.

    Example:
        >>> layer = MixedConv2d(16, 32, kernel_sizes=(3, 5), dilations=(1, 3), stride=2)
        >>> layer(torch.randn(2, 16, 9, 9)).shape
        torch.Size([2, 32, 5, 5])
        >>> [str(candidate) for candidate in layer.candidates]
        ['3x3/1', '3x3/3', '5x5/1', '5x5/3']
        >>> layer.to_conv(1)
        Conv2d(16, 32, kernel_size=(3, 3), stride=(2, 2), padding=(3, 3), dilation=(3, 3))
    """

    ndim = 2
    conv = nn.Conv2d


class MixedConv3d(MixedConvNd):
    """A 3-d convolution whose kernel is a weighted mixture of candidate kernels.

    :class:`MixedConv2d` tells how it works, its arguments and its shapes; here a size is depth, height and width.

    Note:
        Engine "fourier" does not compute 3-d layers, so what :class:`MixedConv2d` says of its rounding and of NaN does
        not happen here.

    Example:
        >>> layer = MixedConv3d(1, 2, kernel_sizes=(1, 3), dilations=(1,), engine="reference")
        >>> layer(torch.randn(1, 1, 4, 5, 6)).shape
        torch.Size([1, 2, 4, 5, 6])
    """

    ndim = 3
    conv = nn.Conv3d
