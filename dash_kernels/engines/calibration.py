# SPDX-License-Identifier: BSD-3-Clause
"""The constants of the cost model that are in force: those shipped, or those this user measured on this machine.

``python -m dash_kernels.calibrate`` writes the file. It is read when the first prediction is made, never at import, and
once per process. One that does not fit, or is damaged, is left alone and the shipped constants are used; the log says
why.
"""

from __future__ import annotations

import functools
import json
import logging
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import dash_kernels

from .. import _env, _machine
from .cost import DIRECT, FOURIER
from .torch_cost import TORCH

log = logging.getLogger("dash_kernels")

Constants = Mapping[str, Mapping[str, float]]
"""By name, "FOURIER", "DIRECT" or "TORCH", the nanoseconds of everything that is counted."""

SHIPPED: Constants = {"FOURIER": FOURIER, "DIRECT": DIRECT, "TORCH": TORCH}
COMMAND = "python -m dash_kernels.calibrate"


@dataclass(frozen=True)
class InForce:
    """Constants, and one sentence on where they come from."""

    constants: Constants
    origin: str


def constants(name: str) -> Mapping[str, float]:
    """Those of "FOURIER", "DIRECT" or "TORCH" that are in force."""
    return in_force().constants[name]


def facts() -> dict[str, str]:
    """What the constants depend on: a file with other facts is not used."""
    return {
        "processor": _machine.processor(),
        "instruction set": _machine.isa(),
        "torch": torch.__version__,
        "dash_kernels": dash_kernels.__version__,
    }


@functools.cache
def in_force() -> InForce:
    """The user's constants if there are any for this machine, else the shipped ones."""
    path = _env.calibration()
    if path is None:
        return InForce(SHIPPED, "shipped (DASH_KERNELS_CALIBRATION=0)")
    try:
        found = read(path)
    except FileNotFoundError:
        return InForce(SHIPPED, f"shipped ({path} is not there; {COMMAND} measures this machine's)")
    except (OSError, ValueError) as error:
        log.warning(
            "%s cannot be used (%s): predictions use the shipped constants. Run %s again, or delete the file.",
            path,
            error,
            COMMAND,
        )
        return InForce(SHIPPED, f"shipped ({path} cannot be used: {error})")
    return InForce(found, f"measured ({path})")


def read(path: Path) -> Constants:
    """The constants in a file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged, or of another machine or version; the message says which.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is no file")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        machine = dict(data["machine"])
        found = {name: _checked(name, data["nanoseconds"][name]) for name in SHIPPED}
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"it is damaged: {type(error).__name__} {error}") from error
    differing = [f"{n} {machine.get(n)}, here {fact}" for n, fact in facts().items() if machine.get(n) != fact]
    if differing:
        raise ValueError(f"it was measured elsewhere: {'; '.join(differing)}")
    return found


def prepare(path: Path) -> None:
    """Makes sure that :func:`write` can write there, before somebody measures for it.

    Raises:
        OSError: It cannot.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path} is there and is no file")
    with tempfile.TemporaryFile(dir=path.parent):
        pass


def write(path: Path, found: Constants) -> None:
    """Writes a file that :func:`read` takes on this machine, whole or not at all."""
    prepare(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")  # another process may calibrate too
    rounded = {name: {thing: float(f"{ns:.4g}") for thing, ns in times.items()} for name, times in found.items()}
    partial.write_text(json.dumps({"machine": facts(), "nanoseconds": rounded}, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def _checked(name: str, times: Any) -> dict[str, float]:
    if set(times) != set(SHIPPED[name]):
        raise ValueError(f"{name} has other things than this version counts")
    for thing, value in times.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ValueError(f"{name} has {value!r} for {thing!r}, which is no time")
    if not any(times.values()):
        raise ValueError(f"{name} has no time above zero")
    return {thing: float(value) for thing, value in times.items()}
