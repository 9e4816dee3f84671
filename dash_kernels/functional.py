# SPDX-License-Identifier: BSD-3-Clause
"""Functions behind the layers: they check arguments, settle padding and dtypes, and call the operators."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from . import _arguments as check
from . import ops
from ._operands import autocast, computed, finished
from .dtypes import cast
from .engines import resolve
from .softmax import Softmax
from .space import SearchSpace
from .taps import reaching, same_size

PADDING_MODES = ("zeros", "circular", "reflect", "replicate")
PADDED = ("reflect", "replicate")
"""Those that are laid around the input before it is convolved."""


def mixed_conv(
    x: Tensor,
    weight: Tensor,
    mixture: Tensor,
    space: SearchSpace,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    engine: str = "auto",
    *,
    causal: bool = False,
    ndim: int | None = None,
) -> Tensor:
    r"""Convolution with the mixture of all candidate kernels of a space, as one convolution.

    Convolution is linear, so the mixture of results is one convolution with the mixture of kernels:

    .. math:: \sum_i m_i \, (w_i \ast_{d_i} x) = \Big(\sum_i m_i \, \mathrm{dilate}_{d_i}(w_i)\Big) \ast x

    Engine "fourier" computes with whole maps, two samples of a batch as one: its rounding is relative to the norm of
    both maps, and a NaN or an Inf anywhere spreads over both. So a causal convolution is causal up to rounding of the
    largest values.

    Args:
        x: (batch, in, *n), or (in, *n) unbatched.
        weight: (out, in/groups, T), the candidates' weights packed side by side in the order of ``space.candidates``,
            each row-major, unscaled.
        mixture: (candidates,), any real numbers; they need not sum to one.
        space: The candidates.
        bias: (out,) or None.
        stride: Step between output pixels, one number or one per axis.
        groups: As in ``nn.ConvNd``.
        padding_mode: "zeros", "circular" (positions modulo n, any reach), "reflect" or "replicate".
        engine: "auto" or a name from :func:`dash_kernels.engines`.
        causal: Let no tap look ahead: offsets from -d(k-1) to 0 on every axis.
        ndim: How many axes of x are pixels. Needed only where every candidate has one tap and x is batched with one
            number of axes or unbatched with the next.

    Returns:
        (batch, out, ceil(n / stride)) in x's dtype and memory format, contiguous or channels_last; float16 and bfloat16
        are computed in float32. Under autocast everything but float64 is computed and returned in float32.

    Raises:
        TypeError: An argument is of the wrong type, or tensors differ in dtype.
        ValueError: Shapes do not fit together, d(k-1) is odd for some candidate while the stride is not 1 (no
            ``nn.ConvNd`` computes that), "reflect" reaches further than the input, x can be read as batched
            and as unbatched, or the engine cannot run this.

    Source: Shen, Khodak, Talwalkar, "Efficient Architecture Search for Diverse Tasks", 2022, arXiv:2204.07554.

    Example:
        >>> space = SearchSpace(kernel_sizes=(3, 5), dilations=(1, 7))
        >>> x, weight = torch.randn(8, 4, 28, 28), torch.randn(16, 4, 2 * 9 + 2 * 25)
        >>> mixed_conv(x, weight, torch.full((4,), 0.25), space).shape
        torch.Size([8, 16, 28, 28])
    """
    mixture = check.tensor("mixture", mixture)
    if not isinstance(space, SearchSpace):
        raise TypeError(f"space is a {type(space).__name__}: give a dash_kernels.SearchSpace.")
    rest = (space, bias, stride, groups, padding_mode, engine, causal, ndim)
    return searched_conv(x, weight, mixture, None, *rest)


def searched_conv(
    x: Tensor,
    weight: Tensor,
    given: Tensor,
    softmax: Softmax | None,
    space: SearchSpace,
    bias: Tensor | None,
    stride: int | Sequence[int],
    groups: int,
    padding_mode: str,
    engine: str,
    causal: bool,
    ndim: int | None,
) -> Tensor:
    """:func:`mixed_conv` of a mixture that is given or, if there is a softmax, that it makes of the logits given."""
    x, weight = check.tensor("input", x), check.tensor("weight", weight)
    if weight.dim() != 3:
        raise ValueError(f"weight has shape {tuple(weight.shape)}: give (out, in/groups, packed taps).")
    bias = None if bias is None else check.tensor("bias", bias)
    groups = check.whole("groups", groups, 1)
    ndim = check.pixel_axes(space, x, weight, groups, None) if ndim is None else check.whole("ndim", ndim, 1)
    steps = check.per_axis("stride", stride, ndim)
    if padding_mode not in PADDING_MODES:
        raise ValueError(f"padding_mode is {padding_mode!r}: use one of {', '.join(PADDING_MODES)}.")
    batched = x.dim() == ndim + 2
    operands = (x, weight, given) if bias is None else (x, weight, given, bias)
    if ops.eager(*operands):
        kinds = tuple([(operand.shape, operand.dtype, operand.device) for operand in operands])
        mode = torch.are_deterministic_algorithms_enabled()
        layer, before, after = _layer(kinds, space, steps, groups, causal, padding_mode, resolve(engine), mode)
        returned = x.dtype
        x, weight, bias = computed(x, weight, bias, ndim)
        x, given = _padded(x, before, after, padding_mode), cast(given, weight.dtype)
        y = ops.mixed_conv(x, weight, given, bias, layer, softmax)
    else:
        name = _in_force(engine)
        x, weight, bias = autocast(x, weight, bias)
        _check(x, weight, given, bias, space, groups, ndim)
        returned = x.dtype
        x, weight, bias = computed(x, weight, bias, ndim)
        offsets, out_size, index, counts, before, after = _geometry(space, steps, causal, padding_mode, x.shape[2:])
        given = cast(given, weight.dtype)  # as above before the softmax, which would round to half
        mixture = given if softmax is None else softmax.mixture(given)
        taps = ops.mix_taps(weight, mixture, index, counts, len(offsets) // ndim, name)
        x = _padded(x, before, after, padding_mode)
        y = ops.tap_conv(x, taps, offsets, out_size, steps, groups, padding_mode == "circular", bias, name)
    return finished(y, returned, batched)


def tap_conv(
    x: Tensor,
    taps: Tensor,
    offsets: Sequence[int] | Sequence[Sequence[int]],
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    groups: int = 1,
    out_size: int | Sequence[int] | None = None,
    circular: bool = False,
    engine: str = "auto",
) -> Tensor:
    r"""Correlates x with weights at arbitrary offsets; every convolution is one of these.

    .. math:: y_{b,o,p} = \sum_c \sum_t \mathrm{taps}_{o,c,t} \, x_{b,c,\,s p + \mathrm{offset}_t}

    Engine "fourier" computes with whole maps, two samples of a batch as one: its rounding is relative to the norm of
    both maps, and a NaN or an Inf anywhere spreads over both. So taps that only look back see later values up to
    rounding of the largest.

    Args:
        x: (batch, in, *n), or (in, *n) unbatched; zero outside.
        taps: (out, in/groups, T).
        offsets: T positions relative to ``stride * output position``, in pixels, each a tuple with one whole number per
            axis (plain numbers in 1-D), any sign and order; weights at repeated positions add up. Tuples of ints are
            checked the fastest.
        bias: (out,) or None.
        stride: Step between output pixels, one number or one per axis.
        groups: As in ``nn.ConvNd``.
        out_size: Output pixels per axis, by default ceil(n / stride).
        circular: Positions wrap around, modulo n, instead.
        engine: "auto" or a name from :func:`dash_kernels.engines`.

    Returns:
        (batch, out, *out_size) in x's dtype and memory format, as in :func:`mixed_conv`.

    Raises:
        TypeError: An argument is of the wrong type, or tensors differ in dtype.
        ValueError: Shapes do not fit together, or the engine cannot run this.

    Example:
        >>> x = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
        >>> tap_conv(x, torch.ones(1, 1, 2), offsets=(-2, 0), engine="reference")
        tensor([[[1., 2., 4., 6.]]])
    """
    x, taps = check.tensor("input", x), check.tensor("taps", taps)
    if isinstance(offsets, str) or not isinstance(offsets, Iterable):
        raise TypeError(f"offsets is {offsets!r}: give a sequence of whole numbers, or of tuples of them.")
    ndim, flat = check.flat_offsets(offsets if isinstance(offsets, tuple) else tuple(offsets))
    groups = check.whole("groups", groups, 1)
    steps = check.per_axis("stride", stride, ndim)
    count = len(flat) // ndim
    if taps.dim() != 3 or taps.shape[2] != count:
        raise ValueError(
            f"taps has shape {tuple(taps.shape)}, there are {count} offsets: give (out, in/groups, {count})."
        )
    if x.dim() not in (ndim + 1, ndim + 2):
        raise ValueError(
            f"input has shape {tuple(x.shape)}, the offsets have {ndim} numbers each: give (batch, channels, *n) or "
            f"(channels, *n) with n of {ndim} axes."
        )
    x, taps, bias = autocast(x, taps, None if bias is None else check.tensor("bias", bias))
    check.operands(x, taps, bias, groups, ndim, "taps")
    returned, batched = x.dtype, x.dim() == ndim + 2
    x, taps, bias = computed(x, taps, bias, ndim)
    if out_size is None:
        size = tuple(same_size(n, step) for n, step in zip(x.shape[2:], steps, strict=True))
    else:
        size = check.per_axis("out_size", out_size, ndim)
    y = ops.tap_conv(x, taps, flat, size, steps, groups, circular, bias, _in_force(engine))
    return finished(y, returned, batched)


Numbers = tuple[int, ...]


def _geometry(
    space: SearchSpace, steps: Numbers, causal: bool, padding_mode: str, size: Sequence[int]
) -> tuple[Numbers, Numbers, Numbers, Numbers, Numbers, Numbers]:
    """Offsets, output size, index and counts of a layer, and how far to pad before and after the pixels per axis."""
    padded = padding_mode in PADDED
    offsets, index, counts, before, after = check.lattice(space, len(steps), steps, causal, padded)
    out_size = tuple(same_size(n, step) for n, step in zip(size, steps, strict=True))
    graph = torch.compiler.is_compiling() or not all(isinstance(n, int) for n in size)
    if padding_mode == "zeros" and not graph:  # in a graph sizes may be symbols
        offsets, index = reaching(offsets, index, tuple(size), out_size, steps)
    none = (0,) * len(steps)
    return offsets, out_size, index, counts, before if padded else none, after if padded else none


@functools.lru_cache(maxsize=1024)
def _layer(
    kinds: tuple[tuple[torch.Size, torch.dtype, torch.device], ...],
    space: SearchSpace,
    steps: Numbers,
    groups: int,
    causal: bool,
    padding_mode: str,
    engine: str,
    deterministic: bool,
) -> tuple[ops.Layer, Numbers, Numbers]:
    """The layer for operands of these kinds, which are checked, and how far to pad.

    Engines are chosen anew in deterministic mode: it only tells calls apart.
    """
    x, weight, mixture, *bias = itertools.starmap(check.Kind, kinds)
    _check(x, weight, mixture, bias[0] if bias else None, space, groups, len(steps))
    size = x.shape[-len(steps) :]
    offsets, out_size, index, counts, before, after = _geometry(space, steps, causal, padding_mode, size)
    input_size = tuple(b + n + a for b, n, a in zip(before, size, after, strict=True))
    circular = padding_mode == "circular"
    return ops.Layer(index, counts, offsets, input_size, out_size, steps, groups, circular, engine), before, after


def _check(
    x: check.Described,
    weight: check.Described,
    mixture: check.Described,
    bias: check.Described | None,
    space: SearchSpace,
    groups: int,
    ndim: int,
) -> None:
    """The operands of a mixed convolution fit together."""
    check.pixel_axes(space, x, weight, groups, ndim)
    if mixture.dim() != 1 or mixture.shape[0] != len(space):
        raise ValueError(
            f"mixture has shape {tuple(mixture.shape)}, the space has {len(space)} candidates: "
            f"{' '.join(map(str, space.candidates(ndim)))}."
        )
    check.operands(x, weight, bias, groups, ndim, "weight")
    check.same_device(x, mixture=mixture)


def _in_force(engine: str) -> str:
    """Fixes the engine for the gradients too; a compiled graph leaves it to each operator when it runs."""
    return engine if torch.compiler.is_compiling() else resolve(engine)


def _padded(x: Tensor, before: Sequence[int], after: Sequence[int], mode: str) -> Tensor:
    """x padded as far as taps reach, if the engines are not to do it."""
    if mode not in PADDED:
        return x
    for b, a, n in zip(before, after, x.shape[2:], strict=True):
        if mode == "reflect" and max(b, a) >= n:
            raise ValueError(
                f'padding_mode="reflect" needs more pixels than the widest reach, {max(b, a)}, and the input has {n} '
                f"along an axis (its size is {tuple(x.shape[2:])}): use another padding mode or smaller candidates."
            )
    amounts = [amount for pair in zip(reversed(before), reversed(after), strict=True) for amount in pair]
    return F.pad(x, amounts, mode=mode)
