# SPDX-License-Identifier: BSD-3-Clause
"""Timing in turns: contestants alternate in one process, so that a drifting machine drifts for all of them alike."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .rivals import Contestant


@dataclass(frozen=True)
class Sample:
    """Seconds of one step."""

    forward: float
    backward: float

    @property
    def both(self) -> float:
        return self.forward + self.backward


def timed_step(contestant: Contestant) -> Sample:
    """One forward and one backward pass. Call ``contestant.refresh()`` before, outside of the time."""
    start = time.perf_counter()
    y = contestant.forward()
    middle = time.perf_counter()
    y.backward(contestant.grad)
    return Sample(middle - start, time.perf_counter() - middle)


class Race:
    """One contestant against its rivals, in laps: the rivals that have a turn in this lap, then the contestant.

    Args:
        main: Has a turn in every lap.
        rivals: The others.
        turns: For each rival, in how many of the laps it has a turn; they are spread evenly.
        laps: As many as the main contestant has turns.
    """

    def __init__(self, main: Contestant, rivals: Sequence[Contestant], turns: Sequence[int], laps: int) -> None:
        self.main, self.rivals, self.turns, self.laps = main, rivals, turns, laps
        self.lap = 0
        self.main_samples: list[Sample] = []
        self.rival_samples: list[list[Sample]] = [[] for _ in rivals]

    def rivals_turn(self) -> None:
        self.lap += 1
        for rival, turns, samples in zip(self.rivals, self.turns, self.rival_samples, strict=True):
            if len(samples) < round(self.lap * turns / self.laps):
                rival.refresh()
                samples.append(timed_step(rival))
        self.main.refresh()

    def main_turn(self) -> None:
        self.main_samples.append(timed_step(self.main))


def median(seconds: Sequence[float]) -> float:
    return float(np.median(seconds))


def ratio(above: Sequence[float], below: Sequence[float], resamples: int = 2000) -> tuple[float, float, float]:
    """Ratio of medians and the bounds of its 95 % bootstrap interval, each side resampled by itself."""
    random = np.random.default_rng(0)

    def medians(values: Sequence[float]) -> np.ndarray:
        picked = random.choice(np.asarray(values), (resamples, len(values)))
        return np.median(picked, axis=1)

    low, high = np.quantile(medians(above) / medians(below), (0.025, 0.975))
    return median(above) / median(below), float(low), float(high)


def geometric_mean(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))
