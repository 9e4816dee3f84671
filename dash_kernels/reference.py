# SPDX-License-Identifier: BSD-3-Clause
"""What each operator means: direct sums in plain torch, for any device, any number of axes and any floating dtype.

The convolution family reads, with offsets as a flat list of one row per tap,

    y[b, o, p] = sum_c sum_t taps[o, c, t] * x[b, c, stride*p + offset_t]

where x is zero outside, or its index wraps around when ``circular``. It is bilinear in taps and x, so each operator's
gradients are the other two. Likewise the mixing family, from the form sum_p grad[index_p] * weight[p] * mixture[c(p)].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .formats import in_format_of
from .space import Candidate
from .taps import outputs_reached

Slices = tuple[slice, ...]


def tap_conv(
    x: Tensor,
    taps: Tensor,
    offsets: Sequence[int],
    out_size: Sequence[int],
    stride: Sequence[int],
    groups: int,
    circular: bool,
    bias: Tensor | None = None,
) -> Tensor:
    """y (batch, out, *out_size) from x (batch, in, *n) and taps (out, in/groups, T), plus bias (out,).

    Like that of :func:`tap_conv_input_grad` in the memory format of its first operand.
    """
    reached = x
    if circular:
        reached, offsets = _wrap(x, offsets, out_size, stride)
    y = x.new_zeros((x.shape[0], taps.shape[0], *out_size))
    grouped = _grouped(y, 1, groups)
    source = _grouped(reached, 1, groups)
    kernels = _grouped(taps, 0, groups)
    for t, read, write in _tap_slices(offsets, reached.shape[2:], out_size, stride):
        grouped[write] += torch.einsum("goc,bgc...->bgo...", kernels[..., t], source[read])
    return in_format_of(x, y if bias is None else y + per_channel(bias, y.dim()))


def tap_conv_input_grad(
    grad: Tensor,
    taps: Tensor,
    offsets: Sequence[int],
    input_size: Sequence[int],
    stride: Sequence[int],
    groups: int,
    circular: bool,
) -> Tensor:
    """Adjoint of :func:`tap_conv` in x: (batch, in, *input_size) from grad (batch, out, *m)."""
    out_size = grad.shape[2:]
    size = list(input_size)
    if circular:
        offsets = [o % size[i % len(size)] for i, o in enumerate(offsets)]
        size = [_wrapped_length(n, m, s) for n, m, s in zip(size, out_size, stride, strict=True)]
    result = grad.new_zeros((grad.shape[0], groups * taps.shape[1], *size))
    grouped = _grouped(result, 1, groups)
    source = _grouped(grad, 1, groups)
    kernels = _grouped(taps, 0, groups)
    for t, read, write in _tap_slices(offsets, size, out_size, stride):
        grouped[read] += torch.einsum("goc,bgo...->bgc...", kernels[..., t], source[write])
    return in_format_of(grad, _fold(result, input_size) if circular else result)


def tap_conv_weight_grad(
    grad: Tensor, x: Tensor, offsets: Sequence[int], stride: Sequence[int], groups: int, circular: bool
) -> Tensor:
    """Adjoint of :func:`tap_conv` in taps: (out, in/groups, T) from grad (batch, out, *m) and x (batch, in, *n)."""
    out_size = grad.shape[2:]
    if circular:
        x, offsets = _wrap(x, offsets, out_size, stride)
    source = _grouped(x, 1, groups)
    upstream = _grouped(grad, 1, groups)
    count = len(offsets) // len(out_size)
    result = x.new_zeros((grad.shape[1], source.shape[2], count))
    grouped = _grouped(result, 0, groups)
    for t, read, write in _tap_slices(offsets, x.shape[2:], out_size, stride):
        grouped[..., t] = torch.einsum("bgo...,bgc...->goc", upstream[write].flatten(3), source[read].flatten(3))
    return result


def per_channel(bias: Tensor, dim: int) -> Tensor:
    """bias (out,) as (out, 1, ..., 1), which broadcasts over maps of ``dim`` axes."""
    return bias.view(-1, *[1] * (dim - 2))


def bias_grad(grad: Tensor) -> Tensor:
    """Adjoint of :func:`tap_conv` in bias: (out,) from grad (batch, out, *m)."""
    return grad.sum((0, *range(2, grad.dim())))


def mix_taps(weight: Tensor, mixture: Tensor, index: Sequence[int], counts: Sequence[int], lattice_size: int) -> Tensor:
    """Taps (out, in, lattice_size): packed weights (out, in, P) times their mixture weight, summed where they meet.

    A weight whose index is -1 takes no part: its tap reaches no pixel.
    """
    taps = weight.new_zeros((*weight.shape[:2], lattice_size + 1))
    return taps.index_add_(2, _long(index, weight) + 1, weight * _per_tap(mixture, counts))[..., 1:].clone()


def gather_taps(grad: Tensor, mixture: Tensor, index: Sequence[int], counts: Sequence[int]) -> Tensor:
    """Adjoint of :func:`mix_taps` in weight: (out, in, P) from grad (out, in, lattice_size)."""
    return _per_weight(grad, index) * _per_tap(mixture, counts)


def mixture_grad(grad: Tensor, weight: Tensor, index: Sequence[int], counts: Sequence[int]) -> Tensor:
    """Adjoint of :func:`mix_taps` in mixture: (candidates,) from grad (out, in, lattice) and weight (out, in, P)."""
    per_tap = (_per_weight(grad, index) * weight).sum((0, 1))
    return torch.stack([part.sum() for part in torch.split(per_tap, list(counts))])


def _grouped(tensor: Tensor, dim: int, groups: int) -> Tensor:
    """A view with the channels at ``dim`` split into (groups, channels per group)."""
    shape = tensor.shape
    return tensor.view(*shape[:dim], groups, shape[dim] // groups, *shape[dim + 1 :])


def _tap_slices(
    offsets: Sequence[int], size: Sequence[int], out_size: Sequence[int], stride: Sequence[int]
) -> Iterator[tuple[int, Slices, Slices]]:
    """For each tap that reaches the input: its number, the inputs it reads and the outputs it adds to.

    The slices are for tensors shaped (batch, groups, channels, *axes).
    """
    ndim = len(out_size)
    lead = (slice(None),) * 3
    for t in range(len(offsets) // ndim):
        read, write = [], []
        for axis in range(ndim):
            offset, step = offsets[t * ndim + axis], stride[axis]
            reached = outputs_reached(offset, size[axis], out_size[axis], step)
            if not reached:
                break
            first = step * reached.start + offset
            read.append(slice(first, first + step * (len(reached) - 1) + 1, step))
            write.append(slice(reached.start, reached.stop))
        else:
            yield t, lead + tuple(read), lead + tuple(write)


def _wrapped_length(size: int, out: int, stride: int) -> int:
    """Inputs that outputs 0..out-1 can read when every offset lies in 0..size-1."""
    return stride * max(out - 1, 0) + size


def _wrap(
    x: Tensor, offsets: Sequence[int], out_size: Sequence[int], stride: Sequence[int]
) -> tuple[Tensor, list[int]]:
    """x continued periodically, far enough for offsets taken modulo its size; and those offsets."""
    size = x.shape[2:]
    for axis, (n, m, s) in enumerate(zip(size, out_size, stride, strict=True)):
        positions = torch.arange(_wrapped_length(n, m, s), device=x.device) % n
        x = x.index_select(2 + axis, positions)
    return x, [o % size[i % len(size)] for i, o in enumerate(offsets)]


def _fold(wrapped: Tensor, size: Sequence[int]) -> Tensor:
    """Adjoint of the continuation in :func:`_wrap`: adds all periods onto the first."""
    for axis, n in enumerate(size, start=2):
        positions = torch.arange(wrapped.shape[axis], device=wrapped.device) % n
        shape = list(wrapped.shape)
        shape[axis] = n
        wrapped = wrapped.new_zeros(shape).index_add_(axis, positions, wrapped)
    return wrapped


def _long(index: Sequence[int], like: Tensor) -> Tensor:
    return torch.tensor(index, dtype=torch.long, device=like.device)


def _per_weight(grad: Tensor, index: Sequence[int]) -> Tensor:
    """The gradient (out, in, P) of each packed weight's tap, zero where it has none."""
    return F.pad(grad, (1, 0)).index_select(2, _long(index, grad) + 1)


