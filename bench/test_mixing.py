# SPDX-License-Identifier: BSD-3-Clause
"""Microbenchmarks: naive and Fourier mixing of the same candidates, one step of a layer each, under pytest-benchmark.

`make bench` runs them; the options of pytest-benchmark save a run, compare it with an earlier one, and draw histograms.
"""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from .gate import check
from .layers import Layer, all_layers
from .rivals import MIXED_CONV, MIXED_RESULTS, MIXED_WEIGHTS, TORCH_FFT, LayerContestant
from .tasks import TASKS

BATCH = 4  # small enough for the one kernel of 121x121 pixels that mixed weights sums up
ROUNDS = {MIXED_CONV: 15, TORCH_FFT: 5, MIXED_RESULTS: 5, MIXED_WEIGHTS: 1}
QUICK = {task.name for task in TASKS if task.quick}
LAYERS = [layer for layer in all_layers() if layer.task in QUICK and layer.kind == "dense" and layer.channels[0] > 3]


@pytest.mark.parametrize("way", ROUNDS)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_step(layer: Layer, way: str, benchmark: BenchmarkFixture) -> None:
    benchmark.group = f"{layer.name}, batch cut to {BATCH}"
    contestant = LayerContestant(way, layer, BATCH)
    check(layer, contestant)

    def step() -> None:
        contestant.backward(contestant.forward())

    benchmark.pedantic(step, setup=contestant.refresh, rounds=ROUNDS[way])
