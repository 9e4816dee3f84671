# SPDX-License-Identifier: BSD-3-Clause
"""Positions of taps against brute force, and the lattices of the spaces in use."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from dash_kernels import Candidate, SearchSpace, TapLattice
from dash_kernels.taps import outputs_reached, reaching, same_size, tap_offsets


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 7])
def test_taps_sit_where_same_padding_puts_them(k: int, d: int) -> None:
    """An impulse moves to where torch's padding="same" moves it, even kernels included."""
    impulse = torch.zeros(1, 1, 81)
    impulse[..., 40] = 1
    weight = torch.arange(1.0, k + 1).view(1, 1, k)
    before = d * (k - 1) // 2
    y = F.conv1d(F.pad(impulse, (before, d * (k - 1) - before)), weight, dilation=d)
    expected = {40 - int(p): int(y[0, 0, p]) - 1 for p in y[0, 0].nonzero()}
    assert {offset: j for j, (offset,) in enumerate(tap_offsets(Candidate((k,), (d,))))} == expected


def test_causal_taps_never_look_ahead() -> None:
    assert tap_offsets(Candidate((3,), (4,)), causal=True) == ((-8,), (-4,), (0,))
    assert tap_offsets(Candidate((2, 2), (1, 3)), causal=True) == ((-1, -3), (-1, 0), (0, -3), (0, 0))


def test_lattice_lists_each_position_once_and_finds_it_again() -> None:
    candidates = SearchSpace((3, 4, (5, 1)), (1, (2, 3))).candidates(2)
    lattice = TapLattice.of(candidates)
    packed = [offset for candidate in candidates for offset in tap_offsets(candidate)]
    assert [lattice.offsets[i] for i in lattice.index] == packed
    assert list(lattice.offsets) == sorted(set(packed))
    assert lattice.counts == tuple(candidate.taps for candidate in candidates)
    assert lattice.num_packed == sum(lattice.counts) == len(packed)
    assert lattice.flat == tuple(itertools.chain.from_iterable(lattice.offsets))
    assert (lattice.ndim, len(lattice)) == (2, len(set(packed)))


def test_sizes_of_the_lattices_in_use() -> None:
    images = SearchSpace((3, 5, 7, 9), (1, 3, 7, 15))
    signals = SearchSpace((3, 7, 11, 15, 19), (1, 3, 7, 15))
    assert len(TapLattice.of(images.candidates(2))) == 313
    assert len(TapLattice.of(images.candidates(1))) == 31
    assert len(TapLattice.of(signals.candidates(1))) == 61


def test_lattice_is_worked_out_once() -> None:
    candidates = SearchSpace((3, 5), (1, 2)).candidates(1)
    assert TapLattice.of(list(candidates)) is TapLattice.of(candidates)
    assert TapLattice.of(candidates, causal=True) is not TapLattice.of(candidates)


@pytest.mark.parametrize("candidates", [(), (Candidate((3,), (1,)), Candidate((3, 3), (1, 1)))])
def test_lattice_refuses(candidates: tuple[Candidate, ...]) -> None:
    with pytest.raises(ValueError, match="one or more with equal numbers of axes"):
        TapLattice.of(candidates)


@given(st.integers(-30, 30), st.integers(1, 12), st.integers(0, 14), st.integers(1, 5))
def test_outputs_reached(offset: int, size: int, out: int, stride: int) -> None:
    expected = [p for p in range(out) if 0 <= stride * p + offset < size]
    assert list(outputs_reached(offset, size, out, stride)) == expected


def test_same_size() -> None:
    assert [same_size(n, 3) for n in range(1, 8)] == [1, 1, 1, 2, 2, 2, 3]


def test_reaching_leaves_out_taps_that_read_no_pixel() -> None:
    lattice = TapLattice.of([Candidate((3,), (1,)), Candidate((3,), (4,))])
    assert lattice.flat == (-4, -1, 0, 1, 4) and lattice.index == (1, 2, 3, 0, 2, 4)
    assert reaching(lattice.flat, lattice.index, (5,), (5,), (1,)) == (lattice.flat, lattice.index)
    assert reaching(lattice.flat, lattice.index, (4,), (4,), (1,)) == ((-1, 0, 1), (0, 1, 2, -1, 1, -1))
    # the only output of a stride sits on the first pixel: nothing lies before it
    assert reaching(lattice.flat, lattice.index, (4,), (1,), (4,)) == ((0, 1), (-1, 0, 1, -1, 0, -1))
    assert reaching((9,), (0,), (4,), (4,), (1,)) == ((9,), (0,))
