# SPDX-License-Identifier: BSD-3-Clause
"""What a layer may choose from: kernel sizes times dilations, as plain hashable data."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Choice = int | tuple[int, ...]


@dataclass(frozen=True)
class Candidate:
    """One kernel a layer may end up with.

    Attributes:
        kernel_size: Taps per axis.
        dilation: Distance between neighbouring taps per axis, in pixels.

    Example:
        >>> str(Candidate((3, 3), (7, 7)))
        '3x3/7'
    """

    kernel_size: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def taps(self) -> int:
        """Number of weights per pair of channels."""
        return math.prod(self.kernel_size)

    @property
    def reach(self) -> tuple[int, ...]:
        """Distance between the first and the last tap per axis, in pixels: d(k-1)."""
        return tuple(d * (k - 1) for k, d in zip(self.kernel_size, self.dilation, strict=True))

    def __str__(self) -> str:
        same = len(set(self.dilation)) == 1
        dilation = str(self.dilation[0]) if same else "x".join(map(str, self.dilation))
        return "x".join(map(str, self.kernel_size)) + "/" + dilation


@dataclass(frozen=True)
class SearchSpace:
    """All pairs of a kernel size and a dilation.

    Args:
        kernel_sizes: The sizes to choose from, in taps, at least 1, odd or even. An entry is a number (that many taps
            on every axis) or a tuple with one number per axis: ``((3, 9), 5)`` are two choices, 3x9 and 5x5.
        dilations: The dilations to choose from, in pixels, at least 1, written the same way.

    Raises:
        TypeError: An argument is not a sequence of whole numbers or of tuples of whole numbers.
        ValueError: An argument is empty, a number is below 1, or entries disagree on the number of axes.

    Example:
        >>> space = SearchSpace(kernel_sizes=(3, 5), dilations=(1, 7))
        >>> [str(candidate) for candidate in space.candidates(2)]
        ['3x3/1', '3x3/7', '5x5/1', '5x5/7']
    """

    kernel_sizes: tuple[Choice, ...]
    dilations: tuple[Choice, ...]

    def __init__(self, kernel_sizes: Iterable[int | Sequence[int]], dilations: Iterable[int | Sequence[int]]) -> None:
        object.__setattr__(self, "kernel_sizes", _choices("kernel_sizes", kernel_sizes))
        object.__setattr__(self, "dilations", _choices("dilations", dilations))
        axes = {len(c) for c in self.kernel_sizes + self.dilations if isinstance(c, tuple)}
        if len(axes) > 1:
            raise ValueError(
                f"kernel_sizes={self.kernel_sizes} and dilations={self.dilations} have entries for different numbers "
                f"of axes ({', '.join(map(str, sorted(axes)))}): give every inner tuple one number per axis."
            )

    def candidates(self, ndim: int) -> tuple[Candidate, ...]:
        """The candidates of a layer over ``ndim`` axes, kernel sizes major, in the order of the arguments.

        Raises:
            ValueError: An entry lists another number of axes.
        """
        return _candidates(self, ndim)

    def __len__(self) -> int:
        return len(self.kernel_sizes) * len(self.dilations)

    def __deepcopy__(self, memo: object) -> SearchSpace:
        return self  # nothing in it changes


@functools.lru_cache(maxsize=256)
def shared(space: SearchSpace) -> SearchSpace:
    """One object for all equal spaces: ``torch.compile`` compiles a layer anew for every other object."""
    return space


def whole(name: str, value: object, least: int = 1) -> int:
    """``value`` as an int, if it is a whole number of at least ``least``: an int or what counts as one, but no bool."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}): give a whole number of at least {least}.")
    if number < least:
        raise ValueError(f"{name} is {number}: it must be at least {least}.")
    return number


def _choices(name: str, given: Iterable[int | Sequence[int]]) -> tuple[Choice, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"{name} is {given!r}: give a sequence of choices, for one choice write {name}=({given!r},).")
    choices: list[Choice] = []
    for i, entry in enumerate(given):
        if isinstance(entry, Sequence) and not isinstance(entry, str):
            if not entry:
                raise ValueError(f"{name}[{i}] is empty: give one number per axis, or one number for all axes.")
            choices.append(tuple(whole(f"{name}[{i}][{axis}]", number) for axis, number in enumerate(entry)))
        else:
            choices.append(whole(f"{name}[{i}]", entry))
    if not choices:
        raise ValueError(f"{name} is empty: give at least one choice, such as {name}=(3,).")
    return tuple(choices)


@functools.lru_cache(maxsize=256)
def _candidates(space: SearchSpace, ndim: int) -> tuple[Candidate, ...]:
    def per_axis(name: str, choice: Choice) -> tuple[int, ...]:
        if isinstance(choice, int):
            return (choice,) * ndim
        if len(choice) != ndim:
            raise ValueError(
                f"{name} has the entry {choice} with {len(choice)} axes, the layer has {ndim}: "
                f"give {ndim} numbers, or one number for all axes."
            )
        return choice

    return tuple(
        Candidate(per_axis("kernel_sizes", k), per_axis("dilations", d))
        for k in space.kernel_sizes
        for d in space.dilations
    )
