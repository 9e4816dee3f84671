# SPDX-License-Identifier: BSD-3-Clause
"""Mixtures of convolutions over many kernel sizes and dilations, each computed as one convolution."""

from . import functional
from ._explain import explain, predict_time
from .conv import Conv1d, Conv2d, Conv3d
from .engines import engines, use_engine
from .layers import MixedConv1d, MixedConv2d, MixedConv3d
from .space import Candidate, SearchSpace
from .surgery import apply_architecture, arch_parameters, convert, discretize, weight_parameters
from .taps import TapLattice

__version__ = "0.1.0"

__all__ = [
    "Candidate",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "MixedConv1d",
    "MixedConv2d",
    "MixedConv3d",
    "SearchSpace",
    "TapLattice",
    "apply_architecture",
    "arch_parameters",
    "convert",
    "discretize",
    "engines",
    "explain",
    "functional",
    "predict_time",
    "use_engine",
    "weight_parameters",
]
