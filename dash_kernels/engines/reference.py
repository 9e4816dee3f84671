# SPDX-License-Identifier: BSD-3-Clause
"""Engine "reference": the operators' meaning itself. Runs everything, slowly."""

from __future__ import annotations

from .. import reference
from .engine import Engine
from .problem import MixProblem, Problem


class ReferenceEngine(Engine):
    """Direct sums in plain torch; see :mod:`dash_kernels.reference`."""

    name = "reference"

    def available(self, device_type: str | None = None) -> str | None:
        return None

    def can_run(self, problem: Problem | MixProblem) -> str | None:
        return None

    tap_conv = staticmethod(reference.tap_conv)
    tap_conv_input_grad = staticmethod(reference.tap_conv_input_grad)
    tap_conv_weight_grad = staticmethod(reference.tap_conv_weight_grad)
    mix_taps = staticmethod(reference.mix_taps)
    gather_taps = staticmethod(reference.gather_taps)
    mixture_grad = staticmethod(reference.mixture_grad)
