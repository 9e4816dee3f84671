# SPDX-License-Identifier: BSD-3-Clause
"""Timing in turns: contestants alternate in one process, so that a drifting machine drifts for all of them alike."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FORMATS = ("contiguous", "channels last")

LEVELS = (0.025, 0.975)
RESAMPLES = 2000
WARM = 0.5  # from so many seconds a step on, a first one is not blurred by waking up


class Contestant(ABC):
    """Somebody who takes steps.

    Attributes:
        label: Whose column of the table it is.
        batch: Samples per step.
        memory_format: One of :data:`FORMATS`.
    """

    def __init__(self, label: str, batch: int, memory_format: str) -> None:
        self.label, self.batch, self.memory_format = label, batch, memory_format

    @abstractmethod
    def refresh(self) -> None:
        """Makes everything new, so that nothing computed in an earlier step can be used again; not timed."""

    @abstractmethod
    def forward(self) -> Any:
        """The first part of a step."""

    @abstractmethod
    def backward(self, output: Any) -> None:
        """The rest of it."""


@dataclass(frozen=True)
class Timed:
    """Seconds of each step of a contestant, rounded to a tenth of a microsecond."""

    batch: int
    memory_format: str
    forward: tuple[float, ...]
    backward: tuple[float, ...]

    @property
    def both(self) -> list[float]:
        return [f + b for f, b in zip(self.forward, self.backward, strict=True)]


def step(contestant: Contestant) -> tuple[float, float]:
    """Seconds of both parts of one step."""
    contestant.refresh()
    start = time.perf_counter()
    output = contestant.forward()
    middle = time.perf_counter()
    contestant.backward(output)
    return round(middle - start, 7), round(time.perf_counter() - middle, 7)


def trial(contestant: Contestant) -> float:
    """Seconds of a step, the second one if the first is short."""
    first = sum(step(contestant))
    return first if first >= WARM else sum(step(contestant))


def contest(
    main: Sequence[Contestant], others: Sequence[Contestant], laps: int, budget: float = 0.0
) -> dict[str, Timed]:
    """Lets everybody take steps.

    Args:
        main: Those who are compared: a step in every lap, in one order and back in the next.
        others: Slower rivals, with a step in as many of the laps as fit into ``budget``, or one step alone.
        laps: How many.
        budget: Seconds for each of the others.

    Returns:
        The steps by label. Left out are warm-ups: everybody's first step, unless it is the only one, which then took
        so long that waking up does not blur it.
    """
    taken: dict[Contestant, list[tuple[float, float]]] = {contestant: [] for contestant in (*main, *others)}
    turns = {contestant: laps for contestant in main}
    for contestant in (*others, *main):
        first = step(contestant)
        if contestant in others:
            turns[contestant] = min(laps, int(budget / sum(first)))
            if turns[contestant] <= 1:
                taken[contestant].append(first)
    for lap in range(laps):
        order = [c for c in (*others, *main) if len(taken[c]) < (lap + 1) * turns[c] // laps]
        for contestant in order if lap % 2 else reversed(order):
            taken[contestant].append(step(contestant))
    return {
        contestant.label: Timed(contestant.batch, contestant.memory_format, *map(tuple, zip(*steps, strict=True)))
        for contestant, steps in taken.items()
    }


def median(seconds: Sequence[float]) -> float:
    return float(np.median(seconds))


@dataclass(frozen=True)
class Ratio:
    """A ratio of medians, and the bounds of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def resampled_medians(values: Sequence[float], random: np.random.Generator) -> np.ndarray:
    medians: np.ndarray = np.median(random.choice(np.asarray(values), (RESAMPLES, len(values))), axis=1)
    return medians


def ratio(above: Sequence[float], below: Sequence[float]) -> Ratio:
    """Of the medians; each side is resampled by itself."""
    return mean_ratio([(above, below)])


def mean_ratio(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Ratio:
    """The geometric mean of the ratios of medians of some pairs, all of them resampled together."""
    random = np.random.default_rng(0)
    logs = [
        np.log(resampled_medians(above, random)) - np.log(resampled_medians(below, random)) for above, below in pairs
    ]
    low, high = np.exp(np.quantile(np.mean(logs, axis=0), LEVELS))
    value = geometric_mean([median(above) / median(below) for above, below in pairs])
    return Ratio(value, float(low), float(high))


def geometric_mean(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))
