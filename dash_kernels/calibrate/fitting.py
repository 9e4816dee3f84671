# SPDX-License-Identifier: BSD-3-Clause
"""From measured times to the constants that explain them best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..engines import cost
from ..engines.calibration import SHIPPED, Constants
from ..engines.torch_cost import torch_work
from .trials import FOURIER, Trial

Numbers = NDArray[np.float64]
ROUNDS, SWEEPS = 20, 1000
PULL = 1.0
"""A constant that is twice its prior weighs as much as so many predictions that are twice what was measured."""


def fit(trials: Sequence[Trial], prior: Constants | None = None) -> dict[str, dict[str, float]]:
    """By name in ``calibration.SHIPPED`` the nanoseconds with which predictions are nearest in relative terms.

    Args:
        trials: What was measured.
        prior: Constants to stay near where the times are too few to say otherwise: those of a name are multiplied by
            what the machine is slower or faster by, then each is moved as far as the times tell.

    Returns:
        Constants like the prior, none below zero.
    """
    work = _work(trials)
    return {name: _fit(list(SHIPPED[name]), work[name], None if prior is None else prior[name]) for name in SHIPPED}


def error(trials: Sequence[Trial], constants: Constants) -> float:
    """By what part a prediction is off, in the middle of all that were measured."""
    logs = [
        abs(math.log(1e3 * cost.seconds(work, constants[name]) / milliseconds))
        for name, pairs in _work(trials).items()
        for work, milliseconds in pairs
    ]
    return math.expm1(float(np.median(logs)))


def _work(trials: Sequence[Trial]) -> dict[str, list[tuple[Mapping[str, float], float]]]:
    """By name the counts of what was done, and the milliseconds it took."""
    problems = [(trial, trial.problem) for trial in trials]
    return {
        "FOURIER": [(FOURIER.work(problem), trial.fourier) for trial, problem in problems if trial.fourier],
        "DIRECT": [(cost.direct_work(problem), trial.direct) for trial, problem in problems if trial.direct],
        "TORCH": [(torch_work(problem), trial.torch) for trial, problem in problems if trial.torch],
    }


def _fit(
    things: Sequence[str], trials: Sequence[tuple[Mapping[str, float], float]], prior: Mapping[str, float] | None
) -> dict[str, float]:
    counts = np.array([[work[thing] for thing in things] for work, _ in trials])
    times = 1e6 * np.array([milliseconds for _, milliseconds in trials])
    before = np.array([prior[thing] for thing in things]) if prior else None
    if before is not None:
        before = before * np.median(times / (counts @ before))
    constants, predicted = before, times
    for _ in range(ROUNDS):  # dividing by the root of both makes too high and too low alike
        weights = 1 / np.sqrt(predicted * times)
        constants = _least_squares(counts * weights[:, None], times * weights, before)
        predicted = np.maximum(counts @ constants, 1e-3 * times)
    assert constants is not None
    return dict(zip(things, map(float, constants), strict=True))


def _least_squares(matrix: Numbers, wanted: Numbers, before: Numbers | None) -> Numbers:
    """The least squares of ``matrix @ x - wanted`` over x >= 0, by turns for one x at a time."""
    if before is not None:
        pulls = np.diag(PULL / np.maximum(before, 1e-9))
        matrix, wanted = np.vstack([matrix, pulls]), np.concatenate([wanted, np.full(len(before), PULL)])
    scale = np.maximum(np.linalg.norm(matrix, axis=0), 1e-30)
    matrix = matrix / scale
    products, aims = matrix.T @ matrix, matrix.T @ wanted
    x: Numbers = np.maximum(np.linalg.lstsq(matrix, wanted, rcond=None)[0], 0)
    for _ in range(SWEEPS):
        for i in range(len(x)):
            if products[i, i] > 0:  # a thing that no trial does
                x[i] = max(0.0, x[i] - (products[i] @ x - aims[i]) / products[i, i])
    x /= scale
    return x
