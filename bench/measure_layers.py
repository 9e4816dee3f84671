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

# Arithmetic in one step that a rival may take: torch does 150 a nanosecond of it where a dense kernel is small, 2 where
# it is depthwise, and 5 where it is 121×121. Mixed results of dense layers decide a target, so they run in full.
LIMIT_DEPTHWISE, LIMIT_MIXED_WEIGHTS = 6e9, 25e9
BUDGET = 0.75  # seconds for the turns of each of them
WARM = 0.5  # from so many seconds a step on, a first one is not blurred by waking up
TRIAL = 32  # the memory format of a slow rival is chosen with this part of the batch


def measure_layer(layer: Layer, laps: int) -> Row:
    """Gate, turns, stages.

    Raises:
        WrongResult: Somebody computes something else.
    """
    main = LayerContestant(MIXED_CONV, layer, layer.batch)
    check_engine(layer, main)
    batches = {name: affordable(name, layer) for name in (MIXED_RESULTS, MIXED_WEIGHTS, TORCH_FFT)}
    absent = {name: "not run: too long for one sample" for name, batch in batches.items() if batch == 0}
    run = {name: batch for name, batch in batches.items() if batch > 0}
    check(layer, main, *(LayerContestant(name, layer, 1) for name in run))
    slow = [LayerContestant(name, layer, batch, faster_format(name, layer, batch)) for name, batch in run.items()]
    timed = contest([main, *plain_pair(layer, layer.batch)], slow, laps, BUDGET)
    return Row(layer.kind, layer.task, layer.name, layer.batch, timed, absent, stages.measure(main))


def affordable(name: str, layer: Layer) -> int:
    """The batch that a rival can be timed with, 0 for none."""
    if name == TORCH_FFT or (name == MIXED_RESULTS and layer.groups == 1):
        return layer.batch
    limit = LIMIT_DEPTHWISE if layer.groups > 1 else LIMIT_MIXED_WEIGHTS
    if name == MIXED_RESULTS:
        taps = sum(candidate.taps for candidate in layer.candidates)
    else:
        taps = math.prod(1 + max(c.reach[axis] for c in layer.candidates) for axis in range(len(layer.size)))
    return min(layer.batch, int(limit / layer.direct_flops(taps)))


def faster_format(name: str, layer: Layer, batch: int) -> str:
    """The one in which a part of the batch takes less, for the rival that decides a target."""
    if name != MIXED_RESULTS:
        return FORMATS[0]
    seconds = {}
    for form in FORMATS:
        trial = LayerContestant(name, layer, max(1, batch // TRIAL), form)
        first = sum(step(trial))
        seconds[form] = first if first >= WARM else sum(step(trial))
    return min(seconds, key=seconds.__getitem__)
