# SPDX-License-Identifier: BSD-3-Clause
"""Mixtures of convolutions over many kernel sizes and dilations, at the cost of one."""

from . import functional
from .engines import engines, use_engine
from .space import Candidate, SearchSpace
from .taps import TapLattice

__version__ = "0.1.0"

__all__ = ["Candidate", "SearchSpace", "TapLattice", "engines", "functional", "use_engine"]
