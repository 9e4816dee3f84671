# SPDX-License-Identifier: BSD-3-Clause
"""The mixture by torch.fft, as well as it can be written in plain PyTorch: the rival that needs no compiled code."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from dash_kernels.space import Candidate
from dash_kernels.taps import tap_offsets


def fft_composite(
    x: Tensor,
    weight: Tensor,
    mixture: Tensor,
    candidates: tuple[Candidate, ...],
    bias: Tensor | None,
    stride: tuple[int, ...],
    groups: int,
) -> Tensor:
    """One summed kernel, one batched matrix product over all frequencies; arguments as ``reference.mixed_results``."""
    size = tuple(x.shape[2:])
    axes = tuple(range(2, x.dim()))
    lengths, packed, places = plan(candidates, size)
    shares = mixture.repeat_interleave(torch.tensor([c.taps for c in candidates]), output_size=weight.shape[2])
    taps = (weight * shares).index_select(2, packed)
    grid = taps.new_zeros((*taps.shape[:2], lengths.numel())).index_add(2, places, taps).unflatten(2, lengths)

    # (frequency, group, batch, in) times (frequency, group, in, out); correlation conjugates the kernel's spectrum.
    spectrum = torch.fft.rfftn(x, lengths, axes)
    half = spectrum.shape[2:]
    left = spectrum.flatten(2).unflatten(1, (groups, -1)).permute(3, 1, 0, 2)
    right = torch.fft.rfftn(grid, lengths, axes).conj().flatten(2).unflatten(0, (groups, -1)).permute(3, 0, 2, 1)
    product = torch.matmul(left, right).permute(2, 1, 3, 0).flatten(1, 2).unflatten(2, half)
    y = torch.fft.irfftn(product, lengths, axes)
    y = y[(..., *(slice(0, n, s) for n, s in zip(size, stride, strict=True)))]
    return y if bias is None else y + bias.view(-1, *[1] * len(axes))


@functools.lru_cache(maxsize=64)
def plan(candidates: tuple[Candidate, ...], size: tuple[int, ...]) -> tuple[torch.Size, Tensor, Tensor]:
    """Transform lengths, which packed weights can reach a pixel, and where each goes in the flattened circular grid."""
    offsets = torch.tensor([offset for candidate in candidates for offset in tap_offsets(candidate)])
    limits = torch.tensor(size)
    packed = ((offsets < limits) & (offsets > -limits)).all(1).nonzero()[:, 0]
    offsets = offsets[packed]
    reach = offsets.abs().amax(0).tolist()
    lengths = [smooth(n + r) for n, r in zip(size, reach, strict=True)]
    lengths[-1] = even_smooth(size[-1] + reach[-1])  # an odd last axis would cost a full complex transform
    place = torch.zeros(len(packed), dtype=torch.long)
    for axis, length in enumerate(lengths):
        place = place * length + offsets[:, axis] % length
    return torch.Size(lengths), packed, place


def smooth(n: int) -> int:
    """The least number from n on with no prime factor above 5."""
    while not is_smooth(n):
        n += 1
    return n


def even_smooth(n: int) -> int:
    return 2 * smooth((n + 1) // 2)


def is_smooth(n: int, primes: Sequence[int] = (2, 3, 5)) -> bool:
    for prime in primes:
        while n % prime == 0:
            n //= prime
    return n == 1
