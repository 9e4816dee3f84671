# SPDX-License-Identifier: BSD-3-Clause
"""The command: ``python -m dash_kernels.calibrate``."""

from __future__ import annotations

import sys
import time

import torch

from .. import _env
from .._load import LOAD
from ..engines.calibration import SHIPPED, facts, prepare, write
from .fitting import error, fit
from .problems import PROBLEMS
from .trials import OPERATORS, Trial, measured

LONGEST = 60.0
"""Seconds after which no further layer is begun."""


def main() -> int:
    path = _env.calibration()
    if LOAD.error is not None:
        sys.exit(f"there is nothing to calibrate: {LOAD.error}")
    if path is None:
        sys.exit("DASH_KERNELS_CALIBRATION=0 asks for the shipped constants: unset it, or set it to the file to write.")
    if sys.argv[1:]:
        sys.exit("python -m dash_kernels.calibrate takes no arguments; DASH_KERNELS_CALIBRATION names another file.")
    for name, fact in facts().items():
        print(f"{name}: {fact}")
    try:
        prepare(path)
    except OSError as refusal:
        sys.exit(f"{path} cannot be written ({refusal}): set DASH_KERNELS_CALIBRATION to another file.")
    trials = _measure()
    constants = fit(trials, prior=SHIPPED)
    print(f"typical error of a prediction: {error(trials, SHIPPED):.0%} as shipped, {error(trials, constants):.0%} now")
    write(path, constants)
    print(f"written to {path}, which every process that starts from now on uses; delete it to undo this")
    return 0


def _measure() -> list[Trial]:
    start, trials, threads = time.monotonic(), list[Trial](), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for done, problem in enumerate(PROBLEMS):
            if time.monotonic() - start > LONGEST:
                print(f"slow machine: {done} of {len(PROBLEMS)} layers measured in {LONGEST:.0f} s, which will do")
                break
            trials += [measured(Trial(operator, *problem)) for operator in OPERATORS]
    finally:
        torch.set_num_threads(threads)
    print(f"measured {len(trials)} passes on one thread in {time.monotonic() - start:.0f} s")
    return trials


if __name__ == "__main__":
    sys.exit(main())