def _per_tap(mixture: Tensor, counts: Sequence[int]) -> Tensor:
    return mixture.repeat_interleave(_long(counts, mixture), output_size=sum(counts))


def mixed_results(
    x: Tensor,
    weight: Tensor,
    mixture: Tensor,
    candidates: Sequence[Candidate],
    bias: Tensor | None = None,
    stride: Sequence[int] | int = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    causal: bool = False,
) -> Tensor:
    """The mixture as it is defined: every candidate's convolution by torch, times its mixture weight, added up.

    Args:
        x: (batch, in, *n).
        weight: (out, in/groups, P), the candidates' weights packed side by side, each row-major.
        mixture: One weight per candidate.
        candidates: The candidates, all with as many axes as x.
        bias: (out,) or None.
        stride, groups, padding_mode: As in ``nn.ConvNd``; the output has ceil(n / stride) pixels per axis.
        causal: Pad before the first pixel only.
    """
    steps = _per_axis(stride, x.dim() - 2)
    parts = torch.split(weight, [candidate.taps for candidate in candidates], dim=2)
    total: Tensor | None = None
    for candidate, part, share in zip(candidates, parts, mixture.unbind(), strict=True):
        before = [r if causal else r // 2 for r in candidate.reach]
        after = [r - b for r, b in zip(candidate.reach, before, strict=True)]
        kernel = part.reshape(*part.shape[:2], *candidate.kernel_size)
        result = _convolve(x, kernel, before, after, steps, candidate.dilation, groups, padding_mode)
        total = share * result if total is None else total + share * result
    assert total is not None
    return total if bias is None else total + bias.view(-1, *[1] * len(steps))


def mixed_weights(
    x: Tensor,
    weight: Tensor,
    mixture: Tensor,
    candidates: Sequence[Candidate],
    bias: Tensor | None = None,
    stride: Sequence[int] | int = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    causal: bool = False,
) -> Tensor:
    """The same function as :func:`mixed_results` from one summed kernel of the widest extent and one convolution."""
    axes = range(x.dim() - 2)
    befores = [[r if causal else r // 2 for r in c.reach] for c in candidates]
    before = [max(b[axis] for b in befores) for axis in axes]
    after = [max(c.reach[axis] - b[axis] for c, b in zip(candidates, befores, strict=True)) for axis in axes]
    dense = weight.new_zeros((*weight.shape[:2], *(b + a + 1 for b, a in zip(before, after, strict=True))))
    parts = torch.split(weight, [candidate.taps for candidate in candidates], dim=2)
    for candidate, part, share, left in zip(candidates, parts, mixture.unbind(), befores, strict=True):
        places = tuple(
            slice(before[axis] - left[axis], before[axis] - left[axis] + candidate.reach[axis] + 1, step)
            for axis, step in enumerate(candidate.dilation)
        )
        dense[(slice(None), slice(None), *places)] += share * part.reshape(*part.shape[:2], *candidate.kernel_size)
    steps = _per_axis(stride, len(axes))
    result = _convolve(x, dense, before, after, steps, (1,) * len(axes), groups, padding_mode)
    return result if bias is None else result + bias.view(-1, *[1] * len(axes))


def _per_axis(value: Sequence[int] | int, ndim: int) -> tuple[int, ...]:
    return (value,) * ndim if isinstance(value, int) else tuple(value)


def _convolve(
    x: Tensor,
    kernel: Tensor,
    before: Sequence[int],
    after: Sequence[int],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    padding_mode: str,
) -> Tensor:
    """torch's convolution over x padded by before and after per axis; it pads by itself where it can."""
    convolve = (F.conv1d, F.conv2d, F.conv3d)[len(stride) - 1]
    if padding_mode == "zeros" and list(before) == list(after):
        return convolve(x, kernel, None, stride, tuple(before), dilation, groups)
    if padding_mode == "circular":  # F.pad wraps once at most, a kernel may reach further
        for axis, (b, a) in enumerate(zip(before, after, strict=True), start=2):
            x = x.index_select(axis, torch.arange(-b, x.shape[axis] + a, device=x.device) % x.shape[axis])
    else:
        amounts = [amount for pair in zip(reversed(before), reversed(after), strict=True) for amount in pair]
        x = F.pad(x, amounts, mode="constant" if padding_mode == "zeros" else padding_mode)
    return convolve(x, kernel, None, stride, 0, dilation, groups)
