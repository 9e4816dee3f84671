# SPDX-License-Identifier: BSD-3-Clause
"""What further kernels would save of the bounds in gpu_roofline.py.

Nothing here was measured. ``python -m bench.gpu_ideas`` writes the table in docs/gpu.md anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from . import document
from .cuda_roofline import cost
from .gpu_roofline import DEVICES, Device, Pass, passes, plan_of
from .layers import Layer, all_layers
from .timing import geometric_mean


def fused(layer: Layer) -> Iterator[Pass]:
    """A depthwise layer if a kernel kept its spectra to itself: maps are read and written once, the products stay."""
    taps = plan_of(layer).frequencies * 2 * layer.pairs
    by_name: dict[str, list[Pass]] = {}
    for one in passes(layer):
        by_name.setdefault(one.name, []).append(one)
    yield from by_name["mixing"]
    yield from by_name["taps"]
    sizes = [layer.batch * layer.channels[0] * math.prod(side) for side in (layer.size, layer.out_size)]
    source, target, *_ = by_name["maps"]
    for _ in ("output", "gradient of the input", "gradient of the taps"):
        yield Pass("fused", sum(sizes) + taps, source.products + target.products)


def without(layer: Layer, name: str, which: int) -> Iterator[Pass]:
    """The passes but for one: of those of this name, the one at this place."""
    seen = 0
    for one in passes(layer):
        seen += one.name == name
        if one.name != name or seen != which + 1:
            yield one


def three_products(layer: Layer) -> Iterator[Pass]:
    """With three real products, not four, for a complex one."""
    for one in passes(layer):
        yield replace(one, products=one.products * 3 / 4) if one.name == "product" else one


def by_cuda(layer: Layer, device: Device) -> float | None:
    """Seconds of a depthwise layer's three convolutions by the engine that has such a kernel, mixing left out."""
    if layer.groups == 1 or layer.stride > 1 or not (found := cost(layer)).fits(device):
        return None
    floor = 8 * layer.batch * layer.channels[0] * math.prod(layer.size) / device.bandwidth
    weights = found.weights * found.blocks.windows / 8 * device.bandwidth / device.shared_bandwidth
    return floor * (2 * found.above_floor(device) + max(found.moved, weights))


def seconds(passes: Iterable[Pass], device: Device) -> float:
    """Of all of them, one after the other."""
    return sum(one.seconds(device) for one in passes)


def in_one_kernel(layer: Layer, device: Device) -> float | None:
    """Where torch.fft transforms maps there is nothing to put into one kernel."""
    if layer.groups == 1 or plan_of(layer).route == "torch":
        return None
    return seconds(fused(layer), device)


IDEAS: dict[str, Callable[[Layer, Device], float | None]] = {
    "depthwise layers in one kernel of Triton": in_one_kernel,
    "depthwise layers by engine `cuda`, which exists": by_cuda,
    "one spectrum of the taps for result and gradient": lambda layer, device: seconds(
        without(layer, "taps", 1), device
    ),
    "three real products for a complex one": lambda layer, device: seconds(three_products(layer), device),
}
KINDS = {"2-D dense": (2, False), "2-D depthwise": (2, True), "1-D dense": (1, False), "1-D depthwise": (1, True)}


def savings() -> str:
    """What would be left of the bounds: geometric means over the layers it changes, with the least and the largest."""
    rows = []
    for idea, changed in IDEAS.items():
        for device in DEVICES:
            cells = [idea, device.name]
            for ndim, depthwise in KINDS.values():
                some = [one for one in all_layers() if len(one.size) == ndim and (one.groups > 1) == depthwise]
                now = {one: seconds(passes(one), device) for one in some}
                left = [new / now[one] for one in some if (new := changed(one, device)) is not None]
                cells.append(f"{geometric_mean(left):.2f} ({min(left):.2f} to {max(left):.2f})" if left else "")
            rows.append(cells)
    return document.table(["what would be built", "device", *KINDS], rows)


def main() -> None:
    document.replace(document.GPU, "ideas", savings())


if __name__ == "__main__":
    main()
