# SPDX-License-Identifier: BSD-3-Clause
"""The CUDA kernels without a GPU: every one on the emulation, against the truth, in random orders of its threads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import emulation
import pytest
import torch
from accuracy import assert_as_good_as_torch, torch_tap_conv
from cases import CASES, SMALL, Case, mixture
from emulation import EmulatedEngine
from hypothesis import given
from test_properties import cases, quick
from torch import Tensor

from dash_kernels import SearchSpace, TapLattice, reference
from dash_kernels.engines import cuda
from dash_kernels.engines.cuda_plan import Geometry

emulated_only = pytest.mark.skipif(emulation.ON_A_GPU, reason="a GPU checks no access")
pytestmark = pytest.mark.skipif(
    emulation.ON_A_GPU and EmulatedEngine().available() is not None, reason=f"no engine: {EmulatedEngine().available()}"
)
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
Three = tuple[Tensor, Tensor, Tensor]


@pytest.fixture(scope="module", autouse=True)
def emulated() -> Iterator[None]:
    with emulation.instead_of_a_gpu():
        yield


def geometry_of(case: Case) -> Geometry:
    return Geometry.of(case.flat, case.size, case.outputs, case.steps, case.circular)


def depthwise(case: Case) -> Case:
    """The same with three channels, each by itself."""
    name = case.name if "depthwise" in case.name else f"{case.name}, depthwise"
    return dataclasses.replace(case, name=name, channels=(3, 3), groups=3)


def by_direct_sums(case: Case, x: Tensor, taps: Tensor, grad: Tensor) -> Three:
    g = geometry_of(case)
    return (
        cuda.direct_forward(g, x, taps, case.groups, None),
        cuda.direct_input_grad(g, grad, taps, case.groups),
        cuda.direct_weight_grad(g, grad, x, case.groups),
    )


def by_transforms(case: Case, x: Tensor, taps: Tensor, grad: Tensor) -> Three:
    g = geometry_of(case)
    return (
        cuda.transform_forward(g, x, taps, None),
        cuda.transform_input_grad(g, grad, taps),
        cuda.transform_weight_grad(g, grad, x),
    )


def by_the_engine(case: Case, x: Tensor, taps: Tensor, grad: Tensor) -> Three:
    engine, tail = EmulatedEngine(), (case.steps, case.groups, case.circular)
    return (
        engine.tap_conv(x, taps, case.flat, case.outputs, *tail),
        engine.tap_conv_input_grad(grad, taps, case.flat, case.size, *tail),
        engine.tap_conv_weight_grad(grad, x, case.flat, *tail),
    )


def exact(case: Case, x: Tensor, taps: Tensor, grad: Tensor) -> Three:
    x, taps, grad, tail = x.double(), taps.double(), grad.double(), (case.steps, case.groups, case.circular)
    return (
        reference.tap_conv(x, taps, case.flat, case.outputs, *tail),
        reference.tap_conv_input_grad(grad, taps, case.flat, case.size, *tail),
        reference.tap_conv_weight_grad(grad, x, case.flat, *tail),
    )


def by_torch(case: Case, x: Tensor, taps: Tensor, grad: Tensor) -> Three:
    x, taps = x.clone().requires_grad_(), taps.clone().requires_grad_()
    y = torch_tap_conv(x, taps, case.offsets, case.outputs, case.steps, case.groups, case.circular)
    return y.detach(), *torch.autograd.grad(y, (x, taps), grad)


def check(case: Case, tensors: Three, got: Three) -> None:
    plain = by_torch(case, *tensors) if tensors[0].dtype == torch.float32 else (None, None, None)
    for what, ours, theirs, truth in zip(
        ("output", "input gradient", "weight gradient"), got, plain, exact(case, *tensors), strict=True
    ):
        assert ours.is_contiguous()
        assert_as_good_as_torch(ours, theirs, truth, what=f"{case.name}: {what}")


ON_CIRCLES = [
    case
    for case in map(depthwise, CASES)
    if emulation.has_circle(geometry_of(case)) and case.batch and case.layout == "contiguous"
]


@DTYPES
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_direct_sums(case: Case, dtype: torch.dtype) -> None:
    tensors = case.tensors(dtype)
    check(case, tensors, by_direct_sums(case, *tensors))


@DTYPES
@pytest.mark.parametrize("case", ON_CIRCLES, ids=lambda case: case.name)
def test_transforms(case: Case, dtype: torch.dtype) -> None:
    tensors = case.tensors(dtype)
    check(case, tensors, by_transforms(case, *tensors))


LAYERS = [
    Case("images", (32, 32), mixture(2, (3, 5, 7, 9), (1, 3, 7, 15)), batch=3, channels=(2, 2), groups=2),
    Case("stride 2", (32, 32), mixture(2, (3, 5, 7, 9), (1, 3, 7, 15)), channels=(2, 2), groups=2, stride=(2, 2)),
    Case("small maps, many to a block", (8, 8), mixture(2, (3, 5), (1, 3)), batch=21, channels=(8, 8), groups=8),
    Case("series", (1000,), mixture(1, (3, 7, 11, 15, 19), (1, 3, 7, 15)), batch=5, channels=(3, 3), groups=3),
    Case("many short series", (46,), mixture(1, (3, 7, 11, 15, 19), (1, 3, 7)), batch=300, channels=(3, 3), groups=3),
]  # fmt: skip


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_depthwise_layers_of_the_tasks(case: Case) -> None:
    """As the engine itself chooses: by transforms, forward and both gradients."""
    tensors = case.tensors(torch.float32)
    got = by_the_engine(case, *tensors)
    check(case, tensors, got)
    for ours, transformed in zip(got, by_transforms(case, *tensors), strict=True):
        assert torch.equal(ours, transformed)


@quick
@given(case=cases())
def test_cases_drawn_at_random(case: Case) -> None:
    tensors = case.tensors(torch.float32)
    check(case, tensors, by_the_engine(case, *tensors))


@emulated_only
@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_the_order_of_threads_changes_nothing(case: Case) -> None:
    tensors, one = case.tensors(torch.float32), depthwise(case)
    alone = one.tensors(torch.float32)
    first = by_direct_sums(case, *tensors), by_transforms(one, *alone)
    for seed in (1, 2, 3):
        with emulation.order(seed):
            again = by_direct_sums(case, *tensors), by_transforms(one, *alone)
        for before, after in zip(first, again, strict=True):
            assert all(map(torch.equal, before, after))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("case", [SMALL[0], SMALL[-1]], ids=lambda case: case.name)
def test_bias(case: Case, bias: bool) -> None:
    case = depthwise(case)
    x, taps, _ = case.tensors(torch.float32)
    shift, g = torch.randn(3), geometry_of(case)
    truth = exact(case, x, taps, torch.zeros(case.batch, 3, *case.outputs))[0]
    truth = truth + reference.per_channel(shift.double(), truth.dim()) if bias else truth
    given = shift if bias else None
    for got in (cuda.direct_forward(g, x, taps, 3, given), cuda.transform_forward(g, x, taps, given)):
        assert_as_good_as_torch(got, truth.float(), truth, what=case.name)


@DTYPES
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("rows", [(3, 17), (1, 1), (0, 4)])
def test_mixing_and_its_adjoints(ndim: int, rows: tuple[int, int], dtype: torch.dtype) -> None:
    lattice, engine = TapLattice.of(SearchSpace((3, 5), (1, 2, 3)).candidates(ndim)), EmulatedEngine()
    tail = ((-1, *lattice.index[1:]), lattice.counts)  # the first weight's tap reaches nothing
    weight = torch.randn(*rows, lattice.num_packed, dtype=dtype)
    mixture_weights = torch.randn(6, dtype=dtype)
    grad = torch.randn(*rows[::-1], len(lattice), dtype=dtype).transpose(0, 1)
    wide = weight.double(), mixture_weights.double(), grad.double()
    pairs = [
        (
            engine.mix_taps(weight, mixture_weights, *tail, len(lattice)),
            reference.mix_taps(*wide[:2], *tail, len(lattice)),
        ),
        (engine.gather_taps(grad, mixture_weights, *tail), reference.gather_taps(wide[2], wide[1], *tail)),
        (engine.mixture_grad(grad, weight, *tail), reference.mixture_grad(wide[2], wide[0], *tail)),
    ]
    for got, truth in pairs:
        assert_as_good_as_torch(got, truth.to(dtype), truth)


def test_a_mixture_of_many_rows_is_summed_exactly() -> None:
    lattice, engine = TapLattice.of(SearchSpace((3,), (1, 2)).candidates(1)), EmulatedEngine()
    weight, grad = torch.randn(300, 40, lattice.num_packed), torch.randn(300, 40, len(lattice))
    got = engine.mixture_grad(grad, weight, lattice.index, lattice.counts)
    truth = reference.mixture_grad(grad.double(), weight.double(), lattice.index, lattice.counts)
    assert_as_good_as_torch(got, truth.float(), truth)


FAULTS = {
    "missing_barrier": "race: thread .* with no barrier between",
    "divergent_barrier": "divergent: 64 threads wait at a barrier",
    "uninitialised_shared": "shared memory is loaded at 5 before stored",
    "uninitialised_global": "global memory is loaded at 7 before stored",
    "shared_bounds": "shared memory of 96 elements is accessed at 96",
    "global_bounds": "global memory of 192 elements is accessed at 192",
    "global_twice": "global memory is stored at 8 a second time",
    "shuffle_mask": "is not in its mask|divergent: .* at a shuffle",
    "lonely_shuffle": "divergent: .* at a shuffle",
    "too_much_shared": "shared arrays take 768 bytes of 384",
}


@emulated_only
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("plant", FAULTS)
def test_planted_faults_are_caught(plant: str, seed: int) -> None:
    with emulation.order(seed), pytest.raises(RuntimeError, match=FAULTS[plant]):
        torch.ops.dash_emulation.planted(emulation.PLANTS.index(plant))


@emulated_only
@pytest.mark.parametrize("seed", range(4))
def test_without_a_fault_nothing_is_caught(seed: int) -> None:
    reversed_numbers = torch.arange(95, -1, -1, dtype=torch.float64)
    sums = reversed_numbers.view(3, 32).sum(1).repeat_interleave(32)
    with emulation.order(seed):
        got = torch.ops.dash_emulation.planted(0)
    assert got == float(torch.cat([reversed_numbers, sums]) @ torch.arange(192, dtype=torch.float64))


MAP = Case("map", (12, 10), mixture(2, (3, 5), (1, 3)), batch=5, channels=(1, 1))


@emulated_only
@pytest.mark.parametrize(
    ("run", "spare"),
    [
        (lambda g, x, taps, grad: cuda.transform_forward(g, x, taps, None), 0),
        (lambda g, x, taps, grad: cuda.transform_input_grad(g, grad, taps), 0),
        (lambda g, x, taps, grad: cuda.transform_weight_grad(g, grad, x), 0),
        # their first barrier is that of a loop: it parts a turn from the one before
        (lambda g, x, taps, grad: cuda.direct_forward(g, x, taps, 1, None), 1),
        (lambda g, x, taps, grad: cuda.direct_weight_grad(g, grad, x, 1), 1),
    ],
    ids=["maps", "maps back", "weights", "direct maps", "direct weights"],
)
def test_every_barrier_is_needed_and_missed(run: Callable[..., Tensor], spare: int) -> None:
    """In the kernels themselves, not only in those with planted faults, a missing barrier is caught."""
    x, taps, grad = MAP.tensors(torch.float32)
    with emulation.order(0):
        run(geometry_of(MAP), x, taps, grad)
        barriers = range(spare, torch.ops.dash_emulation.barriers())
    assert len(barriers) > 2
    for barrier in barriers:
        with emulation.order(barrier, without_barrier=barrier), pytest.raises(RuntimeError, match="race|before stored"):
            run(geometry_of(MAP), x, taps, grad)


@pytest.mark.parametrize("size", [(85, 85), (96, 102), (128, 128)])
def test_large_maps(size: tuple[int, int]) -> None:
    """Larger than what a block of the weight gradient holds of their spectra, and as far apart as taps get."""
    case = Case("large", size, ((-60, -60), (60, 60), (0, 0), (59, -7), (-45, 3)), batch=3, channels=(1, 1))
    tensors = case.tensors(torch.float32)
    for got, truth in zip(by_transforms(case, *tensors), exact(case, *tensors), strict=True):
        assert_as_good_as_torch(got, truth.float(), truth, what=str(size))


@pytest.mark.parametrize("plane", [(8, 8), (1, 30), (30, 1), (16, 27), (25, 6)])
def test_lengths_of_every_radix(plane: tuple[int, int]) -> None:
    """On circular maps the length is that of the map."""
    case = Case(str(plane), plane, ((0, 0), (1, 2), (-3, 5)), batch=3, channels=(2, 2), groups=2, circular=True)
    tensors = case.tensors(torch.float64)
    check(case, tensors, by_transforms(case, *tensors))
