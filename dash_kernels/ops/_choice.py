# SPDX-License-Identifier: BSD-3-Clause
"""From the arguments of an operator to the engine that computes it, remembered per distinct problem."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from .. import _env
from ..engines import Engine, MixProblem, Problem, choose, resolve


def conv_engine(
    operator: str,
    images: Tensor,
    in_channels: int,
    out_channels: int,
    groups: int,
    input_size: tuple[int, ...],
    out_size: tuple[int, ...],
    stride: list[int],
    offsets: list[int],
    circular: bool,
    wanted: str,
) -> Engine:
    """The engine for one call of the convolution family; ``images`` gives batch, dtype and device."""
    return _remembered(
        Problem,
        resolve(wanted),
        _env.strict(),
        operator,
        images.device.type,
        images.dtype,
        images.shape[0],
        in_channels,
        out_channels,
        groups,
        input_size,
        out_size,
        tuple(stride),
        tuple(offsets),
        circular,
        torch.are_deterministic_algorithms_enabled(),
    )


def mix_engine(operator: str, taps: Tensor, packed: int, lattice: int, candidates: int, wanted: str) -> Engine:
    """The engine for one call of the mixing family; ``taps`` gives rows, dtype and device."""
    return _remembered(
        MixProblem,
        resolve(wanted),
        _env.strict(),
        operator,
        taps.device.type,
        taps.dtype,
        taps.shape[0] * taps.shape[1],
        packed,
        lattice,
        candidates,
        torch.are_deterministic_algorithms_enabled(),
    )


@functools.lru_cache(maxsize=4096)
def _remembered(kind: Callable[..., Problem | MixProblem], wanted: str, strict: bool, *fields: object) -> Engine:
    return choose(kind(*fields), wanted)
