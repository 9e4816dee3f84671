# SPDX-License-Identifier: BSD-3-Clause
"""Whole numbers by the hundred, as a layer's offsets are: to hash or convert them takes as long as a small layer."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor


class Interned(tuple[int, ...]):
    """A tuple that is hashed once and made a tensor once. It equals, and hashes as, a plain one."""

    @functools.cached_property
    def tensor(self) -> Tensor:
        """int64 on the CPU, whatever the default device is."""
        return torch.tensor(self, dtype=torch.int64, device="cpu")

    @functools.cached_property
    def _hash(self) -> int:
        return super().__hash__()

    def __hash__(self) -> int:
        return self._hash


def numbers(values: Sequence[int]) -> Interned:
    """``values`` as they are if they are such a tuple, else the one that was made when they were first met."""
    return values if isinstance(values, Interned) else _numbers(tuple(values))


@functools.lru_cache(maxsize=1024)
def _numbers(values: tuple[int, ...]) -> Interned:
    return Interned(values)
