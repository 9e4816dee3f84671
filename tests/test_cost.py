# SPDX-License-Identifier: BSD-3-Clause
"""The cost model: weighed against recorded times, asked about every kind of problem, and what is said of it."""

from __future__ import annotations

import functools
import itertools
import math
import statistics
from dataclasses import replace

import pytest
import torch

import dash_kernels as dk
from bench import engine_times
from dash_kernels._load import LOAD
from dash_kernels.engines import MixProblem, Problem
from dash_kernels.engines.cost import direct_work, fourier_work
from dash_kernels.engines.direct import DirectEngine
from dash_kernels.engines.fourier import FourierEngine
from dash_kernels.engines.reference import ReferenceEngine

FOURIER, DIRECT = FourierEngine(), DirectEngine()
OPERATORS = ("tap_conv", "tap_conv_input_grad", "tap_conv_weight_grad")
NINE = tuple(itertools.chain.from_iterable(itertools.product((-1, 0, 1), repeat=2)))
SMALL = Problem("tap_conv", "cpu", torch.float32, 4, 6, 8, 2, (9, 12), (9, 12), (1, 1), NINE, False)


@functools.cache
def recorded() -> list[engine_times.Weighed]:
    return engine_times.weighed()


def predicted(engine: FourierEngine | DirectEngine, problem: Problem) -> float:
    seconds = engine.predict(problem)
    assert seconds is not None and math.isfinite(seconds) and seconds > 0
    return seconds


def test_the_choice_is_near_the_faster_engine_for_every_recorded_layer() -> None:
    losses = engine_times.losses(recorded())
    report = engine_times.report(recorded())
    assert len(losses) > 350
    assert statistics.geometric_mean(losses.values()) < 1.02
    assert max(losses.values()) < 1.3, report
    assert report.startswith("388 layers") and f"{max(losses.values()):.2f}: " in report


def test_the_choice_is_good_for_single_passes() -> None:
    losses = [one.took / one.best for one in recorded()]
    assert max(losses) < 1.6
    assert sum(losses) / len(losses) < 1.02
    assert sum(loss > 1.3 for loss in losses) < 0.01 * len(losses)


def test_predictions_are_near_recorded_times() -> None:
    for one in recorded():
        trial = one.trial
        assert 0.4 < one.fourier / trial.fourier < 2.5 and 0.4 < one.direct / trial.direct < 2.5, trial


def test_either_engine_is_the_faster_one_somewhere() -> None:
    assert {one.direct < one.fourier for one in recorded()} == {True, False}


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("circular", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("stride", [1, 2, 7])
def test_every_kind_of_problem_has_a_prediction(operator: str, circular: bool, dtype: torch.dtype, stride: int) -> None:
    out = tuple(-(-n // stride) for n in SMALL.input_size)
    problem = replace(SMALL, operator=operator, circular=circular, dtype=dtype, stride=(stride,) * 2, out_size=out)
    for engine in (FOURIER, DIRECT):
        assert predicted(engine, replace(problem, batch=64)) > predicted(engine, problem)
        assert predicted(engine, replace(problem, in_channels=60, out_channels=80)) > predicted(engine, problem)


def test_degenerate_problems_have_a_prediction() -> None:
    far = replace(SMALL, offsets=(100, 100))
    for problem in (far, replace(SMALL, batch=1, in_channels=1, out_channels=1, groups=1, input_size=(1, 1))):
        for engine in (FOURIER, DIRECT):
            predicted(engine, problem)
    predicted(DIRECT, replace(SMALL, input_size=(3, 4, 5), out_size=(3, 4, 5), stride=(1, 1, 1), offsets=(0, 0, 1)))


def test_more_taps_cost_direct_sums_more() -> None:
    lattice = tuple(itertools.chain.from_iterable(itertools.product(range(-4, 5), repeat=2)))
    assert predicted(DIRECT, replace(SMALL, offsets=lattice)) > predicted(DIRECT, SMALL)


def test_a_source_that_leaves_the_second_level_cache_is_fetched_from_farther() -> None:
    near = replace(SMALL, groups=1, batch=64, in_channels=64, out_channels=4, input_size=(12, 12), out_size=(12, 12))
    wider = replace(near, input_size=(24, 24), out_size=(24, 24))  # 16 samples of 64 maps: 0.6 and 2.4 MB
    assert direct_work(near)["far"] == 0
    assert direct_work(wider)["far"] == direct_work(wider)["fetch"] > 0


def test_lanes_of_neighbouring_units_are_gathered_map_by_map() -> None:
    depthwise = replace(SMALL, batch=8, in_channels=8, out_channels=8, groups=8)
    assert direct_work(depthwise)["map"] == 2 * 8 * 8 / 16
    assert direct_work(replace(depthwise, groups=1))["map"] == 0


def test_spectra_of_dense_series_are_written_and_read() -> None:
    series = replace(SMALL, in_channels=6, out_channels=8, groups=1, input_size=(100,), out_size=(100,), stride=(1,))
    series = replace(series, offsets=(-1, 0, 1))
    lengths = (108,)
    assert fourier_work(series, lengths, False)["series"] == 4 * (6 + 8) * 54 / 16
    strided = replace(series, stride=(2,), out_size=(50,))
    assert fourier_work(strided, lengths, False)["series"] == 4 * (6 * 54 + 8 * 27) / 16
    depthwise = replace(series, in_channels=8, groups=8)
    assert fourier_work(depthwise, lengths, False)["series"] == 0
    assert FOURIER.work(replace(SMALL, groups=1))["series"] == 0


def test_mixing_and_the_reference_have_none() -> None:
    mix = MixProblem("mix_taps", "cpu", torch.float32, 12, 6, 5, 2)
    assert FOURIER.predict(mix) is None and DIRECT.predict(mix) is None
    assert ReferenceEngine().predict(SMALL) is None


@pytest.mark.skipif(LOAD.error is not None, reason=str(LOAD.error))
def test_explain_tells_the_predictions() -> None:
    space = {"kernel_sizes": (3, 5, 7, 9), "dilations": (1, 3, 7, 15)}
    strided = dk.explain(dk.MixedConv2d(64, 64, **space, stride=2, groups=64), (64, 64, 16, 16))
    dense = dk.explain(dk.MixedConv2d(16, 16, **space), (64, 16, 32, 32))
    for report, chosen, other in ((strided, "direct", "fourier"), (dense, "fourier", "direct")):
        rows = {row.engine: row for row in report.rows if row.stage == "forward"}
        assert rows[chosen].chosen and rows[chosen].reason == "expected to be the fastest"
        times = rows[chosen].predicted, rows[other].predicted
        assert times[0] is not None and times[1] is not None
        assert rows[other].reason == f"expected to take {times[1] / times[0]:.3g} times as long"
        assert f"{1e3 * times[1]:.3g}" in str(report)


@pytest.mark.skipif(LOAD.error is not None, reason=str(LOAD.error))
def test_predict_time_tells_what_the_engines_predict() -> None:
    layer = dk.MixedConv1d(4, 6, kernel_sizes=(3, 5), dilations=(1, 7), engine="fourier")
    seconds = dk.predict_time(layer, (8, 4, 50))
    passes = ["mix_taps", "forward", "input_grad", "weight_grad", "gather_taps", "mixture_grad"]
    assert sorted(seconds) == sorted(passes)
    rows = dk.explain(layer, (8, 4, 50)).rows
    for stage in ("forward", "input_grad", "weight_grad"):
        assert set(seconds[stage]) == {"fourier", "direct"}
        assert seconds[stage] == {row.engine: row.predicted for row in rows if row.stage == stage and row.predicted}
