# SPDX-License-Identifier: BSD-3-Clause
"""How the CUDA engine computes a convolution: integers only, no torch.

Direct sums read a list of entries, each a tap and where it reads relative to a position. Depthwise layers are also
computed on a circle per axis, long enough for nothing to wrap around where it should not: pixels lie at 0, step,
2 step.., a tap at its offset, modulo the circle's length.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ..taps import fast_length, is_smooth, least_lengths, outputs_reached, reaches
from .rounding import share_reached

Ints = Sequence[int]
Tuple = tuple[int, ...]

AXES = 3
"""Of the maps that direct sums take; fewer have ones in front."""


@dataclass(frozen=True)
class Geometry:
    """What a plan is made of.

    Attributes:
        offsets: Flat, one row per tap.
        size, out, stride: Per axis. The stride of an axis with one output is 1, since it is at 0 whatever the stride.
        circular: Whether positions wrap around.
    """

    offsets: Tuple
    size: Tuple
    out: Tuple
    stride: Tuple
    circular: bool

    @classmethod
    def of(cls, offsets: Ints, size: Ints, out: Ints, stride: Ints, circular: bool) -> Geometry:
        steps = tuple(step if m > 1 else 1 for step, m in zip(stride, out, strict=True))
        return cls(tuple(offsets), tuple(size), tuple(out), steps, circular)

    @functools.cached_property
    def taps(self) -> tuple[Tuple, ...]:
        """Offsets by tap."""
        ndim = len(self.size)
        return tuple(self.offsets[t : t + ndim] for t in range(0, len(self.offsets), ndim))

    @property
    def furthest(self) -> int:
        """No position that is read or written lies further from 0."""
        return max((s * (m - 1) + n for n, m, s in zip(self.size, self.out, self.stride, strict=True)), default=0)

    @property
    def reach(self) -> float:
        """See :func:`share_reached`; 1 if circular."""
        return 1.0 if self.circular else share_reached(self.taps, self.size, self.out, self.stride)


@functools.lru_cache(maxsize=1024)
def entries(geometry: Geometry) -> tuple[Tuple, ...]:
    """The entries by tap, each (tap, offset per axis), of taps that reach a pixel.

    On a circular map a tap has one for every period it reaches into, so that whoever reads them knows of no periods.
    """
    found = []
    for tap, row in enumerate(geometry.taps):
        axes = [
            _periods(o, n, m, s) if geometry.circular else _reaching((o,), n, m, s)
            for o, n, m, s in zip(row, geometry.size, geometry.out, geometry.stride, strict=True)
        ]
        found += [(tap, *(0,) * (AXES - len(row)), *place) for place in itertools.product(*axes)]
    return tuple(found)


def _periods(offset: int, size: int, out: int, stride: int) -> list[int]:
    near = offset % size
    return _reaching(range(near, near - stride * (out - 1) - size, -size), size, out, stride)


def _reaching(offsets: Ints, size: int, out: int, stride: int) -> list[int]:
    return [o for o in offsets if len(outputs_reached(o, size, out, stride)) > 0]


@dataclass(frozen=True)
class Circle:
    """The circles of a depthwise layer, and where its taps lie on them.

    Attributes:
        lengths: Rows and columns; one row for a series.
        places: Each tap's row and column, None for those that reach no pixel and so have no place.
    """

    lengths: tuple[int, int]
    places: tuple[tuple[int, int] | None, ...]

    def mirrored(self) -> Circle:
        """The same with every tap opposite: a correlation with the ones is a convolution with the others."""
        rows, columns = self.lengths
        return Circle(self.lengths, tuple(p and (-p[0] % rows, -p[1] % columns) for p in self.places))

    @property
    def rows(self) -> Tuple:
        """The rows that hold a tap, in order."""
        return tuple(sorted({place[0] for place in self.places if place is not None}))

    def spectrum_table(self) -> Tuple:
        """Where each row's taps begin, and the end; the rows; by row, the taps' numbers; and their columns."""
        held = sorted((place[0], tap, place[1]) for tap, place in enumerate(self.places) if place is not None)
        starts = itertools.accumulate((sum(row == r for row, _, _ in held) for r in self.rows), initial=0)
        return (*starts, *self.rows, *(tap for _, tap, _ in held), *(column for _, _, column in held))

    def gradient_table(self) -> Tuple:
        """For each row of the circle, then for the row of each tap, its number in ``rows`` or -1; the taps' columns."""
        number = {row: i for i, row in enumerate(self.rows)}
        at_rows = (number.get(row, -1) for row in range(self.lengths[0]))
        at_taps = (-1 if place is None else number[place[0]] for place in self.places)
        return (*at_rows, *at_taps, *(0 if place is None else place[1] for place in self.places))


@functools.lru_cache(maxsize=1024)
def circle(geometry: Geometry) -> Circle | str:
    """The circles with lengths that have no factor above 5, or one sentence why there are none."""
    g = geometry
    if len(g.size) > 2:
        return f"its transforms take one or two axes, not {len(g.size)}"
    reaching = [g.circular or reaches(row, g.size, g.out, g.stride) for row in g.taps]
    lengths = g.size
    if not g.circular:
        near = [row for row, reached in zip(g.taps, reaching, strict=True) if reached]
        lengths = tuple(fast_length(n, 1) for n in least_lengths(near, g.size, g.out, g.stride))
    elif not all(map(is_smooth, lengths)):
        return f"its transforms have no length with a factor above 5, as a circular map of {lengths} needs"
    elif any(step * (m - 1) >= n for n, m, step in zip(lengths, g.out, g.stride, strict=True)):
        return "its transforms cannot give an output that goes round a circular map more than once"
    places = tuple(
        (0, *(o % n for o, n in zip(row, lengths, strict=True)))[-2:] if reached else None
        for row, reached in zip(g.taps, reaching, strict=True)
    )
    return Circle((1, *lengths)[-2:], places)  # type: ignore[arg-type]  # two numbers each
