# SPDX-License-Identifier: BSD-3-Clause
"""From the problem an operator's arguments describe to the engine that computes it, remembered per distinct problem."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from .. import _env
from ..engines import Engine, MixProblem, Problem, choose_in_force, resolve

Fields = tuple[Any, ...]
"""The class of a problem and its fields, in order: cheaper to hash than the problem is to build."""


def conv_fields(
    operator: str,
    images: Tensor,
    in_channels: int,
    out_channels: int,
    groups: int,
    input_size: tuple[int, ...],
    out_size: tuple[int, ...],
    stride: tuple[int, ...],
    offsets: tuple[int, ...],
    circular: bool,
) -> Fields:
    """A call of the convolution family; ``images`` gives batch, dtype and device."""
    return (
        Problem,
        operator,
        images.device.type,
        images.dtype,
        images.shape[0],
        in_channels,
        out_channels,
        groups,
        input_size,
        out_size,
        stride,
        offsets,
        circular,
        torch.are_deterministic_algorithms_enabled(),
    )


def mix_fields(operator: str, taps: Tensor, packed: int, lattice: int, candidates: int) -> Fields:
    """A call of the mixing family; ``taps`` gives rows, dtype and device."""
    return (
        MixProblem,
        operator,
        taps.device.type,
        taps.dtype,
        taps.shape[0] * taps.shape[1],
        packed,
        lattice,
        candidates,
        torch.are_deterministic_algorithms_enabled(),
    )


def engine_for(fields: Fields, wanted: str) -> Engine:
    """The engine that computes this call; see :func:`dash_kernels.engines.choose`."""
    return remembered(fields, resolve(wanted))


def remembered(fields: Fields, name: str) -> Engine:
    """The same, for the engine in force or "auto"."""
    return _remembered(fields, name, _env.strict())


@functools.lru_cache(maxsize=4096)
def _remembered(fields: Fields, name: str, strict: bool) -> Engine:
    return choose_in_force(fields[0](*fields[1:]), name)
