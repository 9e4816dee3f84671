# SPDX-License-Identifier: BSD-3-Clause
"""What holds a step back: how long its operators' work would take at the machine's peaks, beside what they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from .results import Memory, Row, Stage
from .timing import geometric_mean, median

MIXING = ("mix_taps", "gather_taps", "mixture_grad")


@dataclass(frozen=True)
class Bound:
    """Seconds of some operators of a step, and of their parts at the peaks.

    Attributes:
        operators: What they take.
        memory, products, transforms: What their work would take at the peaks, each alone.
        floor: What all of it would take, operator by operator: the longer one of memory and arithmetic.
    """

    operators: float
    memory: float
    products: float
    transforms: float
    floor: float

    @property
    def by(self) -> str:
        """The part that would take longest; arithmetic is both of its parts."""
        if self.memory > self.products + self.transforms:
            return "memory"
        return "products" if self.products >= self.transforms else "transforms"


def bound(stages: Sequence[Stage], peaks: Mapping[str, float]) -> Bound:
    parts = [stage.work.floors(peaks) for stage in stages]
    memory, products, transforms = (sum(part) for part in zip(*parts, strict=True))
    floor = sum(stage.work.floor(peaks) for stage in stages)
    return Bound(sum(stage.seconds for stage in stages), memory, products, transforms, floor)


def summary(rows: Sequence[Row], peaks: Mapping[str, float]) -> dict[str, str]:
    """Where the time of these rows goes, by part, every row counting alike; empty if nobody looked into them.

    Shares are of the steps, quotients have the faster plain one below.
    """
    rows = [row for row in rows if row.main in row.stages]
    if not rows:
        return {}
    found = [bound(row.stages[row.main], peaks) for row in rows]
    steps = [median(row.timed[row.main].both) for row in rows]
    outside = [step - b.operators for step, b in zip(steps, found, strict=True)]
    by = [b.by for b in found]
    parts = {
        "operators": _share([b.operators for b in found], steps),
        "at peak": _share([b.floor for b in found], steps),
        "transforms": _share([b.transforms for b in found], steps),
        "products": _share([b.products for b in found], steps),
        "memory": _share([b.memory for b in found], steps),
        "outside": _share(outside, steps),
        "bound": ", ".join(f"{name} {by.count(name)}" for name in ("transforms", "products", "memory") if name in by),
    }
    plain = [median(row.timed[row.faster_plain()].both) if row.plains else 0.0 for row in rows]
    if all(plain):
        parts["at peak ÷ plain"] = f"{geometric_mean([b.floor / p for b, p in zip(found, plain, strict=True)]):.2f}"
        parts["outside ÷ plain"] = f"{mean(o / p for o, p in zip(outside, plain, strict=True)):.2f}"
    return parts


def difference(row: Row, above: str, below: str) -> str:
    """By operator, what one column takes more than another; empty if nobody looked into both."""
    if above not in row.stages or below not in row.stages:
        return ""
    more = {stage.name: stage.seconds for stage in row.stages[above]}
    for stage in row.stages[below]:
        more[stage.name] = more.get(stage.name, 0.0) - stage.seconds
    parts = ", ".join(f"{name} {1e3 * seconds:+.2f}" for name, seconds in more.items())
    whole = median(row.timed[above].both) - median(row.timed[below].both)
    return f"{row.name}: {1e3 * whole:+.2f} ms, of which {parts}"


def consists(name: str, memory: Memory) -> str:
    """The parts of a peak, in words."""
    parts = {
        "activations": memory.activations, "taps": memory.taps, "workspace": memory.workspace,
        "gradients on their way and scratch": memory.rest,
    }  # fmt: skip
    text = " + ".join(f"{part} {size / 2**20:.0f}" for part, size in parts.items())
    return f"{name} {memory.peak / 2**20:.0f} MiB = {text}"


def _share(parts: Sequence[float], wholes: Sequence[float]) -> str:
    """The mean of the quotients, so that every row counts alike."""
    return f"{100 * mean(a / b for a, b in zip(parts, wholes, strict=True)):.0f} %"
