# SPDX-License-Identifier: BSD-3-Clause
"""The operators within a step, timed apart with the operands they had in it.

Where nobody watches, engines may compute both gradients of the mixing, and both of the convolution, in one pass: their
sum may be above the step.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from dash_kernels.engines import MixProblem, choose
from dash_kernels.ops._register import DESCRIBE

from .results import Stage
from .timing import Contestant, median
from .work import work

CALLS = 3


class Recorder(TorchDispatchMode):
    """Notes every call of an operator of the library."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in DESCRIBE:
            self.calls.append((func, args))
        return func(*args, **(kwargs or {}))


def measure(contestant: Contestant) -> tuple[Stage, ...]:
    """Each operator that a step calls: the median of some calls of its engine after one that warms up."""
    contestant.refresh()
    recorder = Recorder()
    with recorder:
        contestant.backward(contestant.forward())
    stages = []
    for func, args in recorder.calls:
        kind, *fields = DESCRIBE[func](*args)
        problem = kind(*fields)
        engine = choose(problem, args[-1])
        operator = getattr(engine, problem.operator)
        seconds = []
        for _ in range(CALLS + 1):
            start = time.perf_counter()
            operator(*args[:-1])
            seconds.append(time.perf_counter() - start)
        if isinstance(problem, MixProblem):  # weights whose tap reaches no pixel are neither read nor summed
            problem = replace(problem, packed=sum(tap >= 0 for tap in args[2]))
        stages.append(Stage(problem.operator, engine.name, round(median(seconds[1:]), 7), work(problem, engine.name)))
    return tuple(stages)


def together(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """One for all calls of an operator by an engine."""
    found: dict[tuple[str, str], Stage] = {}
    for stage in stages:
        before = found.get((stage.name, stage.engine))
        if before is not None:
            seconds = round(before.seconds + stage.seconds, 7)
            stage = replace(stage, seconds=seconds, work=before.work + stage.work)
        found[stage.name, stage.engine] = stage
    return tuple(found.values())
