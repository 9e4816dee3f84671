# SPDX-License-Identifier: BSD-3-Clause
"""Mixed layers of channels_last maps beside contiguous ones, in turns: `python -m bench.formats`."""

from __future__ import annotations

from collections import defaultdict

from .layers import Layer, all_layers
from .rivals import MIXED_CONV, LayerContestant
from .tasks import K2, D
from .timing import FORMATS, contest, geometric_mean, median

LAPS = 9
HARD = tuple(
    Layer(task, 64, (channels, channels), (24, 24), kernel_sizes, dilations, groups=groups)
    for task, channels, groups in (("few", 8, 1), ("odd", 20, 1), ("groups", 32, 8), ("odd, depthwise", 20, 20))
    for kernel_sizes, dilations in ((K2, D), ((3,), (1,)))
)
"""Layers whose lanes do not fall on neighbouring channels, with many taps and with few."""


def main() -> None:
    ratios: dict[str, list[float]] = defaultdict(list)
    for layer in (*all_layers(), *HARD):
        if len(layer.size) == 1:
            continue  # torch has no such format there
        timed = contest([LayerContestant(MIXED_CONV, layer, layer.batch, form, form) for form in FORMATS], [], LAPS)
        contiguous, last = (median(timed[form].both) for form in FORMATS)
        ratios["hard" if layer in HARD else layer.kind].append(last / contiguous)
        times = f"{1e3 * contiguous:.2f} and {1e3 * last:.2f} ms"
        print(f"{layer.name}, k={layer.kernel_sizes}: {times}, ratio {last / contiguous:.2f}", flush=True)
    for kind, values in ratios.items():
        mean, most = geometric_mean(values), max(values)
        print(f"{kind}: {mean:.3f} in geometric mean of {len(values)}, at most {most:.2f}")


if __name__ == "__main__":
    main()
