# SPDX-License-Identifier: BSD-3-Clause
"""Mixed layers of channels_last maps beside contiguous ones, in turns: `python -m bench.formats`."""

from __future__ import annotations

from collections import defaultdict

from .layers import all_layers
from .rivals import MIXED_CONV, LayerContestant
from .timing import FORMATS, contest, geometric_mean, median

LAPS = 9


def main() -> None:
    ratios: dict[str, list[float]] = defaultdict(list)
    for layer in all_layers():
        if len(layer.size) == 1:
            continue  # torch has no such format there
        timed = contest([LayerContestant(MIXED_CONV, layer, layer.batch, form, form) for form in FORMATS], [], LAPS)
        contiguous, last = (median(timed[form].both) for form in FORMATS)
        ratios[layer.kind].append(last / contiguous)
        print(
            f"{layer.name}: {1e3 * contiguous:.2f} and {1e3 * last:.2f} ms, ratio {last / contiguous:.2f}", flush=True
        )
    for kind, values in ratios.items():
        mean, most = geometric_mean(values), max(values)
        print(f"{kind}: {mean:.3f} in geometric mean of {len(values)}, at most {most:.2f}")


if __name__ == "__main__":
    main()
