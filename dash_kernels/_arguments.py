# SPDX-License-Identifier: BSD-3-Clause
"""Checks of what callers pass: each says what was given, what is allowed and what to do."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from . import space as spaces
from .dtypes import DTYPES
from .space import SearchSpace
from .taps import FARTHEST, TapLattice


class Kind(NamedTuple):
    """What checks look at of tensors that go together: what was checked of one kind need not be checked again."""

    shape: torch.Size
    dtype: torch.dtype
    device: torch.device

    def dim(self) -> int:
        """Number of axes."""
        return len(self.shape)


Described = Tensor | Kind


def whole(name: str, value: int, least: int) -> int:
    """``value`` as an int, or as the symbol of one, if it is a whole number of at least ``least``."""
    if type(value) in (int, torch.SymInt) and value >= least:
        return value
    return spaces.whole(name, value, least)


def per_axis(name: str, value: int | Sequence[int], ndim: int, least: int = 1) -> tuple[int, ...]:
    """One whole number per axis, of 31 bits as all positions are."""
    if type(value) is tuple and len(value) == ndim and all(type(n) is int and least <= n <= FARTHEST for n in value):
        return value  # in every call: without a name for each of them
    if not isinstance(value, Sequence):
        return (_below_2_31(name, whole(name, value, least)),) * ndim
    if len(value) != ndim:
        raise ValueError(f"{name} is {tuple(value)}: give {ndim} numbers, one per axis, or one for all axes.")
    numbers = {f"{name}[{axis}]": number for axis, number in enumerate(value)}
    return tuple(_below_2_31(where, whole(where, number, least)) for where, number in numbers.items())


def _below_2_31(name: str, number: int) -> int:
    if number > FARTHEST:
        raise ValueError(f"{name} is {number}: at most {FARTHEST} works.")
    return number


def tensor(name: str, value: object) -> Tensor:
    """``value`` if it is a tensor of a dtype that is computed."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}: give a tensor.")
    if value.dtype not in DTYPES:
        raise TypeError(
            f"{name} is {value.dtype}: float32, float64, float16 and bfloat16 are computed; convert it first."
        )
    if value.is_nested:
        raise TypeError(f"{name} is a nested tensor: only dense ones are computed; pad it with to_padded_tensor(0).")
    if value.layout != torch.strided:
        raise TypeError(f"{name} has layout {value.layout}: only dense tensors are computed; call to_dense() first.")
    return value


def operands(x: Described, weight: Described, bias: Described | None, groups: int, ndim: int, name: str) -> None:
    """Those of a convolution fit together; ``name`` is what the caller calls the weight."""
    same_device(x, **{name: weight}, bias=bias)
    same_dtype(x, **{name: weight}, bias=bias)
    channels(x, weight, bias, groups, ndim, name)


def same_dtype(x: Described, **others: Described | None) -> None:
    """All tensors are of one dtype."""
    for name, other in others.items():
        if other is not None and other.dtype != x.dtype:
            raise TypeError(f"input is {x.dtype}, {name} is {other.dtype}: convert one of them, or run under autocast.")


def same_device(x: Described, **others: Described | None) -> None:
    """All tensors are on one device."""
    for name, other in others.items():
        if other is not None and other.device != x.device:
            raise ValueError(f"input is on {x.device}, {name} on {other.device}: move them to one device.")


def channels(x: Described, weight: Described, bias: Described | None, groups: int, ndim: int, name: str) -> None:
    """x (batch, in, *n) or (in, *n), weight (out, in/groups, T) and bias (out,) fit together, and there are pixels."""
    given, size = x.shape[-ndim - 1], x.shape[-ndim:]
    if given != weight.shape[1] * groups:
        raise ValueError(
            f"input has {given} channels (input shape {tuple(x.shape)}), {name} of shape {tuple(weight.shape)} "
            f"with groups={groups} needs {weight.shape[1] * groups}."
        )
    if weight.shape[0] % groups:
        raise ValueError(f"groups is {groups}: it must divide the {weight.shape[0]} output channels.")
    if bias is not None and (bias.dim() != 1 or bias.shape[0] != weight.shape[0]):
        raise ValueError(
            f"bias has shape {tuple(bias.shape)}: give ({weight.shape[0]},), one number per output channel."
        )
    if any(n < 1 for n in size):
        raise ValueError(f"input has shape {tuple(x.shape)}: every axis needs at least one pixel.")


Numbers = tuple[int, ...]
Lattice = tuple[Numbers, Numbers, Numbers, Numbers, Numbers]


def flat_offsets(offsets: Sequence[int | Sequence[int]]) -> tuple[int, Numbers]:
    """Number of axes, and all offsets as one flat tuple."""
    if not torch.compiler.is_compiling() and set(map(type, offsets)) == {tuple}:
        # Hundreds of tuples of ints are the rule, in every call: no Python loop. (A table of known offsets would take
        # (0.0, True) for (0, 1), which are equal.)
        rows: Sequence[Sequence[int]] = offsets  # type: ignore[assignment]
        flat = tuple(itertools.chain.from_iterable(rows))
        if len(set(map(len, rows))) == 1 and set(map(type, flat)) == {int}:
            return len(rows[0]), _near(flat)
    listed = [tuple(offset) if isinstance(offset, list | tuple) else (offset,) for offset in offsets]
    lengths = {len(row) for row in listed}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"{len(listed)} offsets with {sorted(lengths)} numbers each: give at least one, all with one number per "
            f"axis."
        )
    return lengths.pop(), _near(tuple(_position(t, row, number) for t, row in enumerate(listed) for number in row))


