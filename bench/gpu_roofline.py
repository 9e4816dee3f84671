# SPDX-License-Identifier: BSD-3-Clause
"""What the Triton engine's passes cost on a GPU by formula: bytes and multiplications over a device's peaks.

Nothing here was measured. ``python -m bench.gpu_roofline`` writes the table in docs/gpu.md anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dash_kernels as dk
from dash_kernels.engines.triton.plan import Plan, plan

from .layers import Layer, searched_layers
from .tasks import TASKS

DOCUMENT = Path(__file__).parent.parent / "docs" / "gpu.md"
BEGIN, END = "<!-- roofline -->\n", "<!-- end of roofline -->\n"

SPLIT = 3
"""Products of TF32 that make one of float32 (tf32x3)."""


@dataclass(frozen=True)
class Device:
    """A GPU as its maker describes it: dense TF32 operations and bytes of memory, per second."""

    name: str
    operations: float
    bandwidth: float


DEVICES = (Device("A100", 156e12, 1.555e12), Device("H100", 494e12, 3.35e12))
"""The SXM boards with 40 and 80 GB, by NVIDIA's data sheets."""


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


def passes(layer: Layer) -> Iterator[Pass]:
    """Forward pass and both gradients of a mixed layer."""
    lattice = dk.TapLattice.of(layer.candidates)
    how = plan(lattice.flat, layer.size, layer.out_size, (layer.stride,) * len(layer.size), False)
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
    for _ in ("output", "gradient of the input", "gradient of the taps"):
        yield from (source, kernels, product, target)
    yield Pass("mixing", 2 * mixed + layer.pairs * len(lattice), 2 * mixed)


def plain(layer: Layer, device: Device) -> float:
    """Seconds at least of a plain convolution k=3 and its gradients, in TF32, which torch lets cuDNN use."""
    inputs = layer.batch * layer.channels[0] * math.prod(layer.size)
    outputs = layer.batch * layer.channels[1] * math.prod(layer.out_size)
    work = layer.direct_flops(3 ** len(layer.size)) * layer.batch
    return max(4 * 3 * (inputs + outputs) / device.bandwidth, work / device.operations)


def row(layer: Layer) -> str:
    """A line of the table."""
    lattice = dk.TapLattice.of(layer.candidates)
    how = plan(lattice.flat, layer.size, layer.out_size, (layer.stride,) * len(layer.size), False)
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
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """Every distinct searched layer of the ten tasks."""
    head = ["layer", "maps, taps by", "circle"]
    for device in DEVICES:
        head += [f"{device.name}: µs", "plain, at least", "quotient", "most of it"]
    layers = dict.fromkeys(
        layer for task in TASKS for kind in ("never", "auto") for layer in searched_layers(task, kind)
    )
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *map(row, layers), ""])


def main() -> None:
    before, rest = DOCUMENT.read_text().split(BEGIN)
    DOCUMENT.write_text(before + BEGIN + table() + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
