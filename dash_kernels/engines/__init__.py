# SPDX-License-Identifier: BSD-3-Clause
"""The engines that compute the operators, and the choice among them."""

from .engine import Engine
from .numbers import numbers
from .problem import MixProblem, Problem
from .registry import ENGINES, Survey, choose, choose_in_force, engines, named, resolve, survey, use_engine
from .weighing import Convolution, Weighing, weigh

__all__ = [
    "Convolution",
    "Weighing",
    "weigh",
    "ENGINES",
    "Engine",
    "MixProblem",
    "Problem",
    "Survey",
    "choose",
    "choose_in_force",
    "engines",
    "named",
    "numbers",
    "resolve",
    "survey",
    "use_engine",
]
