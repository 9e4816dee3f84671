# SPDX-License-Identifier: BSD-3-Clause
"""The engine for GPUs, in Triton.

``engine`` is what the registry knows; ``plan`` decides in integers how to compute; ``tables``, ``transforms``,
``convolution`` and ``mixing`` carry it out on the kernels of ``kernels``, through ``launch``. Only those that say so
import Triton, and only when a problem runs.
"""

from .engine import TritonEngine

__all__ = ["TritonEngine"]
