# SPDX-License-Identifier: BSD-3-Clause
"""What an engine is asked to compute: everything a choice may depend on, and none of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Problem:
    """One call of an operator of the convolution family.

    Attributes:
        operator: "tap_conv", "tap_conv_input_grad" or "tap_conv_weight_grad".
        device: Type of the device, such as "cpu".
        dtype: Of every tensor taking part.
        batch, in_channels, out_channels, groups: Of the convolution whose forward or gradient this is.
        input_size, out_size: Pixels per axis of its input and of its output.
        stride: Input pixels between neighbouring outputs, per axis.
        offsets: Flat, one row per tap, in pixels relative to ``stride * output position``.
        circular: Whether positions outside wrap around; else the input is zero there.
        deterministic: Whether ``torch.use_deterministic_algorithms`` is on.
    """

    operator: str
    device: str
    dtype: torch.dtype
    batch: int
    in_channels: int
    out_channels: int
    groups: int
    input_size: tuple[int, ...]
    out_size: tuple[int, ...]
    stride: tuple[int, ...]
    offsets: tuple[int, ...] = field(repr=False)
    circular: bool
    deterministic: bool = False

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.stride)

    @property
    def num_taps(self) -> int:
        """Taps per pair of channels."""
        return len(self.offsets) // len(self.stride)

    @property
    def results(self) -> int:
        """Numbers that the operator returns."""
        if self.operator == "tap_conv":
            return self.batch * self.out_channels * math.prod(self.out_size)
        if self.operator == "tap_conv_input_grad":
            return self.batch * self.in_channels * math.prod(self.input_size)
        return self.out_channels * self.in_channels // self.groups * self.num_taps

    @property
    def moved_bytes(self) -> int:
        """Memory that must be moved whoever computes: each operand read once, the result written once."""
        inputs = self.batch * self.in_channels * math.prod(self.input_size)
        outputs = self.batch * self.out_channels * math.prod(self.out_size)
        taps = self.in_channels * self.out_channels // self.groups * self.num_taps
        return self.dtype.itemsize * (inputs + outputs + taps)


@dataclass(frozen=True)
class MixProblem:
    """One call of an operator of the mixing family.

    Attributes:
        operator: "mix_taps", "gather_taps" or "mixture_grad".
        device: Type of the device, such as "cpu".
        dtype: Of every tensor taking part.
        rows: Pairs of channels, out * in/groups.
        packed: Weights per row, all candidates together.
        lattice: Distinct taps per row.
        candidates: Number of candidates.
        deterministic: Whether ``torch.use_deterministic_algorithms`` is on.
    """

    operator: str
    device: str
    dtype: torch.dtype
    rows: int
    packed: int
    lattice: int
    candidates: int
    deterministic: bool = False

    @property
    def moved_bytes(self) -> int:
        """As :attr:`Problem.moved_bytes`; the mixture, a few numbers, is left out."""
        return self.dtype.itemsize * self.rows * (self.packed + self.lattice)
