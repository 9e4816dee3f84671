# SPDX-License-Identifier: BSD-3-Clause
"""The model of torch's own convolution, and the choice between it and the engines, weighed against recorded times."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import replace

import pytest
import torch

from bench import engine_times
from dash_kernels.calibrate import Trial
from dash_kernels.calibrate.trials import DIRECT, FOURIER
from dash_kernels.engines import Convolution, Problem, weigh
from dash_kernels.engines.torch_cost import Kernel, kernel
from dash_kernels.engines.trial import torch_call
from dash_kernels.engines.weighing import predict_torch

OPERATORS = ("tap_conv", "tap_conv_input_grad", "tap_conv_weight_grad")


def flat(*axes: range | tuple[int, ...]) -> tuple[int, ...]:
    return tuple(itertools.chain.from_iterable(itertools.product(*axes)))


def test_regular_kernels_are_known_by_their_taps() -> None:
    assert kernel(flat(range(-3, 6, 3), range(-1, 1)), 2) == Kernel((3, 2), (3, 1), (3, 1))
    assert kernel((0, 0, 0), 3) == Kernel((1, 1, 1), (1, 1, 1), (0, 0, 0))
    assert kernel((-2, 0, 1), 1) is None
    assert kernel((0, 0, 0, 1, 1, 0), 2) is None
    assert kernel((0, 0), 1) is None


def test_predictions_are_near_recorded_times() -> None:
    ratios = sorted(1e3 * predict_torch(row.problem) / row.torch for row in engine_times.read() if row.torch)
    assert len(ratios) > 500
    count = len(ratios)
    assert 0.85 < ratios[count // 2] < 1.15
    assert ratios[count // 20] > 0.4 and ratios[-count // 20] < 2.2


def chosen(problem: Problem, row: Trial) -> tuple[float, float]:
    """What the engines are predicted and recorded to take if the faster one is taken."""
    pairs = [(FOURIER.predict(problem), row.fourier)] if row.fourier else []
    pairs += [(DIRECT.predict(problem), row.direct)]
    known = [(1e3 * predicted, took) for predicted, took in pairs if predicted is not None]
    return min(known)


def test_the_choice_between_torch_and_engines_is_good_on_recorded_times() -> None:
    layers: dict[object, list[tuple[float, float, float, float]]] = defaultdict(list)
    for row in engine_times.read():
        if row.torch:
            layers[row.layer].append((*chosen(row.problem, row), 1e3 * predict_torch(row.problem), row.torch))
    losses = []
    for passes in layers.values():
        assert len(passes) == 3
        engines, by_engines, torchs, by_torch = map(sum, zip(*passes, strict=True))
        losses.append((by_engines if engines < torchs else by_torch) / min(by_engines, by_torch))
    assert sum(map(math.log, losses)) / len(losses) < math.log(1.05)
    assert sum(loss > 1.3 for loss in losses) < 0.05 * len(losses)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("groups", [1, 2, 24])
@pytest.mark.parametrize(("size", "stride"), [((50,), 1), ((14, 15), 2), ((5, 6, 7), 1), ((1, 1), 1)])
def test_every_kind_of_problem_has_a_prediction(
    operator: str, dtype: torch.dtype, groups: int, size: tuple[int, ...], stride: int
) -> None:
    ndim, out = len(size), tuple(-(-n // stride) for n in size)
    taps = flat(*(range(-2, 3, 2),) * ndim)
    problem = Problem(operator, "cpu", dtype, 4, 24, 24, groups, size, out, (stride,) * ndim, taps, False)
    seconds = predict_torch(problem)
    assert 0 < seconds < math.inf
    assert predict_torch(replace(problem, batch=64)) > seconds
    assert predict_torch(replace(problem, batch=0)) > 0
    result = torch_call(problem).call()
    if operator == "tap_conv":
        assert isinstance(result, torch.Tensor) and tuple(result.shape[2:]) == out


def convolution(**changed: object) -> Convolution:
    fields: dict[str, object] = dict(
        device="cpu", dtype=torch.float32, batch=4, in_channels=4, out_channels=6, groups=2, size=(20, 30),
        kernel_size=(3, 5), dilation=(2, 1), stride=(1, 2), before=(2, 2), after=(2, 2), circular=False, threaded=False,
    )  # fmt: skip
    return Convolution(**{**fields, **changed})  # type: ignore[arg-type]


def test_torch_is_given_what_it_can_pad() -> None:
    same = weigh(convolution())
    assert same.problems == same.plain
    assert [problem.operator for problem in same.problems] == list(OPERATORS)
    problem = same.problems[0]
    assert (problem.input_size, problem.out_size, problem.num_taps) == ((20, 30), (20, 15), 15)
    assert problem.offsets[:2] == (-2, -2) and problem.offsets[-2:] == (2, 2)
    for changed in (convolution(circular=True), convolution(after=(0, 2))):
        weighed = weigh(changed)
        assert weighed.problems[0].input_size == (20, 30) and weighed.problems[0].circular == changed.circular
        plain = weighed.plain[0]
        assert plain.input_size == (22 + changed.after[0], 34) and plain.offsets[:2] == (0, 0) and not plain.circular
        assert plain.out_size == weighed.problems[0].out_size


def test_a_kernel_wider_than_the_input_is_nobodys() -> None:
    weighed = weigh(convolution(size=(4, 4), before=(0, 0), after=(0, 0)))
    assert weighed.problems == () and not weighed.engine_is_faster


def test_threads_make_torch_slower_only() -> None:
    one, two = weigh(convolution()), weigh(convolution(threaded=True))
    assert one.engines == two.engines
    assert one.torch is not None and two.torch is not None and two.torch > one.torch
