# SPDX-License-Identifier: BSD-3-Clause
"""How the Triton engine computes a convolution: integers only, no torch and no Triton.

Everything is placed on one circle per axis, long enough for nothing to wrap around where it should not. There
``tap_conv`` is a circular correlation, and each operand is given by its values at some positions: the input at 0..n-1,
the output at 0, s, 2s.., the taps at their offsets. A transform takes values at positions to the circle's frequencies
or back, so strides, padding, cropping and offsets are nothing but choices of positions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...taps import fast_length, least_lengths, reaches
from ..rounding import share_reached

Ints = Sequence[int]
Grid = tuple[range | tuple[int, ...], ...]
"""Positions per axis; their product, the last axis fastest, is where values lie that follow each other in memory."""

TILE = 16
"""Matrix units compute so many rows and columns at once; work is counted in whole tiles."""

# A direct transform of maps reads a table of so many numbers at most, which should stay in the second-level cache.
MOST_DIRECT = 2**19
# That of the taps may be larger: there are fewer rows of them to read it for. A launch has 65,535 blocks of 32
# frequencies or taps at most, which this is below too.
MOST_TAPS = 2**21
# By arithmetic and bytes, factored transforms beat torch's up to such lengths of an axis of a map, and of a series:
# docs/gpu.md has the figures, between those of an A100 and of an H100.
LONGEST_FACTOR = 160
LONGEST_SERIES = 2**13
PART_BYTES = 2**27
"""Of the spectra held at a time, those of the maps and those of the taps each: a few times a second-level cache."""
# Multiplications in the product over channels, per frequency of one series, with some dozens of channels.
PRODUCT = 128


@dataclass(frozen=True, eq=False)  # equal plans are the same one: to hash hundreds of taps would cost every call
class Plan:
    """The circles, the way to transform, and where the taps lie.

    Attributes:
        route: How maps are transformed: "direct" (a table of all positions and frequencies), "factored" (a table per
            axis of a plane) or "torch" (torch.fft).
        tap_route: How taps are, to the same frequencies.
        lengths: Of the circles, per axis.
        factors: (n1, n2) of a factored transform: ``lengths`` of a map; of a series, two factors of its length.
        taps: Each tap's position, None for those that reach no pixel and so have no place on the circle.
        cells: What taps are laid out on for their transform: of "factored" a grid, of "torch" the numbers of the points
            of the circles that hold a tap; None for "direct", which takes them as they are.
        place: For each tap its number among the cells, -1 for those without a place; empty without cells.
        reach: See :func:`dash_kernels.engines.rounding.share_reached`; 1 if circular.
    """

    route: str
    tap_route: str
    lengths: tuple[int, ...]
    factors: tuple[int, int] | None
    taps: tuple[tuple[int, ...] | None, ...]
    cells: Grid | None
    place: tuple[int, ...]
    reach: float

    @functools.cached_property
    def shape(self) -> tuple[int, ...]:
        """Frequencies that are kept, per axis of the transform: half of the last axis, the rest being conjugates."""
        lengths = self.factors or self.lengths
        return (*lengths[:-1], lengths[-1] // 2 + 1)

    @functools.cached_property
    def frequencies(self) -> int:
        """How many are kept."""
        return math.prod(self.shape)


@functools.lru_cache(maxsize=1024)
def plan(
    offsets: tuple[int, ...], size: tuple[int, ...], out: tuple[int, ...], stride: tuple[int, ...], circular: bool
) -> Plan:
    """The plan of a convolution with these offsets: flat, one row of numbers per tap."""
    ndim = len(size)
    rows = [offsets[t : t + ndim] for t in range(0, len(offsets), ndim)]
    reaching = [circular or reaches(row, size, out, stride) for row in rows]
    near = [row for row, reached in zip(rows, reaching, strict=True) if reached]
    least = size if circular else least_lengths(near, size, out, stride)
    route, lengths, factors = _route(least, len(rows), size, out, stride, circular)
    taps = tuple(
        tuple(o % n for o, n in zip(row, lengths, strict=True)) if reached else None
        for row, reached in zip(rows, reaching, strict=True)
    )
    tap_route = _tap_route(route, lengths, len(rows))
    cells, place = _layout(tap_route, lengths, taps)
    return Plan(
        route=route,
        tap_route=tap_route,
        lengths=lengths,
        factors=factors,
        taps=taps,
        cells=cells,
        place=place,
        reach=1.0 if circular else share_reached(rows, size, out, stride),
    )


def _route(
    least: tuple[int, ...], num_taps: int, size: Ints, out: Ints, stride: Ints, circular: bool
) -> tuple[str, tuple[int, ...], tuple[int, int] | None]:
    """Route, lengths of the circles and factors: of the table routes that are open, the one with less work."""
    positions, frequencies = max(math.prod(size), math.prod(out)), math.prod(least[:-1]) * (least[-1] // 2 + 1)
    direct, factored = math.inf, math.inf
    if num_taps * frequencies <= MOST_TAPS and 2 * positions * frequencies <= MOST_DIRECT:
        direct = 2 * _padded(positions) * _padded(frequencies)
    factors = _factors(least, size[0], stride[0], circular)
    if factors is not None and (len(size) == 2 or num_taps * math.prod(factors) <= MOST_TAPS):
        factored = _factored_work(factors, size)
    if direct < math.inf and direct <= factored:
        return "direct", least, None
    if factors is not None and factored < math.inf:
        return "factored", factors if len(size) == 2 else (math.prod(factors),), factors
    return "torch", least if circular else tuple(fast_length(n, 1) for n in least), None


def _tap_route(route: str, lengths: tuple[int, ...], num_taps: int) -> str:
    """Taps lie on a small part of the circles, so tables serve them longer than they serve maps."""
    if route == "direct" or (len(lengths) == 1 and num_taps * lengths[0] <= MOST_TAPS):
        return "direct"
    return "factored" if len(lengths) == 2 else "torch"


def _padded(size: int) -> int:
    return -(-size // TILE) * TILE


def _factored_work(factors: tuple[int, int], size: Ints) -> int:
    """Multiplications of a factored transform, of a map or of a series laid out as a plane."""
    n1, n2 = factors
    rows, columns = (size[0], size[1]) if len(size) == 2 else (n1, -(-size[0] // n1))
    half = _padded(n2 // 2 + 1)
    return 2 * _padded(rows) * _padded(columns) * half + 4 * _padded(n1) * _padded(rows) * half


def _factors(least: tuple[int, ...], size: int, stride: int, circular: bool) -> tuple[int, int] | None:
    """Both lengths of a map, or those of a series as a plane; None where they are too long, and for volumes."""
    if len(least) == 2:
        return (least[0], least[1]) if max(least) <= LONGEST_FACTOR else None
    return plane_of(least[0], size, stride, circular) if len(least) == 1 and least[0] <= LONGEST_SERIES else None


def plane_of(least: int, size: int, stride: int, circular: bool) -> tuple[int, int] | None:
    """n1 and n2, stride dividing n1, whose product is ``least`` or more, and no more if circular.

    Of all pairs that with the fewest multiplications in transform and product. None where a factor would be too long.
    """
    best: tuple[int, tuple[int, int]] | None = None
    for n1 in range(stride, LONGEST_FACTOR + 1, stride):
        n2 = -(-least // n1)
        if n2 > LONGEST_FACTOR or (circular and n1 * n2 != least):
            continue
        work = _factored_work((n1, n2), (size,)) + PRODUCT * n1 * (n2 // 2 + 1)
        if best is None or work < best[0]:
            best = work, (n1, n2)
    return None if best is None else best[1]


def _layout(
    tap_route: str, lengths: tuple[int, ...], taps: Sequence[tuple[int, ...] | None]
) -> tuple[Grid | None, tuple[int, ...]]:
    """Cells and places of a plan."""
    if tap_route == "direct":
        return None, ()
    placed = [tap for tap in taps if tap is not None] or [(0,) * len(lengths)]
    if tap_route == "factored":
        cells = tuple(tuple(sorted(set(axis))) for axis in zip(*placed, strict=True))
        number = [{position: i for i, position in enumerate(axis)} for axis in cells]
        sizes = tuple(map(len, cells))
        rows = [None if tap is None else tuple(n[p] for n, p in zip(number, tap, strict=True)) for tap in taps]
        return cells, tuple(-1 if row is None else _number(row, sizes) for row in rows)
    points = tuple(sorted({_number(tap, lengths) for tap in placed}))
    order = {point: i for i, point in enumerate(points)}
    return (points,), tuple(-1 if tap is None else order[_number(tap, lengths)] for tap in taps)


def _number(position: Ints, sizes: Ints) -> int:
    """Of a position, the last axis fastest."""
    number = 0
    for at, size in zip(position, sizes, strict=True):
        number = number * size + at
    return number


def positions(size: Ints, stride: Ints) -> Grid:
    """Of a map with so many pixels per axis, ``stride`` apart."""
    return tuple(range(0, step * n, step) for n, step in zip(size, stride, strict=True))
