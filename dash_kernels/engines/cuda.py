# SPDX-License-Identifier: BSD-3-Clause
"""Engine "cuda": kernels in CUDA C++. Depthwise layers by transforms in shared memory, few taps by direct sums."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .._load import CUDA_LOAD
from ..formats import in_format_of
from . import cuda_plan
from .cuda_plan import Circle, Geometry
from .direct import FEW_RESULTS
from .engine import Engine
from .problem import MixProblem, Problem
from .rounding import in_double

Ints = Sequence[int]

MOST_TAPS = 25
"""That reach a pixel, on average, where direct sums are taken: by docs/cuda.md more cost more than transforms."""

FEW_TAPS = 16
"""Of a depthwise layer, which cost less than transforms, by the same count."""

LEAST_CAPABILITY = (8, 0)
"""The first that the library has code for."""

# Tables on a GPU are small beside the maps; a network has few kinds of layer.
KEPT = 256


class CudaEngine(Engine):
    """Float32 and float64, one to three axes. Every sum has one order: results are the same from run to run."""

    name = "cuda"

    def available(self, device_type: str | None = None) -> str | None:
        if device_type not in (None, "cuda"):
            return f"it runs on NVIDIA GPUs, not on {device_type}"
        if CUDA_LOAD.error is not None:
            return CUDA_LOAD.error
        if not torch.cuda.is_available():
            return "torch finds no GPU here"
        if torch.cuda.get_device_capability() < LEAST_CAPABILITY:
            return f"the GPU has compute capability {torch.cuda.get_device_capability()}, below {LEAST_CAPABILITY}"
        return None

    def can_run(self, problem: Problem | MixProblem) -> str | None:
        if problem.dtype not in (torch.float32, torch.float64):
            return f"it computes float32 and float64, not {problem.dtype}"
        if isinstance(problem, MixProblem):
            most = max(problem.packed, problem.lattice, problem.candidates)
            return None if most < 2**31 else f"it mixes less than 2^31 weights per pair of channels, not {most}"
        p = problem
        if p.ndim > cuda_plan.AXES:
            return f"it computes 1-D, 2-D and 3-D convolutions, not {p.ndim}-D"
        geometry = Geometry.of(p.offsets, p.input_size, p.out_size, p.stride, p.circular)
        if max(geometry.furthest, math.prod(p.input_size), math.prod(p.out_size)) >= 2**31:
            return "it numbers the pixels of a map, and the positions they lie at, with 31 bits"
        refusal = self.no_transform(p)
        reached = geometry.reach * len({entry[0] for entry in cuda_plan.entries(geometry)})
        if refusal is None or reached <= MOST_TAPS or in_double(p.dtype, geometry.reach, p.results):
            return None
        return f"{refusal}, and it adds up no more than {MOST_TAPS} taps one by one, not {reached:.0f}"

    def no_transform(self, problem: Problem) -> str | None:
        """None if a convolution is computed by transforms, else one sentence why not."""
        return _no_transform(problem)

    def tap_conv(
        self,
        x: Tensor,
        taps: Tensor,
        offsets: Ints,
        out_size: Ints,
        stride: Ints,
        groups: int,
        circular: bool,
        bias: Tensor | None = None,
    ) -> Tensor:
        geometry = Geometry.of(offsets, x.shape[2:], out_size, stride, circular)
        if self.no_transform(_problem("tap_conv", geometry, x, x.shape[1], taps.shape[0], groups)) is None:
            return in_format_of(x, transform_forward(geometry, x, taps, bias))
        return in_format_of(x, direct_forward(geometry, x, taps, groups, bias))

    def tap_conv_input_grad(
        self, grad: Tensor, taps: Tensor, offsets: Ints, input_size: Ints, stride: Ints, groups: int, circular: bool
    ) -> Tensor:
        geometry = Geometry.of(offsets, input_size, grad.shape[2:], stride, circular)
        channels = taps.shape[1] * groups, grad.shape[1]
        if self.no_transform(_problem("tap_conv_input_grad", geometry, grad, *channels, groups)) is None:
            return in_format_of(grad, transform_input_grad(geometry, grad, taps))
        return in_format_of(grad, direct_input_grad(geometry, grad, taps, groups))

    def tap_conv_weight_grad(
        self, grad: Tensor, x: Tensor, offsets: Ints, stride: Ints, groups: int, circular: bool
    ) -> Tensor:
        geometry = Geometry.of(offsets, x.shape[2:], grad.shape[2:], stride, circular)
        channels = x.shape[1], grad.shape[1]
        if self.no_transform(_problem("tap_conv_weight_grad", geometry, grad, *channels, groups)) is None:
            return transform_weight_grad(geometry, grad, x)
        return direct_weight_grad(geometry, grad, x, groups)

    def mix_taps(self, weight: Tensor, mixture: Tensor, index: Ints, counts: Ints, lattice_size: int) -> Tensor:
        table = _mixing(tuple(index), tuple(counts), lattice_size, weight.device)
        return _compute("cuda_mix_taps", weight, mixture, table, lattice_size)

    def gather_taps(self, grad: Tensor, mixture: Tensor, index: Ints, counts: Ints) -> Tensor:
        table = _integers((*_candidates(counts), *index), grad.device)
        return _compute("cuda_gather_taps", grad, mixture, table)

    def mixture_grad(self, grad: Tensor, weight: Tensor, index: Ints, counts: Ints) -> Tensor:
        table = _integers((*index, *itertools.accumulate(counts, initial=0)), grad.device)
        return _compute("cuda_mixture_grad", grad, weight, table)


@functools.lru_cache(maxsize=1024)
def _no_transform(p: Problem) -> str | None:
    if not p.groups == p.in_channels == p.out_channels:
        return "it transforms the maps of depthwise layers only"
    geometry = Geometry.of(p.offsets, p.input_size, p.out_size, p.stride, p.circular)
    if p.num_taps <= FEW_TAPS or in_double(p.dtype, geometry.reach, p.results) or p.batch == 0:
        return "few taps, few results and taps that reach few pixels are added up one by one"
    return transform_refusal(p, geometry)


def transform_refusal(p: Problem, geometry: Geometry) -> str | None:
    """None if transforms can compute a depthwise convolution, else one sentence why not."""
    circle = cuda_plan.circle(geometry)
    if isinstance(circle, str):
        return circle
    size, out, step, one = geometry.size, geometry.out, geometry.stride, (1,) * p.ndim
    name, sides = {
        "tap_conv": ("cuda_depthwise_maps_shared", (size, one, out, step)),
        "tap_conv_input_grad": ("cuda_depthwise_maps_shared", (out, step, size, one)),
        "tap_conv_weight_grad": ("cuda_depthwise_weights_shared", (size, out, step, len(circle.rows))),
    }[p.operator]
    needed = _operator(name)(p.batch, p.dtype.itemsize, circle.lengths[-p.ndim :], *sides)
    most = _most_shared_bytes()
    if needed <= most:
        return None
    return f"its transforms need {needed} bytes of shared memory for maps of {size}, and a block has {most}"


def transform_forward(geometry: Geometry, x: Tensor, taps: Tensor, bias: Tensor | None) -> Tensor:
    """``tap_conv`` of a depthwise layer on circles."""
    one = (1,) * len(geometry.size)
    return _transform_maps(_circle(geometry).mirrored(), x, taps, geometry.out, one, geometry.stride, bias)


def transform_input_grad(geometry: Geometry, grad: Tensor, taps: Tensor) -> Tensor:
    """``tap_conv_input_grad`` of a depthwise layer on circles."""
    one = (1,) * len(geometry.size)
    return _transform_maps(_circle(geometry), grad, taps, geometry.size, geometry.stride, one, None)


def _transform_maps(
    circle: Circle, source: Tensor, taps: Tensor, result: Ints, source_step: Ints, step: Ints, bias: Tensor | None
) -> Tensor:
    table = _spectrum_table(circle, source.device)
    roots = _roots(circle.lengths, source.device, source.dtype)
    call = len(circle.rows), roots, circle.lengths[-len(result) :], result, source_step, step, bias
    return _compute("cuda_depthwise_maps", source, taps, table, *call)


def transform_weight_grad(geometry: Geometry, grad: Tensor, x: Tensor) -> Tensor:
    """``tap_conv_weight_grad`` of a depthwise layer on circles."""
    circle = _circle(geometry)
    table, roots = _gradient_table(circle, x.device), _roots(circle.lengths, x.device, x.dtype)
    call = len(circle.rows), len(geometry.taps), roots, circle.lengths[-len(geometry.size) :], geometry.stride
    return _compute("cuda_depthwise_weights", grad, x, table, *call)


def direct_forward(geometry: Geometry, x: Tensor, taps: Tensor, groups: int, bias: Tensor | None) -> Tensor:
    """``tap_conv`` as direct sums."""
    results = x.shape[0] * taps.shape[0] * math.prod(geometry.out)
    call = geometry.out, (1,) * len(geometry.size), geometry.stride, groups, False, bias
    return _in_double(results, "cuda_direct_maps", x, taps, _entries(geometry, 1, x.device), *call)


def direct_input_grad(geometry: Geometry, grad: Tensor, taps: Tensor, groups: int) -> Tensor:
    """``tap_conv_input_grad`` as direct sums."""
    results = grad.shape[0] * taps.shape[1] * groups * math.prod(geometry.size)
    call = geometry.size, geometry.stride, (1,) * len(geometry.size), groups, True
    return _in_double(results, "cuda_direct_maps", grad, taps, _entries(geometry, -1, grad.device), *call)


def direct_weight_grad(geometry: Geometry, grad: Tensor, x: Tensor, groups: int) -> Tensor:
    """``tap_conv_weight_grad`` as direct sums."""
    results = grad.shape[1] * x.shape[1] // groups * len(geometry.taps)
    tables = _entries(geometry, 1, x.device), _starts(geometry, x.device)
    return _in_double(results, "cuda_direct_weights", grad, x, *tables, geometry.stride, groups)


def _in_double(results: int, name: str, *arguments: Any) -> Tensor:
    """Runs the operator, in double where there is but a handful of results, which may all cancel."""
    if results > FEW_RESULTS or arguments[0].dtype != torch.float32:
        return _compute(name, *arguments)
    wide = (a.double() if isinstance(a, Tensor) and a.is_floating_point() else a for a in arguments)
    return _compute(name, *wide).float()


def _problem(operator: str, g: Geometry, like: Tensor, inside: int, outside: int, groups: int) -> Problem:
    shape = like.shape[0], inside, outside, groups, g.size, g.out, g.stride
    return Problem(operator, like.device.type, like.dtype, *shape, g.offsets, g.circular)


@functools.cache
def _operator(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(torch.ops.dash_kernels, name).default
    return found


def _compute(name: str, *arguments: Any) -> Tensor:
    result: Tensor = _operator(name)(*arguments)
    return result


@functools.cache
def _most_shared_bytes() -> int:
    """That a block may have on every device here."""
    devices = range(max(torch.cuda.device_count(), 1))
    return min(int(_operator("cuda_most_shared")(device)) for device in devices)


def _circle(geometry: Geometry) -> Circle:
    circle = cuda_plan.circle(geometry)
    assert isinstance(circle, Circle), circle  # no_transform() has seen to it
    return circle


def _candidates(counts: Ints) -> list[int]:
    """The candidate of each packed weight."""
    return [candidate for candidate, count in enumerate(counts) for _ in range(count)]


@functools.lru_cache(maxsize=KEPT)
def _integers(values: tuple[int, ...], device: torch.device) -> Tensor:
    """As int32 on the device."""
    return torch.tensor(values, dtype=torch.int32, device="cpu").to(device)


@functools.lru_cache(maxsize=KEPT)
def _mixing(index: tuple[int, ...], counts: tuple[int, ...], lattice: int, device: torch.device) -> Tensor:
    """Each weight's candidate; where each lattice tap's weights begin, and the end; the weights by lattice tap."""
    members = sorted((tap, weight) for weight, tap in enumerate(index) if tap >= 0)
    at_tap = [0] * lattice
    for tap, _ in members:
        at_tap[tap] += 1
    starts = itertools.accumulate(at_tap, initial=0)
    return _integers((*_candidates(counts), *starts, *(weight for _, weight in members)), device)


@functools.lru_cache(maxsize=KEPT)
def _entries(geometry: Geometry, sign: int, device: torch.device) -> Tensor:
    """The entries (count, 4), with offsets as they are or, for gradients, negated."""
    rows = cuda_plan.entries(geometry)
    numbers = tuple(n for tap, *offset in rows for n in (tap, *(sign * o for o in offset)))
    return _integers(numbers, device).view(len(rows), 1 + cuda_plan.AXES)


@functools.lru_cache(maxsize=KEPT)
def _starts(geometry: Geometry, device: torch.device) -> Tensor:
    """Where each tap's entries begin, and the end."""
    counts = [0] * len(geometry.taps)
    for tap, *_ in cuda_plan.entries(geometry):
        counts[tap] += 1
    return _integers(tuple(itertools.accumulate(counts, initial=0)), device)


@functools.lru_cache(maxsize=KEPT)
def _spectrum_table(circle: Circle, device: torch.device) -> Tensor:
    return _integers(circle.spectrum_table(), device)


@functools.lru_cache(maxsize=KEPT)
def _gradient_table(circle: Circle, device: torch.device) -> Tensor:
    return _integers(circle.gradient_table(), device)


@functools.lru_cache(maxsize=KEPT)
def _roots(lengths: tuple[int, int], device: torch.device, dtype: torch.dtype) -> Tensor:
    """exp(-2 pi i j / n) as (real, imaginary) for both lengths, one behind the other, worked out in double."""
    turns = torch.cat([torch.arange(n, dtype=torch.float64, device="cpu") / n for n in lengths])
    angle = -2 * math.pi * turns
    return torch.stack([angle.cos(), angle.sin()], dim=1).to(device, dtype).contiguous()
