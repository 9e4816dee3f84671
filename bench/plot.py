# SPDX-License-Identifier: BSD-3-Clause
"""A run as a picture: every row's ratios as bars, 1 being the plain convolution."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib import pyplot

from .results import Run
from .tables import OF_LAYERS, RATIOS, TITLES
from .targets import pair
from .timing import mean_ratio

COLOURS = ("tab:gray", "tab:blue")


def drawn(run: Run) -> list[str]:
    """The kinds that have two ratios."""
    return [kind for kind in run.kinds() if len(RATIOS.get(kind, OF_LAYERS)) > 1]


def save(run: Run, path: Path) -> None:
    """Draws both ratios of every kind that is :func:`drawn`, and there must be one, with their intervals."""
    matplotlib.use("Agg")  # to a file, whether there is a screen or not
    kinds = drawn(run)
    counts = [len(run.of_kind(kind)) for kind in kinds]
    figure, axes = pyplot.subplots(
        len(kinds), 1, figsize=(11, 2 + 0.28 * sum(counts) + 0.9 * len(kinds)), squeeze=False, height_ratios=counts,
        layout="constrained",
    )  # fmt: skip
    for axis, kind in zip(axes[:, 0], kinds, strict=True):
        rows = run.of_kind(kind)
        for number, (above, below) in enumerate(RATIOS.get(kind, OF_LAYERS)[:2]):
            found = [(place, mean_ratio([p])) for place, row in enumerate(rows) if (p := pair(row, above, below))]
            places = [place + 0.4 * (number - 0.5) for place, _ in found]
            values = [r.value for _, r in found]
            errors = [[r.value - r.low for _, r in found], [r.high - r.value for _, r in found]]
            axis.barh(places, values, 0.38, xerr=errors, color=COLOURS[number], label=f"{above} ÷ {below}")
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=7)
        axis.invert_yaxis()
        axis.set_title(TITLES[kind], fontsize=9)
        axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))  # beside the bars, not over them
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
