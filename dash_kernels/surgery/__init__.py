# SPDX-License-Identifier: BSD-3-Clause
"""Changing whole models: convolutions into mixtures, mixtures into the convolutions that won."""

from .architecture import Architecture, apply_architecture, arch_parameters, discretize, weight_parameters
from .conversion import convert
from .report import ConvertReport, ConvertRow

__all__ = [
    "Architecture",
    "ConvertReport",
    "ConvertRow",
    "apply_architecture",
    "arch_parameters",
    "convert",
    "discretize",
    "weight_parameters",
]
