# SPDX-License-Identifier: BSD-3-Clause
"""What a run ran on, for its folder."""

import os
from collections.abc import Callable
from datetime import datetime

import torch
from torch import Tensor, nn

import dash_kernels as dk
from dash_kernels import build_info

_ENGINE_LAYERS = (dk.Conv1d, dk.Conv2d, dk.Conv3d, dk.MixedConv1d, dk.MixedConv2d, dk.MixedConv3d)


def environment() -> dict[str, str]:
    """The time, the number of processors, and what ``python -m dash_kernels.build_info`` tells."""
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"time": now, "processors": str(os.cpu_count()), **build_info.facts()}


def engines_in_use(model: nn.Module, inputs: Tensor) -> dict[str, dict[str, str]]:
    """Which engine computes each pass of each layer that an engine may compute.

    Args:
        model: The network; it is run once on the inputs, in evaluation mode, to see the shapes inside.
        inputs: A batch as in training, on the model's device.

    Returns:
        ``{layer: {pass: engine}}`` with "torch" among the engines; a layer that the network does not use is
        left out.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, _ENGINE_LAYERS)}
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda module, given: shapes.update({name: tuple(given[0].shape)})

    hooks = [layer.register_forward_pre_hook(note(name)) for name, layer in layers.items()]
    try:
        with torch.no_grad():
            model.eval()(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    rows = {name: dk.explain(layers[name], shape).rows for name, shape in shapes.items()}
    return {name: {row.stage: row.engine for row in found if row.chosen} for name, found in rows.items()}
