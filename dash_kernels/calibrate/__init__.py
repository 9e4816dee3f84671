# SPDX-License-Identifier: BSD-3-Clause
"""Measures the cost model's constants: ``python -m dash_kernels.calibrate`` does it for this machine, in a minute.

It times a few dozen convolutions on one thread, fits the constants to them and writes them into the user's cache, where
every later process finds them. Nothing is measured unless this is called, and the shipped constants stay the default.
"""

from .fitting import fit
from .trials import Trial, measured

__all__ = ["Trial", "fit", "measured"]
