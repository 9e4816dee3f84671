# SPDX-License-Identifier: BSD-3-Clause
"""Many candidates beside the widest one alone, and one large kernel beside torch and two packages."""

from __future__ import annotations

import math
from dataclasses import replace

from . import stages
from .gate import WrongResult, check, check_engine
from .layers import Layer
from .results import Row
from .rivals import DK_CONV, FFT_CONV_PYTORCH, TORCH_FFTCONV, LayerContestant, plain_pair
from .timing import contest, trial

MANY_CANDIDATES, LARGE_KERNEL = "many candidates", "large kernel"
MANY, WIDEST = "49 candidates", "widest alone"

SIZES, DILATIONS = (3, 5, 7, 9, 11, 13, 15), (1, 2, 3, 5, 7, 11, 15)
CANDIDATES = (
    Layer("1-D", 32, (64, 64), (1000,), SIZES, DILATIONS),
    Layer("2-D", 64, (16, 16), (32, 32), SIZES, DILATIONS),
)
KERNELS = (
    Layer("Darcy", 10, (32, 32), (85, 85), (9,), (15,)),
    Layer("PSICOV", 8, (64, 64), (128, 128), (9,), (15,)),
    Layer("ECG", 1024, (8, 8), (1000,), (19,), (15,)),
    Layer("DeepSEA", 256, (128, 128), (1000,), (19,), (15,)),
)
QUICK_KERNELS = KERNELS[2:3]

MORE = 5  # times as many laps: steps are short, and their ratio is near what is asked of it
BUDGET = 3.0  # seconds for the turns of each package, and of the slower plain one
PACKAGE_MEMORY = 1 << 30  # bytes of the largest tensor of a package; there are several of them in a step


def measure_candidates(layer: Layer, laps: int) -> Row:
    """All candidates, and the widest one, both by engine "fourier".

    Raises:
        WrongResult: One of them computes something else.
    """
    alone = replace(layer, kernel_sizes=layer.kernel_sizes[-1:], dilations=layer.dilations[-1:])
    pair = [
        LayerContestant("fourier", layer, layer.batch, label=MANY),
        LayerContestant("fourier", alone, layer.batch, label=WIDEST),
    ]
    for contestant, computed in zip(pair, (layer, alone), strict=True):
        check_engine(computed, contestant)
        check(computed, contestant)
    timed = contest(pair, [], MORE * laps)
    inside = {contestant.label: stages.measure(contestant) for contestant in pair}
    return Row(MANY_CANDIDATES, layer.task, layer.name, layer.batch, timed, stages=inside)


def measure_kernel(layer: Layer, laps: int) -> Row:
    """dk.Conv beside nn.Conv and the packages, which are timed with as much of the batch as they have memory for.

    The faster plain one decides, so the other takes few turns: half a minute of them would decide nothing.

    Raises:
        WrongResult: dk.Conv or nn.Conv computes something else.
    """
    plain = plain_pair(layer, layer.batch)
    main = LayerContestant(DK_CONV, layer, layer.batch)
    for contestant in (main, *plain):
        check(layer, contestant)
    check_engine(layer, main)
    faster, slower = sorted(plain, key=trial)
    # Both packages write out the product of every sample with every pair of channels before they sum over the channels.
    points = math.prod(n + c for n, c in zip(layer.size, layer.candidates[0].reach, strict=True)) // 2
    batch = min(layer.batch, max(1, PACKAGE_MEMORY // (8 * points * layer.pairs)))
    packages, absent = [], {}
    for name in (TORCH_FFTCONV, FFT_CONV_PYTORCH):
        try:
            check(layer, LayerContestant(name, layer, 1))
            packages.append(LayerContestant(name, layer, batch))
        except (ImportError, RuntimeError, TypeError, ValueError, WrongResult) as error:  # somebody else's code
            absent[name] = f"does not work: {str(error).splitlines()[0]}"
    found = contest([main, faster], [slower, *packages], laps, BUDGET)
    timed = {contestant.label: found[contestant.label] for contestant in (main, *plain, *packages)}
    inside = {DK_CONV: stages.measure(main)}
    return Row(LARGE_KERNEL, layer.task, kernel_name(layer), layer.batch, timed, absent, inside)


def kernel_name(layer: Layer) -> str:
    return f"{layer.name}, k={layer.kernel_sizes[0]}, d={layer.dilations[0]}"
