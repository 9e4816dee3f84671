# SPDX-License-Identifier: BSD-3-Clause
"""What a run ran on, for its folder."""

import os
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor, nn

import dash_kernels as dk


def environment() -> dict[str, Any]:
    """Versions, processor, threads, and the engines with the reasons of those that cannot run here."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "dash_kernels": _version("dash_kernels"),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "engines": dk.engines(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed, run from a source tree"


def engines_in_use(model: nn.Module, layers: Mapping[str, nn.Module], inputs: Tensor) -> dict[str, dict[str, str]]:
    """Which engine computes each pass of each layer.

    Args:
        model: The network; it is run once on the inputs, in evaluation mode, to see the shapes inside.
        layers: Modules of it, by name.
        inputs: A batch as in training, on the model's device.

    Returns:
        ``{layer: {pass: engine}}``; a layer that the network does not use is left out.
    """
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
    model.train()
    rows = {name: dk.explain(layers[name], shape).rows for name, shape in shapes.items()}
    return {name: {row.stage: row.engine for row in found if row.chosen} for name, found in rows.items()}
