# SPDX-License-Identifier: BSD-3-Clause
"""Where the taps of a set of candidates lie, and which outputs they reach: integers only, no torch."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from .space import Candidate

FARTHEST = 2**31 - 1
"""Positions, sizes and strides are at most so large, in pixels: beyond, compiled code might overflow."""


def tap_offsets(candidate: Candidate, causal: bool = False) -> tuple[tuple[int, ...], ...]:
    """Positions of a candidate's taps relative to the output position, in pixels, row-major.

    Tap j of an axis with k taps and dilation d sits at ``d*j - (d*(k-1))//2``, which is torch's ``padding="same"``;
    with ``causal`` at ``d*j - d*(k-1)``, so that no tap looks ahead.
    """
    axes = []
    for k, d in zip(candidate.kernel_size, candidate.dilation, strict=True):
        before = d * (k - 1) if causal else d * (k - 1) // 2
        axes.append(range(-before, d * k - before, d))
    return tuple(itertools.product(*axes))


@dataclass(frozen=True)
class TapLattice:
    """The union of all candidates' tap positions, and where each packed weight belongs in it.

    Packed weights lie side by side on one axis, candidate after candidate, each row-major.

    Attributes:
        offsets: The distinct positions relative to the output position, in pixels, sorted row-major.
        index: For each packed weight, its position in ``offsets``.
        counts: Packed weights per candidate.
        flat: ``offsets`` as one flat tuple, the form the operators take.
    """

    offsets: tuple[tuple[int, ...], ...]
    index: tuple[int, ...]
    counts: tuple[int, ...]
    flat: tuple[int, ...]

    @classmethod
    def of(cls, candidates: Sequence[Candidate], causal: bool = False) -> TapLattice:
        """The lattice of ``candidates``, worked out once for each distinct argument.

        Raises:
            ValueError: There is no candidate, or candidates differ in their number of axes.
        """
        return _lattice(tuple(candidates), causal)

    @property
    def num_packed(self) -> int:
        """Length of the packed axis: taps of all candidates together."""
        return len(self.index)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.offsets[0])

    def __len__(self) -> int:
        return len(self.offsets)


@functools.lru_cache(maxsize=256)
def _lattice(candidates: tuple[Candidate, ...], causal: bool) -> TapLattice:
    if len({len(c.kernel_size) for c in candidates}) != 1:
        raise ValueError(
            f"candidates {', '.join(map(str, candidates)) or '()'}: one or more with equal numbers of axes."
        )
    packed = [offset for candidate in candidates for offset in tap_offsets(candidate, causal)]
    offsets = tuple(sorted(set(packed)))
    position = {offset: i for i, offset in enumerate(offsets)}
    return TapLattice(
        offsets=offsets,
        index=tuple(position[offset] for offset in packed),
        counts=tuple(candidate.taps for candidate in candidates),
        flat=tuple(itertools.chain.from_iterable(offsets)),
    )


def same_size(size: int, stride: int) -> int:
    """Outputs of an axis with ``size`` inputs: ceil(size / stride)."""
    return -(-size // stride)


def outputs_reached(offset: int, size: int, out: int, stride: int) -> range:
    """Outputs p in 0..out-1 of one axis for which ``stride*p + offset`` lies inside 0..size-1."""
    first = max(0, -(offset // stride))
    last = min(out - 1, (size - 1 - offset) // stride)
    return range(first, max(first, last + 1))


@functools.lru_cache(maxsize=1024)
def reaching(
    flat: tuple[int, ...], index: tuple[int, ...], size: tuple[int, ...], out: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The taps that read at least one input pixel, with zeros outside: on a small map most of a wide kernel does not.

    Args:
        flat: Offsets, one row of numbers per tap.
        index: For each packed weight, its tap.
        size, out, stride: Per axis.

    Returns:
        The offsets that are left, and the index into them, -1 for weights whose tap is gone. Everything as it was if
        nothing is left.
    """
    ndim = len(size)
    rows = [flat[i : i + ndim] for i in range(0, len(flat), ndim)]
    place: dict[int, int] = {}
    for tap, row in enumerate(rows):
        if all(outputs_reached(o, n, m, s) for o, n, m, s in zip(row, size, out, stride, strict=True)):
            place[tap] = len(place)
    if len(place) in (0, len(rows)):
        return flat, index
    return tuple(o for tap in place for o in rows[tap]), tuple(place.get(tap, -1) for tap in index)


def fast_length(least: int, multiple: int) -> int:
    """The shortest length >= least that is ``multiple`` times a number with no prime factor above 5."""
    wanted = max(1, -(-least // multiple))
    best = 1 << (wanted - 1).bit_length()
    fives = 1
    while fives < best:
        threes = fives
        while threes < best:
            twos = 1 << (-(-wanted // threes) - 1).bit_length()  # the least power of two that makes it large enough
            best = min(best, threes * twos)
            threes *= 3
        fives *= 5
    return best * multiple


def is_smooth(n: int) -> bool:
    """Whether n >= 1 has no prime factor above 5."""
    for factor in (2, 3, 5):
        while n % factor == 0:
            n //= factor
    return n == 1


def least_length(lowest: int, highest: int, size: int, out: int, stride: int) -> int:
    """The shortest circle on which one axis of a zero-padded convolution is exact.

    Input positions read span lo = lowest .. hi = stride*(out-1) + highest. Position q lies at q modulo N, so N must
    reach max(size, hi + 1, size - lo): then no position outside the input lands on a pixel.
    """
    return max(size, stride * (out - 1) + highest + 1, size - lowest, stride * out)


def reaches(row: Sequence[int], size: Sequence[int], out: Sequence[int], stride: Sequence[int]) -> bool:
    """Whether a tap at ``row`` reads a pixel for any output."""
    return all(len(outputs_reached(*axis)) > 0 for axis in zip(row, size, out, stride, strict=True))


def least_lengths(
    rows: Sequence[Sequence[int]], size: Sequence[int], out: Sequence[int], stride: Sequence[int]
) -> tuple[int, ...]:
    """:func:`least_length` of every axis, for taps at ``rows`` that all reach a pixel; of none, one at 0."""
    axes = list(zip(*(rows or [(0,) * len(size)]), strict=True))
    return tuple(map(least_length, map(min, axes), map(max, axes), size, out, stride))


def transform_length(lowest: int, highest: int, size: int, out: int, stride: int, last_axis: bool) -> int:
    """The shortest fast length of such a circle.

    A stride must divide it, which folds the spectrum; the last axis transforms reals in pairs, so its folded length is
    even.
    """
    return fast_length(least_length(lowest, highest, size, out, stride), stride * (2 if last_axis else 1))
