# SPDX-License-Identifier: BSD-3-Clause
"""What the CUDA engine's transforms of depthwise layers cost by formula, in bytes and operations a pixel.

Nothing here was measured. ``python -m bench.cuda_roofline`` writes the table in docs/cuda.md anew; the formulas are
those of its section on depthwise layers, the sizes of blocks those of csrc/cuda/depthwise*.h, as a test compares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import dash_kernels as dk
from dash_kernels.engines import cuda_plan
from dash_kernels.engines.cuda_plan import Circle, Geometry

from . import document
from .gpu_roofline import DEVICES, Device
from .layers import Layer, all_layers

POINTS = 2048
"""Of pairs of images that a block takes at once, and of columns in its scratch."""

MOST_WINDOW = 160 << 10
"""Bytes of a block of the weight gradient; above, blocks share the frequencies of a row."""


@dataclass(frozen=True)
class Blocks:
    """The blocks of a layer: bytes of shared memory by kernel, and among how many a row's frequencies are shared."""

    maps: int
    spectrum: int
    weights: int
    windows: int

    @classmethod
    def of(cls, batch: int, rows: tuple[int, int], lengths: tuple[int, int], tap_rows: int) -> Blocks:
        """In single precision, of maps with so many rows before and behind the layer."""
        down, across = lengths
        pairs, before, behind = -(-batch // 2), *rows
        columns = 0 if down == 1 else _clamp(POINTS // down, 8, 32)
        of_block = 1 if before != behind else _clamp(POINTS // (max(rows) * across), 1, pairs)
        maps = _bytes(of_block * max(rows) * (across | 1), columns * down)
        of_block = _clamp(POINTS // (sum(rows) * across), 1, pairs)
        lines = _clamp(POINTS // across, 1, of_block * before)
        scratch = max(lines * (across | 1), 2 * columns * down)
        windows, width = 1, across
        while True:
            held = (of_block * kept * (width | 1) for kept in (before, behind, tap_rows))
            weights = _bytes(*held, scratch)
            if weights <= MOST_WINDOW or width <= 1:
                return cls(maps, _bytes(16 * down), weights, windows)
            windows += 1
            width = -(-across // windows)


@dataclass(frozen=True)
class Cost:
    """Of a layer without stride, for the forward pass and the input gradient, unless it says "weights".

    Attributes:
        circle: Its lengths.
        moved: Bytes through memory over their floor, each map read once and written once.
        spectrum: Bytes a pixel of the taps' spectrum, from the second-level cache.
        shared, weights: Bytes a pixel through shared memory, of one window.
        operations: A pixel.
        blocks: Of its kernels.
    """

    circle: Circle
    moved: float
    spectrum: float
    shared: float
    weights: float
    operations: float
    blocks: Blocks

    def above_floor(self, device: Device) -> float:
        """The bound by memory and shared memory, over the floor of 8 bytes a pixel."""
        floor = 8 / device.bandwidth
        return max(self.moved, self.shared / device.shared_bandwidth / floor)

    def fits(self, device: Device) -> bool:
        """Whether a device has the shared memory for it."""
        return max(self.blocks.maps, self.blocks.spectrum, self.blocks.weights) <= device.block


def cost(layer: Layer) -> Cost:
    """The formulas of docs/cuda.md; the names of sizes are those there."""
    taps = dk.TapLattice.of(layer.candidates).flat
    circle = cuda_plan.circle(Geometry.of(taps, layer.size, layer.out_size, (layer.stride,) * len(layer.size), False))
    assert isinstance(circle, Circle), circle
    down, across = circle.lengths
    rows, pixels = (1, *layer.size)[-2], math.prod(layer.size)
    area, points, a, b = rows * across, down * across, passes(across), passes(down)
    tap_rows = len(circle.rows)
    maps = area * (4 * a + 4) + 4 * points * (b - 1) if down > 1 else 4 * a * area
    weights = area * (4 * a + 8) + 6 * points * max(b - 1, 0) + 2 * across * tap_rows
    work = 10 * (area * math.log2(across) + (points * math.log2(down) if down > 1 else 0)) + 6 * points
    return Cost(
        circle=circle,
        moved=1 + 8 * points / (4 * layer.batch * 2 * pixels),
        spectrum=8 * points / (2 * pixels),
        shared=8 * maps / (2 * pixels),
        weights=8 * weights / (2 * pixels),
        operations=work / (2 * pixels),
        blocks=Blocks.of(layer.batch, (rows, (1, *layer.out_size)[-2]), circle.lengths, tap_rows),
    )


def passes(length: int) -> int:
    """Of a transform: radices 8, 4, 2, 5 and 3, and 16 as 4 times 4."""
    count = 0
    for radix in (8, 4, 2, 5, 3):
        while length % radix == 0:
            length //= 4 if radix == 8 and length % 16 == 0 and length % 32 else radix
            count += 1
    return count


def table() -> str:
    """Every distinct depthwise layer of the ten tasks without stride."""
    head = ["layer", "circle", "memory ÷ floor", "L2, bytes a pixel", "shared, bytes a pixel: maps, weights"]
    head += ["operations a pixel", "KiB of a block: maps, weights"]
    head += [f"{device.name}: bound ÷ floor" for device in DEVICES]
    rows = []
    for layer in all_layers():
        if layer.groups == 1 or layer.stride > 1:
            continue
        c = cost(layer)
        windows = f" × {c.blocks.windows}" if c.blocks.windows > 1 else ""
        cells = [layer.name.removesuffix(", depthwise"), "×".join(map(str, c.circle.lengths[-len(layer.size) :]))]
        cells += [f"{c.moved:.2f}", f"{c.spectrum:.0f}", f"{c.shared:.0f}, {c.weights:.0f}{windows}"]
        cells += [f"{c.operations:.0f}", f"{c.blocks.maps / 1024:.0f}, {c.blocks.weights / 1024:.0f}"]
        cells += [f"{c.above_floor(device):.1f}" if c.fits(device) else "does not fit" for device in DEVICES]
        rows.append(cells)
    return document.table(head, rows)


def _clamp(value: int, least: int, most: int) -> int:
    return min(max(value, least), most)


def _bytes(*counts: int) -> int:
    """Of arrays of so many complex numbers, each in whole units of 16 bytes."""
    return sum(-(-8 * count // 16) * 16 for count in counts)


def main() -> None:
    document.replace(document.CUDA, "roofline", table())


if __name__ == "__main__":
    main()
