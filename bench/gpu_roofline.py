# SPDX-License-Identifier: BSD-3-Clause
"""What the Triton engine's passes cost on a GPU by formula: bytes and multiplications over a device's peaks.

Nothing here was measured. ``python -m bench.gpu_roofline`` writes two tables in docs/gpu.md anew: the bounds of the ten
tasks' layers, and up to which lengths tables beat torch.fft.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import dash_kernels as dk
from dash_kernels.engines.triton import plan as planning
from dash_kernels.engines.triton.plan import Plan, plan

from . import document
from .layers import Layer, all_layers

SPLIT = 3
"""Products of TF32 that make one of float32 (tf32x3)."""


@dataclass(frozen=True)
class Device:
    """A GPU as its maker describes it.

    Attributes:
        name: Of the chip.
        operations: Dense TF32 operations a second.
        bandwidth, shared_bandwidth: Bytes a second, of memory and of all multiprocessors' shared memory together.
        block: Bytes of shared memory that a block may have.
    """

    name: str
    operations: float
    bandwidth: float
    shared_bandwidth: float
    block: int


DEVICES = (
    Device("A100", 156e12, 1.555e12, 108 * 128 * 1.41e9, 163 << 10),
    Device("H100", 494e12, 3.35e12, 132 * 128 * 1.755e9, 227 << 10),
)
"""The SXM boards with 40 and 80 GB, by NVIDIA's data sheets and white papers."""


@dataclass(frozen=True)
class Pass:
    """A kernel launch: float32 numbers read and written, and multiply-adds of float32."""

    name: str
    numbers: float
    products: float

    def seconds(self, device: Device) -> float:
        return max(4 * self.numbers / device.bandwidth, 2 * SPLIT * self.products / device.operations)


def tiles(size: float) -> int:
    """Rounded up to what matrix units compute."""
    return -(-int(size) // 16) * 16


def transform(name: str, how: Plan, route: str, rows: int, size: tuple[int, ...]) -> Pass:
    """``rows`` maps or series of ``size`` to spectra, or back."""
    values, spectrum, work = math.prod(size), 2 * how.frequencies, 0
    if route == "direct":
        work = 2 * tiles(values) * tiles(how.frequencies)
    elif route == "factored":
        n1, n2 = how.factors or how.lengths
        j1, j2 = (size[0], size[1]) if len(size) == 2 else (n1, -(-size[0] // n1))
        half = tiles(n2 // 2 + 1)
        repeated = -(-n1 // 64)  # the first product is made anew for each block of 64 results of the second
        work = 2 * tiles(j1) * tiles(j2) * half * repeated + 4 * tiles(n1) * tiles(j1) * half
    else:  # padded, transformed along one axis and then along the other, each time through memory
        values += (5 if len(size) > 1 else 3) * math.prod(how.lengths)
    return Pass(name, rows * (values + spectrum), rows * work)


def plan_of(layer: Layer) -> Plan:
    """How the engine computes it."""
    offsets = dk.TapLattice.of(layer.candidates).flat
    return plan(offsets, layer.size, layer.out_size, (layer.stride,) * len(layer.size), False)


def passes(layer: Layer) -> Iterator[Pass]:
    """Forward pass and both gradients of a mixed layer."""
    lattice, how = dk.TapLattice.of(layer.candidates), plan_of(layer)
    inside, outside = layer.channels
    spectra = 2 * how.frequencies * layer.pairs
    cells = tuple(map(len, how.cells)) if how.cells else (len(lattice),)
    kernels = transform("taps", how, how.tap_route, layer.pairs, cells)
    work = 0 if layer.groups > 1 else 4 * layer.batch * inside * outside * how.frequencies
    product = Pass("product", 2 * how.frequencies * layer.batch * (inside + outside) + spectra, work)
    mixed = layer.pairs * lattice.num_packed
    source = transform("maps", how, how.route, layer.batch * inside, layer.size)
    target = transform("maps", how, how.route, layer.batch * outside, layer.out_size)
    yield Pass("mixing", mixed + layer.pairs * len(lattice), mixed)
    for _ in ("output", "gradient of the input"):
        yield from (source, kernels, product, target)
    if 4 * spectra > planning.PART_BYTES:  # else the upstream gradient is transformed once for both gradients
        yield target
    yield from (source, kernels, product)
    yield Pass("mixing", 2 * mixed + layer.pairs * len(lattice), 2 * mixed)


def plain(layer: Layer, device: Device) -> float:
    """Seconds at least of a plain convolution k=3 and its gradients, in TF32, which torch lets cuDNN use."""
    inputs = layer.batch * layer.channels[0] * math.prod(layer.size)
    outputs = layer.batch * layer.channels[1] * math.prod(layer.out_size)
    work = layer.direct_flops(3 ** len(layer.size)) * layer.batch
    return max(4 * 3 * (inputs + outputs) / device.bandwidth, work / device.operations)


def row(layer: Layer) -> list[str]:
    """A line of the table of bounds."""
    how = plan_of(layer)
    cells = [layer.name, f"{how.route}, {how.tap_route}", "×".join(map(str, how.lengths))]
    for device in DEVICES:
        parts: dict[str, list[Pass]] = {}
        for one in passes(layer):
            parts.setdefault(one.name, []).append(one)
        seconds = {name: sum(one.seconds(device) for one in some) for name, some in parts.items()}
        total, floor = sum(seconds.values()), plain(layer, device)
        largest = max(seconds, key=seconds.__getitem__)
        moving = sum(4 * one.numbers for one in parts[largest]) / device.bandwidth
        bound = "memory" if moving > seconds[largest] / 2 else "matrix units"
        cells += [f"{1e6 * total:.0f}", f"{1e6 * floor:.0f}", f"{total / floor:.1f}"]
        cells += [f"{largest} {seconds[largest] / total:.0%}, {bound}"]
    return cells


def bounds() -> str:
    """Every distinct searched layer of the ten tasks."""
    head = ["layer", "maps, taps by", "circle"]
    for device in DEVICES:
        head += [f"{device.name}: µs", "plain, at least", "quotient", "most of it"]
    return document.table(head, [row(layer) for layer in all_layers()])


def longest(device: Device, ndim: int, share: float) -> int:
    """Up to which length of the circles the engine's tables take no longer than torch.fft, for maps of this share."""
    lengths = range(1024, planning.LONGEST_FACTOR**2 + 1, 64) if ndim == 1 else range(8, 512, 2)
    for length in lengths:
        factors = (length, length) if ndim == 2 else planning.plane_of(length, 1, 1, False)
        if factors is None:
            return length - lengths.step
        how = Plan("", "", (math.prod(factors),) if ndim == 1 else factors, factors, (), None, (), 1.0)
        size = (int(share * length),) * ndim
        by_tables, by_torch = (
            transform("", plan, route, 1, size).seconds(device)
            for plan, route in ((how, "factored"), (replace(how, factors=None), "torch"))
        )
        if by_tables > by_torch:
            return length - lengths.step
    return lengths[-1]


def lengths() -> str:
    """A line per device."""
    head = ["device", "2-D, maps 1/2 as long", "2-D, maps 2/3 as long", "1-D, series 7/8 as long"]
    cases = ((2, 1 / 2), (2, 2 / 3), (1, 7 / 8))
    rows = [[device.name, *(str(longest(device, *case)) for case in cases)] for device in DEVICES]
    return document.table(head, rows)


def main() -> None:
    document.replace(document.GPU, "roofline", bounds())
    document.replace(document.GPU, "lengths", lengths())


if __name__ == "__main__":
    main()
