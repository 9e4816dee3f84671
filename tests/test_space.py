# SPDX-License-Identifier: BSD-3-Clause
"""Search spaces: what they list, in which order, under which names, and what they refuse."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from dash_kernels import Candidate, SearchSpace


def names(space: SearchSpace, ndim: int) -> list[str]:
    return [str(candidate) for candidate in space.candidates(ndim)]


def test_kernel_sizes_come_first() -> None:
    space = SearchSpace(kernel_sizes=(5, 3), dilations=(1, 7))
    assert names(space, 2) == ["5x5/1", "5x5/7", "3x3/1", "3x3/7"]
    assert names(space, 1) == ["5/1", "5/7", "3/1", "3/7"]
    assert len(space) == 4


def test_an_inner_tuple_is_one_choice_per_axis() -> None:
    space = SearchSpace(kernel_sizes=((3, 9), 5), dilations=(1, (2, 7)))
    assert names(space, 2) == ["3x9/1", "3x9/2x7", "5x5/1", "5x5/2x7"]
    assert space.candidates(2)[1] == Candidate((3, 9), (2, 7))
    with pytest.raises(ValueError, match=r"kernel_sizes has the entry \(3, 9\) with 2 axes, the layer has 1"):
        space.candidates(1)


def test_candidate_facts() -> None:
    candidate = Candidate((3, 4), (5, 2))
    assert candidate.taps == 12
    assert candidate.reach == (10, 6)


def test_lists_and_numpy_numbers_mean_the_same_space() -> None:
    numpy = pytest.importorskip("numpy")
    space = SearchSpace([3, [5, 7]], numpy.array([1, 3]).tolist())
    assert space == SearchSpace((3, (5, 7)), (numpy.int64(1), numpy.int32(3)))
    assert hash(space) == hash(SearchSpace((3, (5, 7)), (1, 3)))
    assert all(type(d) is int for d in SearchSpace((3,), (numpy.int64(1),)).dilations)


def test_pickle_and_repr() -> None:
    space = SearchSpace((3, (5, 7)), (1, 3))
    assert pickle.loads(pickle.dumps(space)) == space
    assert eval(repr(space)) == space


def test_spaces_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        SearchSpace((3,), (1,)).dilations = (2,)  # type: ignore[misc]


REFUSED: list[tuple[tuple[Any, Any], type[Exception], str]] = [
    ((3, (1,)), TypeError, r"kernel_sizes is 3: give a sequence of choices, for one choice write kernel_sizes=\(3,\)"),
    (("35", (1,)), TypeError, "kernel_sizes is '35'"),
    (((), (1,)), ValueError, "kernel_sizes is empty"),
    (((3,), ()), ValueError, "dilations is empty"),
    (((3, 0), (1,)), ValueError, r"kernel_sizes\[1\] is 0: it must be at least 1"),
    (((3,), (1, -2)), ValueError, r"dilations\[1\] is -2"),
    (((3.0,), (1,)), TypeError, r"kernel_sizes\[0\] is 3.0 \(float\)"),
    (((True,), (1,)), TypeError, r"kernel_sizes\[0\] is True \(bool\)"),
    (((3, "5"), (1,)), TypeError, r"kernel_sizes\[1\] is '5'"),
    ((((),), (1,)), ValueError, r"kernel_sizes\[0\] is empty"),
    ((((3, 0),), (1,)), ValueError, r"kernel_sizes\[0\]\[1\] is 0"),
    ((((3, 3),), ((1, 1, 1),)), ValueError, r"different numbers of axes \(2, 3\)"),
]


@pytest.mark.parametrize(("arguments", "kind", "message"), REFUSED)
def test_refused(arguments: tuple[Any, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        SearchSpace(*arguments)
