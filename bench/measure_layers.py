# SPDX-License-Identifier: BSD-3-Clause
"""One layer, forward and backward: MixedConv beside the plain convolution and three other ways to mix."""

from __future__ import annotations

import math
from dataclasses import replace

from . import stages
from .fft_composite import plan
from .gate import check, check_engine
from .layers import Layer
from .results import Row
from .rivals import MIXED_CONV, MIXED_RESULTS, MIXED_WEIGHTS, TORCH_FFT, LayerContestant, plain_pair
from .timing import FORMATS, contest, trial

# Arithmetic in one step that a rival may take, a second or two of torch's time: 60 a nanosecond in dense kernels, 2
# where they are depthwise or 121×121, 4 in transforms. Mixed results of "dense" layers decide a target: no limit there.
LIMIT_STRIDED, LIMIT_DEPTHWISE, LIMIT_MIXED_WEIGHTS, LIMIT_KERNEL_TRANSFORMS = 100e9, 3e9, 4e9, 8e9
BUDGET = 0.75  # seconds for the turns of each of them
TRIAL = 32  # the memory format of a slow rival is chosen with this part of the batch, and one kernel size


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
    return Row(layer.kind, layer.task, layer.name, layer.batch, timed, absent, {MIXED_CONV: stages.measure(main)})


def affordable(name: str, layer: Layer) -> int:
    """The batch that a rival can be timed with, 0 for none."""
    if name == MIXED_RESULTS and layer.kind == "dense":
        return layer.batch
    if name == TORCH_FFT:  # most of it is the kernels' transforms, which a smaller batch does not spare
        points = math.prod(plan(layer.candidates, layer.size)[0])
        return layer.batch if 3 * 2.5 * layer.pairs * points * math.log2(points) <= LIMIT_KERNEL_TRANSFORMS else 0
    if name == MIXED_RESULTS:
        limit = LIMIT_STRIDED
        taps = sum(candidate.taps for candidate in layer.candidates)
    else:
        limit = LIMIT_MIXED_WEIGHTS
        taps = math.prod(1 + max(c.reach[axis] for c in layer.candidates) for axis in range(len(layer.size)))
    if layer.groups > 1:
        limit = LIMIT_DEPTHWISE
    return min(layer.batch, int(limit / layer.direct_flops(taps)))


def faster_format(name: str, layer: Layer, batch: int) -> str:
    """The one in which a part of the work takes less, for the rival that decides a target."""
    if name != MIXED_RESULTS:
        return FORMATS[0]
    part = replace(layer, kernel_sizes=layer.kernel_sizes[len(layer.kernel_sizes) // 2 :][:1])
    batch = max(1, batch // TRIAL)
    return min(FORMATS, key=lambda form: trial(LayerContestant(name, part, batch, form)))
