# SPDX-License-Identifier: BSD-3-Clause
"""The torch-free core alone, against direct sums: every instruction set of this processor, any number of threads."""

from __future__ import annotations

import ctypes
import itertools
import math
import mmap
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pytest

from dash_kernels.engines.fourier import plan

core = pytest.importorskip("dash_kernels._core", reason="the NumPy module is built only where pybind11 is")

Pair = tuple[int, int]


@dataclass(frozen=True)
class Problem:
    """A convolution of maps of (rows, columns); 1-D maps have one row."""

    batch: int
    channels: Pair
    size: Pair
    reach: Pair
    stride: Pair = (1, 1)
    groups: int = 1
    circular: bool = False
    dense: bool = False
    seed: int = 0

    @property
    def out(self) -> Pair:
        return -(-self.size[0] // self.stride[0]), -(-self.size[1] // self.stride[1])

    @property
    def offsets(self) -> list[Pair]:
        """A sparse lattice, some of it out of reach of small maps; or all of its positions."""
        if self.dense:
            return list(itertools.product(*(range(-r, r + 1) for r in self.reach)))
        rows, columns = ([-r, -r // 2, 0, 1, r] if r else [0] for r in self.reach)
        return sorted(set(itertools.product(rows, columns)))


# Lanes are 2 to 16 wide: batches, channels and widths on both sides of each; lengths of every radix; both choices of
# lanes.
PROBLEMS = [
    Problem(1, (1, 1), (1, 1), (0, 0)),
    Problem(2, (3, 4), (1, 12), (0, 4)),
    Problem(17, (5, 9), (1, 33), (0, 7)),
    Problem(3, (16, 17), (1, 20), (0, 30)),
    Problem(2, (3, 5), (8, 8), (3, 3)),
    Problem(15, (4, 3), (7, 16), (2, 9)),
    Problem(16, (2, 20), (5, 17), (6, 1)),
    Problem(2, (17, 15), (9, 11), (4, 4)),
    Problem(1, (33, 8), (3, 31), (2, 15)),
    Problem(3, (4, 8), (13, 10), (3, 3), stride=(2, 2)),
    Problem(18, (3, 2), (13, 10), (2, 5), stride=(3, 1)),
    Problem(2, (3, 4), (9, 14), (2, 5), stride=(1, 3)),
    Problem(3, (8, 8), (13, 10), (3, 6), groups=8),
    Problem(2, (5, 15), (6, 9), (3, 2), groups=5, stride=(2, 3)),
    Problem(3, (33, 33), (1, 25), (0, 6), groups=33),
    Problem(2, (6, 8), (5, 12), (2, 2), groups=2),
    Problem(34, (3, 4), (8, 12), (2, 3), stride=(2, 2)),  # even batches at row frequencies 0 and n / 2
    Problem(4, (17, 18), (8, 12), (2, 3), stride=(2, 2)),
    Problem(4, (5, 10), (8, 12), (2, 3), groups=5, stride=(2, 2)),
    Problem(2, (2, 3), (2, 260), (1, 10)),  # so many row frequencies that sums over them are carried over
    Problem(3, (4, 3), (15, 20), (9, 5), circular=True),
    Problem(2, (4, 4), (15, 24), (4, 7), circular=True, stride=(3, 2), groups=4),
    # Few maps of many rows, which threads share in bands; butterflies with none, one, two and more rows of taps.
    Problem(1, (1, 2), (61, 5), (30, 1)),
    Problem(3, (2, 1), (70, 9), (26, 2)),
    Problem(1, (2, 2), (130, 3), (60, 1)),
    # Series of so many taps that they are summed by residues: lengths 48, 64, 72, 80, 96, 120 and 128, their eighths
    # even, odd and powers of two; circular, strided, in groups, and of many samples.
    Problem(2, (3, 4), (1, 26), (0, 22), dense=True),
    Problem(17, (5, 9), (1, 40), (0, 24), dense=True),
    Problem(3, (16, 17), (1, 48), (0, 24), dense=True),
    Problem(2, (4, 3), (1, 53), (0, 27), dense=True),
    Problem(2, (33, 2), (1, 70), (0, 26), dense=True),
    Problem(2, (2, 3), (1, 96), (0, 24), dense=True),
    Problem(1, (4, 4), (1, 100), (0, 28), dense=True),
    Problem(2, (3, 4), (1, 48), (0, 23), circular=True, dense=True),
    Problem(3, (4, 5), (1, 71), (0, 25), stride=(1, 2), dense=True),
    Problem(2, (19, 19), (1, 40), (0, 24), groups=19, dense=True),
    Problem(2, (6, 6), (1, 72), (0, 24), groups=6, stride=(1, 3), dense=True),
    Problem(160, (2, 3), (1, 40), (0, 24), dense=True),
    Problem(2, (3, 4), (1, 8), (0, 30), circular=True, dense=True),  # 61 taps at 8 columns
    Problem(3, (17, 16), (1, 16), (0, 40), circular=True, dense=True),
]


def arrays(problem: Problem, dtype: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(problem.seed)
    x = rng.standard_normal((problem.batch, problem.channels[0], *problem.size))
    shape = (problem.channels[1], problem.channels[0] // problem.groups, len(problem.offsets))
    grad = rng.standard_normal((problem.batch, problem.channels[1], *problem.out))
    return x.astype(dtype), rng.standard_normal(shape).astype(dtype), grad.astype(dtype)


def direct_sums(
    problem: Problem, x: np.ndarray, taps: np.ndarray, grad: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y, the gradient of x and the gradient of taps, tap by tap in float64."""
    x, taps, grad = (array.astype(np.float64) for array in (x, taps, grad))
    groups, (rows, columns) = problem.groups, problem.size
    inside, outside = (problem.batch, groups, x.shape[1] // groups), (problem.batch, groups, grad.shape[1] // groups)
    y, x_grad, taps_grad = np.zeros_like(grad), np.zeros_like(x), np.zeros_like(taps)
    positions = [np.arange(m) * s for m, s in zip(problem.out, problem.stride, strict=True)]
    for t, offset in enumerate(problem.offsets):
        r, c = (p + o for p, o in zip(positions, offset, strict=True))
        if problem.circular:
            r, c = r % rows, c % columns
        keep_r, keep_c = (r >= 0) & (r < rows), (c >= 0) & (c < columns)
        here, there = np.ix_(keep_r, keep_c), np.ix_(r[keep_r], c[keep_c])
        weight = taps[:, :, t].reshape(groups, outside[2], inside[2])
        x_part = x[:, :, there[0], there[1]].reshape(*inside, keep_r.sum(), keep_c.sum())
        g_part = grad[:, :, here[0], here[1]].reshape(*outside, keep_r.sum(), keep_c.sum())
        y[:, :, here[0], here[1]] += np.einsum("bgcrs,goc->bgors", x_part, weight).reshape(
            *grad.shape[:2], *x_part.shape[3:]
        )
        back = np.einsum("bgors,goc->bgcrs", g_part, weight).reshape(*x.shape[:2], *g_part.shape[3:])
        np.add.at(x_grad, (slice(None), slice(None), there[0], there[1]), back)
        taps_grad[:, :, t] = np.einsum("bgors,bgcrs->goc", g_part, x_part).reshape(taps.shape[:2])
    return y, x_grad, taps_grad


def compute(
    way: str,
    problem: Problem,
    data: tuple[np.ndarray, ...],
    isa: str,
    workers: int,
    bias: Mapping[str, np.ndarray] = MappingProxyType({}),
    channels_last: bool = False,
) -> list[np.ndarray]:
    """y and both gradients, by transforms ("convolve") or by direct sums ("direct")."""
    x, taps, grad = data
    flat = tuple(itertools.chain.from_iterable(problem.offsets))
    sizes: list[tuple[int, ...]] = [flat, problem.size, problem.out, problem.stride]
    if way == "convolve":
        how = plan(flat, problem.size, problem.out, problem.stride, problem.circular)
        assert how.wrapped is None
        sizes.append(how.lengths)
    rest = (*sizes, problem.groups, problem.circular, isa, workers)
    calls = {"forward": (x, taps), "input_grad": (grad, taps), "weight_grad": (grad, x)}
    if way == "direct" and problem.circular and problem.stride != (1, 1):
        del calls["input_grad"]  # the engine spreads such gradients to stride 1 first
    return [getattr(core, way)(op, *operands, *rest, bias.get(op), channels_last) for op, operands in calls.items()]


def exact_results(way: str, problem: Problem, data: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    exact = list(direct_sums(problem, *data))
    if way == "direct" and problem.circular and problem.stride != (1, 1):
        del exact[1]
    return exact


both_ways = pytest.mark.parametrize("way", ["convolve", "direct"])

# Where both gradients share a spectrum: channels that fill the lanes of every instruction set. With an odd batch,
# strides, groups, series and wrapping.
SHARED = [
    Problem(3, (16, 32), (9, 11), (3, 4)),
    Problem(4, (32, 16), (13, 10), (3, 3), stride=(2, 2)),
    Problem(5, (64, 32), (6, 9), (2, 2), groups=2),
    Problem(17, (16, 16), (1, 25), (0, 6)),
    Problem(3, (16, 16), (1, 36), (0, 9), stride=(1, 3)),
    Problem(3, (32, 16), (1, 40), (0, 24), dense=True),
    Problem(180, (16, 16), (1, 26), (0, 22), dense=True),
    Problem(2, (16, 16), (15, 20), (9, 5), circular=True),
    Problem(4, (48, 16), (9, 11), (3, 4)),  # columns of the input that do not fit where products come
    Problem(2, (16, 16), (2, 260), (1, 10)),
]
# Spectra of more than 8 MiB, with lanes across channels and, in the others, across samples.
IN_PARTS = [
    Problem(35, (16, 16), (60, 60), (7, 9)),
    Problem(1100, (1, 1), (1, 1000), (0, 9)),
    Problem(200, (3, 4), (40, 60), (7, 9)),
]


@both_ways
@pytest.mark.parametrize("isa", core.supported_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_instruction_set_against_direct_sums(problem: Problem, dtype: type, isa: str, way: str) -> None:
    data = arrays(problem, dtype)
    results = compute(way, problem, data, isa, 1)
    for got, exact in zip(results, exact_results(way, problem, data), strict=True):
        bar = (4 if dtype is np.float32 else 16) * np.finfo(dtype).eps
        assert got.dtype == dtype
        assert np.linalg.norm(got - exact) <= bar * max(np.linalg.norm(exact), 1e-30)


def check_both_gradients(
    problem: Problem, dtype: type, isa: str, workers: int, eps: int = 4, channels_last: bool = False
) -> None:
    x, taps, grad = arrays(problem, dtype)
    flat = tuple(itertools.chain.from_iterable(problem.offsets))
    lengths = plan(flat, problem.size, problem.out, problem.stride, problem.circular).lengths
    sizes = (flat, problem.size, problem.out, problem.stride, lengths)
    maps = (moved(grad), taps, moved(x)) if channels_last else (grad, taps, x)
    call = (*maps, *sizes, problem.groups, problem.circular, isa, workers, channels_last)
    results = core.convolve_grads(*call)
    sums = np.array([math.fsum(grad[:, c].ravel()) for c in range(grad.shape[1])])
    of_x, of_taps = direct_sums(problem, x, taps, grad)[1:]
    exact = (moved(of_x) if channels_last else of_x, of_taps, sums)
    for got, again, truth in zip(results, core.convolve_grads(*call), exact, strict=True):
        bar = (eps if dtype is np.float32 else 16) * np.finfo(dtype).eps
        assert got.dtype == dtype
        assert np.linalg.norm(got - truth) <= bar * max(np.linalg.norm(truth), 1e-30)
        np.testing.assert_array_equal(got, again)


@pytest.mark.parametrize("isa", core.supported_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("problem", PROBLEMS + SHARED, ids=str)
@pytest.mark.parametrize("workers", [1, 3])
def test_both_gradients_together(problem: Problem, dtype: type, isa: str, workers: int) -> None:
    check_both_gradients(problem, dtype, isa, workers)


@pytest.mark.parametrize("isa", core.supported_isas())
@pytest.mark.parametrize("problem", IN_PARTS, ids=str)
def test_both_gradients_of_a_batch_in_parts(problem: Problem, isa: str) -> None:
    # Up to a million terms a weight. Sums in float64 round more here than the kernels do.
    check_both_gradients(problem, np.float32, isa, 2, eps=8)


def moved(maps: np.ndarray) -> np.ndarray:
    """Maps (batch, rows, columns, channels) of (batch, channels, rows, columns)."""
    return np.ascontiguousarray(np.moveaxis(maps, 1, -1))


# Lanes that are neighbouring channels, some or all; samples, with all channels of a pixel or those of a group; maps of
# several samples.
CHANNELS_LAST = [
    Problem(5, (16, 32), (9, 11), (3, 4)),
    Problem(4, (24, 40), (6, 7), (3, 3)),
    Problem(40, (3, 20), (5, 12), (2, 3)),
    Problem(35, (6, 9), (8, 6), (2, 2), groups=3),
    Problem(3, (24, 24), (6, 5), (2, 2), groups=24),
    Problem(9, (16, 32), (6, 5), (2, 2), groups=16),
    Problem(33, (5, 3), (16, 1), (4, 0)),
    # a group of samples with no second half, in all sizes of vectors
    *(Problem(batch, (4, 6), (9, 8), (2, 2), groups=2) for batch in (3, 5, 9, 17, 33)),
]


@both_ways
@pytest.mark.parametrize("isa", core.supported_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("problem", PROBLEMS + CHANNELS_LAST, ids=str)
@pytest.mark.parametrize("workers", [1, 3])
def test_channels_last(problem: Problem, dtype: type, isa: str, workers: int, way: str) -> None:
    x, taps, grad = data = arrays(problem, dtype)
    bias = np.random.default_rng(problem.seed).standard_normal(problem.channels[1]).astype(dtype)
    sums = np.full_like(bias, np.nan)
    last = moved(x), taps, moved(grad)
    got = compute(way, problem, last, isa, workers, {"forward": bias, "weight_grad": sums}, channels_last=True)
    exact = [*exact_results(way, problem, data), grad.astype(np.float64).sum((0, 2, 3))]
    exact[0] += bias[:, None, None]
    for index, (one, truth) in enumerate(zip((*got, sums), exact, strict=True)):
        bar = (4 if dtype is np.float32 else 16) * np.finfo(dtype).eps
        truth = moved(truth) if one.ndim == 4 else truth
        assert one.shape == truth.shape and one.dtype == dtype
        assert np.linalg.norm(one - truth) <= bar * max(np.linalg.norm(truth), 1e-30), index


def guarded(array: np.ndarray) -> np.ndarray:
    """A copy right before a page that nobody may touch: whoever reads beyond its end is killed."""
    page = mmap.PAGESIZE
    size = -(-array.nbytes // page) * page
    memory = mmap.mmap(-1, size + page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + size), page, 0) == 0
    copy = np.frombuffer(memory, array.dtype, array.size, size - array.nbytes).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.skipif(sys.platform != "linux", reason="memory is protected by Linux's mprotect")
@both_ways
@pytest.mark.parametrize("isa", core.supported_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("problem", PROBLEMS + CHANNELS_LAST, ids=str)
def test_nothing_is_read_beyond_the_operands(
    problem: Problem, channels_last: bool, dtype: type, isa: str, way: str
) -> None:
    x, taps, grad = arrays(problem, dtype)
    data = (moved(x), taps, moved(grad)) if channels_last else (x, taps, grad)
    usual = compute(way, problem, data, isa, 1, channels_last=channels_last)
    at_the_end = compute(way, problem, tuple(map(guarded, data)), isa, 1, channels_last=channels_last)
    for one, other in zip(usual, at_the_end, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("isa", core.supported_isas())
@pytest.mark.parametrize("problem", PROBLEMS + SHARED + CHANNELS_LAST, ids=str)
@pytest.mark.parametrize("workers", [1, 3])
def test_both_gradients_channels_last(problem: Problem, isa: str, workers: int) -> None:
    check_both_gradients(problem, np.float32, isa, workers, channels_last=True)


@both_ways
@pytest.mark.parametrize("workers", [2, 3, 64])
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_any_number_of_threads(problem: Problem, workers: int, way: str) -> None:
    """Forward and input gradient do not depend on it; the weight gradient is summed in another, fixed order."""
    data, isa = arrays(problem, np.float32), core.supported_isas()[-1]
    alone, many, again = (compute(way, problem, data, isa, count) for count in (1, workers, workers))
    for one, other in zip(alone[:-1], many[:-1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.linalg.norm(alone[-1] - many[-1]) <= 4e-7 * np.linalg.norm(alone[-1])
    np.testing.assert_array_equal(many[-1], again[-1])


@pytest.mark.parametrize(
    "n", [1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16, 25, 27, 32, 48, 60, 64, 96, 120, 128, 135, 192, 1152]
)
def test_radices_multiply_to_the_length(n: int) -> None:
    assert np.prod(core.radices(n), initial=1) == n
    assert set(core.radices(n)) <= {2, 3, 4, 5, 6, 8, 9, 10, 12, 16}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(length=(16, 14)), "smooth"),
        (dict(length=(16, 15)), "even"),
        (dict(length=(16, 8)), "too short"),
        (dict(length=(4, 16)), "shorter than the map"),
        (dict(groups=2), "groups must divide|shapes"),
        (dict(isa="sse9"), "sse9"),
        (dict(workers=0), "workers"),
        (dict(stride=(0, 1)), "at least 1"),
        (dict(x=np.zeros((2, 3, 8, 7))), "shapes"),
    ],
)
def test_core_refuses_what_it_cannot_compute(change: dict[str, object], message: str) -> None:
    call: dict[str, object] = dict(length=(16, 16), groups=1, isa="baseline", workers=1, stride=(1, 1))
    call |= {"x": np.zeros((2, 3, 8, 8))} | change
    sizes = ((8, 8), (8, 8), call["stride"], call["length"])
    with pytest.raises(ValueError, match=message):
        core.convolve(
            "forward",
            call["x"],
            np.zeros((5, 3, 3)),
            [0, -3, 0, 0, 0, 3],
            *sizes,
            call["groups"],
            False,
            call["isa"],
            call["workers"],
        )


@pytest.mark.parametrize("isa", core.supported_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 3, 16, 37])
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("unused", [slice(0), slice(8, 35), slice(3, 37, 2), slice(2, None)], ids=str)
def test_mixing_family_against_direct_sums(rows: int, dtype: type, isa: str, workers: int, unused: slice) -> None:
    rng = np.random.default_rng(rows)
    counts, lattice = [9, 1, 25, 3], 30
    index = rng.integers(0, lattice, sum(counts))
    index[unused] = -1
    owner = np.repeat(np.arange(len(counts)), counts)
    weight, grad, mixture = (rng.standard_normal(shape).astype(dtype) for shape in ((rows, 38), (rows, lattice), (4,)))
    taps, scores = np.zeros((rows, lattice)), np.zeros(4)
    for i, (t, m) in enumerate(zip(index, owner, strict=True)):
        if t < 0:
            continue
        taps[:, t] += weight[:, i].astype(float) * mixture[m]
        scores[m] += (weight[:, i].astype(float) * grad[:, t]).sum()
    of_weights = np.where(index < 0, 0, grad[:, index]).astype(float)
    exact = {"mix_taps": taps, "gather_taps": of_weights * mixture[owner], "mixture_grad": scores}
    operands = {"mix_taps": (weight, mixture), "gather_taps": (grad, mixture), "mixture_grad": (grad, weight)}
    weight[:, index < 0] = np.nan  # nobody looks at them
    results = {}
    for op, truth in exact.items():
        results[op] = got = core.mix(op, *operands[op], index, counts, lattice, isa, workers)
        assert got.dtype == dtype and got.shape == truth.shape
        # the products that a candidate's score sums may cancel
        size = np.linalg.norm((weight * of_weights)[:, index >= 0]) if op == "mixture_grad" else np.linalg.norm(truth)
        assert np.linalg.norm(got - truth) <= 4 * np.finfo(dtype).eps * size, op
    both = core.mix_grads(grad, weight, mixture, index, counts, isa, workers)
    for together, op in zip(both, ("gather_taps", "mixture_grad"), strict=True):
        assert np.array_equal(together, results[op]), op


@both_ways
@pytest.mark.parametrize("isa", core.supported_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
@pytest.mark.parametrize("workers", [1, 3])
def test_bias(problem: Problem, dtype: type, isa: str, workers: int, way: str) -> None:
    """It is added to the very results without it, and its gradient is the exact sum, whatever the taps are."""
    data = arrays(problem, dtype)
    bias = np.random.default_rng(problem.seed).standard_normal(problem.channels[1]).astype(dtype)
    y, *_, taps_grad = compute(way, problem, data, isa, workers)
    sums = np.full_like(bias, np.nan)
    with_bias, *_, beside = compute(way, problem, data, isa, workers, {"forward": bias, "weight_grad": sums})
    np.testing.assert_array_equal(with_bias, y + bias[:, None, None])
    np.testing.assert_array_equal(beside, taps_grad)
    exact = np.array([math.fsum(data[2][:, c].ravel()) for c in range(len(bias))])
    assert np.linalg.norm(sums - exact) <= 4 * np.finfo(dtype).eps * np.linalg.norm(exact)