def _position(t: int, row: Sequence[object], number: object) -> int:
    if type(number) is int:
        return number
    if not isinstance(number, bool):
        try:
            return operator.index(number)  # type: ignore[arg-type]
        except TypeError:
            pass
    raise TypeError(f"offsets[{t}] is {row[0] if len(row) == 1 else row!r}: give whole numbers, in pixels.")


def _near(flat: Numbers) -> Numbers:
    if max(flat) > FARTHEST or min(flat) < -FARTHEST:
        raise ValueError(
            f"offsets reach from {min(flat)} to {max(flat)} pixels: they must lie between -{FARTHEST} and {FARTHEST}."
        )
    return flat


def lattice(space: SearchSpace, ndim: int, stride: Numbers, causal: bool, padded: bool) -> Lattice:
    """The taps of a space, if a layer with this stride can have them.

    Returns:
        Flat offsets, index, counts (see :class:`TapLattice`), and the reach before and after the output position per
        axis. With ``padded`` the offsets are those into an input that is padded by this reach.
    """
    strided = tuple(axis for axis, step in enumerate(stride) if step > 1)
    found: Lattice = _constant_lattice(space, ndim, strided, causal, padded)
    return found


# torch.compile must not trace the loops over taps below. What is returned depends only on numbers that are constants in
# a graph, which a stride need not be.


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _constant_lattice(space: SearchSpace, ndim: int, strided: Numbers, causal: bool, padded: bool) -> Lattice:
    return _lattice(space, ndim, strided, causal, padded)


@functools.lru_cache(maxsize=256)
def _lattice(space: SearchSpace, ndim: int, strided: Numbers, causal: bool, padded: bool) -> Lattice:
    candidates = space.candidates(ndim)
    for candidate in candidates:
        if max(candidate.reach) > FARTHEST:
            raise ValueError(f"candidate {candidate} spans {max(candidate.reach)} pixels: at most {FARTHEST} work.")
    for candidate in () if causal else candidates:
        for reach in (candidate.reach[axis] for axis in strided):
            if reach % 2:
                raise ValueError(
                    f"candidate {candidate} spans d(k-1) = {reach} pixels and the stride is above 1: with an odd span "
                    f"padding cannot be symmetric, so no nn.Conv{ndim}d computes it. Use odd sizes, or stride=1."
                )
    found = TapLattice.of(candidates, causal)
    before = tuple(-min(axis) for axis in zip(*found.offsets, strict=True))
    after = tuple(max(axis) for axis in zip(*found.offsets, strict=True))
    flat = tuple(o + before[i % ndim] for i, o in enumerate(found.flat)) if padded else found.flat
    return flat, found.index, found.counts, before, after


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def packed_taps(space: SearchSpace) -> tuple[int | None, ...]:
    """Packed taps of a space in 1-D, 2-D and 3-D; None where the space is written for another number of axes."""
    return _packed_taps(space)


@functools.lru_cache(maxsize=256)
def _packed_taps(space: SearchSpace) -> tuple[int | None, ...]:
    fixed = {len(choice) for choice in space.kernel_sizes + space.dilations if isinstance(choice, tuple)}
    return tuple(
        sum(c.taps for c in space.candidates(ndim)) if fixed in (set(), {ndim}) else None for ndim in (1, 2, 3)
    )


def pixel_axes(space: SearchSpace, x: Described, weight: Described, groups: int, given: int | None) -> int:
    """How many axes of x are pixels: x may be batched or not, and packed taps and channels tell which."""
    counts = {1 + i: count for i, count in enumerate(packed_taps(space)) if count is not None}
    possible = [ndim for ndim in (x.dim() - 2, x.dim() - 1) if ndim in counts and given in (None, ndim)]
    fitting = [ndim for ndim in possible if weight.shape[2] == counts[ndim]]
    if len(fitting) == 2:  # every candidate has one tap
        found = [ndim for ndim in fitting if x.shape[-ndim - 1] == weight.shape[1] * groups]
        fitting = found or fitting[:1]  # if the channels fit neither way, that is told later
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ValueError(
            f"input of shape {tuple(x.shape)} is a batch with {fitting[0]} pixel axes or unbatched with {fitting[1]}, "
            f"and candidates of one tap fit both: pass ndim={fitting[0]} or ndim={fitting[1]}."
        )
    if not possible:
        raise ValueError(
            f"input has shape {tuple(x.shape)}: give (batch, channels, *n) or (channels, *n), where n has "
            f"{' or '.join(map(str, counts)) if given is None else given} axes for this space."
        )
    need = " or ".join(f"{counts[ndim]} with {ndim} axes" for ndim in possible)
    raise ValueError(
        f"weight has {weight.shape[2]} packed taps, the space has {need} (input shape {tuple(x.shape)}): "
        f"give (out, in/groups, {counts[possible[0]]})."
    )
