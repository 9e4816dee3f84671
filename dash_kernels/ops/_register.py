# SPDX-License-Identifier: BSD-3-Clause
"""Registers one operator with everything torch needs: implementation, fake kernel, derivative, autocast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def register(
    schema: str,
    implementation: Callable[..., Tensor],
    fake: Callable[..., Tensor],
    save: Callable[..., None],
    differentiate: Callable[..., tuple[Tensor | None, ...]],
) -> None:
    """Defines ``dash_kernels::<schema>`` for every device; the implementation asks the registry for an engine.

    Under autocast the operands are computed in float32, since sums over a whole map are too long for the half types.
    """
    name, arguments = schema.split("(", 1)
    qualified = f"dash_kernels::{name}"
    torch.library.define(qualified, "(" + arguments, tags=torch.Tag.pt2_compliant_tag)
    torch.library.impl(qualified, "default", implementation)
    torch.library.register_fake(qualified, fake)
    torch.library.register_autograd(qualified, differentiate, setup_context=save)
    for device in ("cpu", "cuda"):
        torch.library.register_autocast(qualified, device, torch.float32)
