# SPDX-License-Identifier: BSD-3-Clause
"""What is installed and in force, for bug reports: ``python -m dash_kernels.build_info``."""

from __future__ import annotations

import os
import platform

import torch

from . import __version__, _machine
from ._load import LOAD
from ._machine import isa
from ._table import table
from .engines import ENGINES
from .engines.calibration import in_force

VARIABLES = (
    "DASH_KERNELS_ISA",
    "DASH_KERNELS_ENGINE",
    "DASH_KERNELS_DISABLE",
    "DASH_KERNELS_STRICT",
    "DASH_KERNELS_CALIBRATION",
)


def facts() -> dict[str, str]:
    """Versions, instruction sets, what loaded, what did not and why, the engines, and the environment, as text."""
    core = _machine.core()
    found = {
        "dash_kernels": __version__,
        "python": platform.python_version(),
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
        "platform": platform.platform(),
        "cuda": f"torch built for {torch.version.cuda or 'none'}, {torch.cuda.device_count()} devices",
        "compiled operators": LOAD.error or f"loaded from {LOAD.path}",
        "instruction set": isa(),
        "instruction sets here": core if isinstance(core, str) else ", ".join(core.supported_isas()),
    }
    found["cost model"] = in_force().origin
    found |= {f"engine {engine.name}": engine.available() or "works" for engine in ENGINES}
    return found | {name: os.environ.get(name, "not set") for name in VARIABLES}


if __name__ == "__main__":
    print(table(list(facts().items())))
