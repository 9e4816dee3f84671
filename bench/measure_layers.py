# SPDX-License-Identifier: BSD-3-Clause
"""One layer, forward and backward: MixedConv beside the plain convolution and three other ways to mix."""

from __future__ import annotations

import math

from . import stages
from .gate import check, check_engine
from .layers import Layer
from .results import Row
from .rivals import MIXED_CONV, MIXED_RESULTS, MIXED_WEIGHTS, TORCH_FFT, LayerContestant, plain_pair
from .timing import FORMATS, contest, step

# Arithmetic in one step that a rival may take: torch does 150 of these a nanosecond where a dense kernel is small, 2
# where it is depthwise, and 5 where it is 121×121. Mixed results of dense layers decide a target, so they run in full.
LIMITS = {"depthwise": 6e9, MIXED_WEIGHTS: 25e9}
BUDGET = 1.5  # seconds for the turns of each of them
TRIAL = 16  # the memory format of a slow rival is chosen with this part of the batch


def measure_layer(layer: Layer, laps: int) -> Row:
    """Gate, turns, stages.

    Raises:
        WrongResult: Somebody computes something else.
    """
    main = LayerContestant(MIXED_CONV, layer, layer.batch)
    check_engine(layer, main)
    check(layer, main)
    slow, absent = [], {}
    for name in (MIXED_RESULTS, MIXED_WEIGHTS, TORCH_FFT):
        batch = affordable(name, layer)
        if batch == 0:
            absent[name] = "not run: minutes for a sample"
            continue
        check(layer, LayerContestant(name, layer, 1))
        slow.append(LayerContestant(name, layer, batch, faster_format(name, layer, batch)))
    timed = contest([main, *plain_pair(layer, layer.batch)], slow, laps, BUDGET)
    return Row(layer.kind, layer.task, layer.name, layer.batch, timed, absent, stages.measure(main))


def affordable(name: str, layer: Layer) -> int:
    """The batch that a rival can be timed with, 0 for none."""
    if name == MIXED_RESULTS and layer.groups > 1:
        limit, taps = LIMITS["depthwise"], sum(candidate.taps for candidate in layer.candidates)
    elif name == MIXED_WEIGHTS:
        widest = (1 + max(c.reach[axis] for c in layer.candidates) for axis in range(len(layer.size)))
        limit, taps = LIMITS[MIXED_WEIGHTS], math.prod(widest)
    else:
        return layer.batch
    return min(layer.batch, int(limit / layer.direct_flops(taps)))


def faster_format(name: str, layer: Layer, batch: int) -> str:
    """The one in which a part of the batch takes less, for the rival that decides a target."""
    if name != MIXED_RESULTS:
        return FORMATS[0]
    seconds = {}
    for form in FORMATS:
        trial = LayerContestant(name, layer, max(1, batch // TRIAL), form)
        step(trial)
        seconds[form] = sum(step(trial))
    return min(seconds, key=seconds.__getitem__)
