# SPDX-License-Identifier: BSD-3-Clause
"""What the Triton engine's passes cost on a GPU by formula: bytes and multiplications over a device's peaks.

Nothing here was measured. ``python -m bench.gpu_roofline`` writes the table in docs/gpu.md anew.
"""

from __future__ import annotations

import math
import sys
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
"""SXM boards with 40 and 80 GB; NVIDIA's data sheets."""


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


def transform(name: str, how: Plan, rows: int, size: tuple[int, ...]) -> Pass:
    """``rows`` maps or series of ``size`` to spectra, or back."""
    values, spectrum = math.prod(size), 2 * how.frequencies
    if how.route == "direct":
        work = 2 * tiles(values) * tiles(how.frequencies)
    elif how.factors is not None:
        n1, n2 = how.factors
        j1, j2 = (size[0], size[1]) if len(size) == 2 else (n1, -(-size[0] // n1))
        half = tiles(n2 // 2 + 1)
        repeated = -(-n1 // 64)  # the first product is made anew for each block of 64 results of the second
        work = 2 * tiles(j1) * tiles(j2) * half * repeated + 4 * tiles(n1) * tiles(j1) * half
    else:
        values, work = values + 2 * math.prod(how.lengths), 0  # padded, and read once more between the axes
    return Pass(name, rows * (values + spectrum), rows * work)


def passes(layer: Layer) -> Iterator[Pass]:
    """Forward pass and both gradients of a mixed layer."""
    ndim = len(layer.size)
    lattice = dk.TapLattice.of(layer.candidates)
    how = plan(lattice.flat, layer.size, layer.out_size, (layer.stride,) * ndim, False)
    inside, outside = layer.channels
    taps = layer.pairs * len(lattice)
    cells = tuple(map(len, how.cells)) if how.cells else (len(lattice),)
    n, m = layer.batch * inside, layer.batch * outside
    spectra = 2 * how.frequencies * layer.pairs
    if how.cells is None:
        kernels = Pass("taps", taps + spectra, layer.pairs * 2 * tiles(len(lattice)) * tiles(how.frequencies))
    else:
        kernels = transform("taps", how, layer.pairs, cells)
    product = 0 if layer.groups > 1 else 4 * layer.batch * inside * outside * how.frequencies
    maps = 2 * how.frequencies * (n + m)
    mixing = layer.pairs * (lattice.num_packed + len(lattice))
    source, target = transform("x", how, n, layer.size), transform("y", how, m, layer.out_size)
    yield Pass("mix", mixing, layer.pairs * lattice.num_packed)
    yield from (source, kernels, Pass("product", maps + spectra, product), target)
    yield from (target, kernels, Pass("product", maps + spectra, product), source)
    yield from (target, source, Pass("product", maps + spectra, product), kernels)
    yield Pass("mix gradients", mixing + layer.pairs * lattice.num_packed, 2 * layer.pairs * lattice.num_packed)


def plain(layer: Layer, device: Device) -> float:
    """The floor of a plain convolution k=3 with both gradients, in TF32 as torch lets cuDNN compute by default."""
    x, y = (
        layer.batch * layer.channels[0] * math.prod(layer.size),
        layer.batch * layer.channels[1] * math.prod(layer.out_size),
    )
    work = layer.direct_flops(3 ** len(layer.size)) * layer.batch
    return max(4 * 3 * (x + y) / device.bandwidth, work / device.operations)


def main():
    for t in TASKS:
        for depthwise in ("never", "auto"):
            for layer in searched_layers(t, depthwise):
                ps = list(passes(layer))
                for d in DEVICES[:1]:
                    tot = sum(p.seconds(d) for p in ps)
                    by = {}
                    for p in ps:
                        by[p.name] = by.get(p.name, 0) + p.seconds(d)
                    print(
                        f"{layer.name:50s} {d.name} {tot * 1e6:8.0f} us plain {plain(layer, d) * 1e6:7.0f} ratio {tot / plain(layer, d):5.1f}",
                        {k: round(v * 1e6) for k, v in by.items()},
                    )


if __name__ == "__main__":
    main()
