# SPDX-License-Identifier: BSD-3-Clause
"""Somebody who sees every operator called."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class Watching(TorchDispatchMode):
    """Changes nothing, but there is someone who sees every operator, so they are called: no node stands for them."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))
