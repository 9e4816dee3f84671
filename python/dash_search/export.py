# SPDX-License-Identifier: BSD-3-Clause
"""Trained networks as programs of torch alone: one graph, any batch size, nothing of dash_kernels to load or run it."""

import copy
import io
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import dash_kernels as dk
from dash_kernels.surgery.tree import exchange

from .errors import SettingsError
from .preflight import explained

_TOLERANCE = 1e-4  # norm-wise; engines and torch's own convolutions round in different ways, layer after layer
_TORCH = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def export_program(network: nn.Module, inputs: Tensor, path: Path | str) -> None:
    """Writes a trained network to a file that torch alone loads and runs, by ``torch.export.load(path).module()``.

    The program is in evaluation mode, takes batches of any size, computes convolutions by torch's own operators, and
    its parameters need no gradient. It is loaded back and run beside the network before the file is written.

    Args:
        network: A trained network, such as ``Result.model``. It is not changed.
        inputs: (batch, ...), examples on the network's device; what the program takes has their shape, dtype and
            device, but for the batch.
        path: A name that ends in ``.pt2``. A file that is there is replaced.

    Raises:
        SettingsError: The path has another ending or cannot be written, the network cannot be exported, or the program
            computes something else than the network.

    Example:
        >>> network = nn.Sequential(dk.Conv2d(1, 4, 9, dilation=3, padding=12), nn.ReLU())
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     export_program(network, torch.randn(2, 1, 28, 28), f"{folder}/network.pt2")
        ...     torch.export.load(f"{folder}/network.pt2").module()(torch.randn(5, 1, 28, 28)).shape
        torch.Size([5, 4, 28, 28])
    """
    path = Path(path)
    check_path(path)
    network = copy.deepcopy(network).eval().requires_grad_(False)
    with explained(f"the network fails on inputs {tuple(inputs.shape)}"), torch.no_grad():
        output = network(inputs)
    if not isinstance(output, Tensor) or not output.is_floating_point():
        kind = output.dtype if isinstance(output, Tensor) else type(output).__name__
        raise SettingsError(f"the network returns {kind}: it must return one tensor of real floating point.")
    content = io.BytesIO()
    try:
        torch.export.save(_program(network, inputs), content)
        loaded = torch.export.load(content).module()
    except Exception as error:  # torch raises many kinds, for whatever it cannot trace or write
        why = textwrap.shorten(str(error), 300)
        raise SettingsError(f"the network cannot be exported: {type(error).__name__}: {why}") from error
    _verify(loaded, network, inputs)
    try:
        with TemporaryDirectory(
            prefix=".export-", dir=path.parent
        ) as folder:  # who stops this leaves the file as it was
            unfinished = Path(folder) / path.name
            unfinished.write_bytes(content.getvalue())
            unfinished.replace(path)
    except (OSError, ValueError) as error:  # the latter: a null character in the path
        raise SettingsError(f"cannot write {path}: {error}") from error


def check_path(path: Path) -> None:
    """Checks what can be told of the program's file before the network is traced, which may take minutes.

    Raises:
        SettingsError: It has another ending than ``.pt2``, or there is no such folder.
    """
    if path.suffix != ".pt2":
        raise SettingsError(f"the program's file is {path}: give a name that ends in .pt2, as torch.export has it.")
    try:
        there = path.parent.is_dir()
    except ValueError as error:  # a null character
        raise SettingsError(f"cannot write {path}: {error}") from error
    if not there:
        raise SettingsError(f"cannot write {path}: there is no folder {path.parent}.")


def _program(network: nn.Module, inputs: Tensor) -> torch.export.ExportedProgram:
    examples = torch.cat([inputs, inputs])[:2]  # torch would take a batch of one for a constant
    plain = with_torch_convolutions(copy.deepcopy(network))
    program = torch.export.export(plain, (examples,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    ours = {str(node.target) for node in program.graph.nodes if str(node.target).startswith("dash_kernels")}
    if ours:
        raise ValueError(f"it computes {', '.join(sorted(ours))}; give mixed convolutions a kernel by discretize first")
    return program


@torch.no_grad()
def _verify(program: nn.Module, network: nn.Module, inputs: Tensor) -> None:
    for batch in (inputs, inputs[:1], torch.cat([inputs, inputs])):
        wanted, got = network(batch), program(batch)
        error = float((got - wanted).norm() / wanted.norm().clamp(min=torch.finfo(wanted.dtype).tiny))
        if not error <= _TOLERANCE:  # NaN is no success
            raise SettingsError(
                f"the exported program is wrong: on {len(batch)} samples it differs from the network by {error:.1e}, "
                "norm-wise."
            )


def with_torch_convolutions(network: nn.Module) -> nn.Module:
    """Puts torch's own convolutions in place of those of ``dash_kernels``, with the same parameters.

    Returns:
        ``network``, or its replacement if it is itself a convolution.
    """
    own = (dk.Conv1d, dk.Conv2d, dk.Conv3d)
    replacements: dict[nn.Module, nn.Module] = {
        module: _torch_conv(module) for module in network.modules() if isinstance(module, own)
    }
    exchange(network, replacements)
    return replacements.get(network, network)


def _torch_conv(conv: dk.Conv1d | dk.Conv2d | dk.Conv3d) -> nn.Module:
    reaches = [d * (k - 1) for k, d in zip(conv.kernel_size, conv.dilation, strict=True)]
    if getattr(conv, "causal", False):
        padding = [(reach, 0) for reach in reaches]
    elif isinstance(conv.padding, str):
        padding = [(reach // 2, reach - reach // 2) if conv.padding == "same" else (0, 0) for reach in reaches]
    else:
        padding = [(pixels, pixels) for pixels in conv.padding]
    torch_pads = conv.padding_mode != "circular" and all(before == after for before, after in padding)
    build: Any = _TORCH[len(reaches) - 1]  # torch's annotations differ from class to class
    new: nn.Conv1d | nn.Conv2d | nn.Conv3d = build(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        stride=conv.stride,
        padding=tuple(before for before, _ in padding) if torch_pads else 0,
        dilation=conv.dilation,
        groups=conv.groups,
        padding_mode=conv.padding_mode if torch_pads else "zeros",
        device="meta",  # parameters are those of the old one
    )
    new.weight, new.bias = conv.weight, conv.bias
    return new if torch_pads else Padded(new, padding, conv.padding_mode)


class Padded(nn.Module):
    """A convolution of torch behind a padding that torch's layers do not have.

    It has more pixels at one end, or goes around the input more than once.

    Args:
        conv: The convolution, without padding of its own.
        padding: Pixels before and after the input, per axis.
        mode: As ``padding_mode`` of ``nn.ConvNd``.
    """

    def __init__(self, conv: nn.Module, padding: list[tuple[int, int]], mode: str) -> None:
        super().__init__()
        self.conv, self.padding, self.mode = conv, padding, mode

    def forward(self, x: Tensor) -> Tensor:
        if self.mode == "circular":
            for axis, (before, after) in enumerate(self.padding, start=-len(self.padding)):
                size = x.shape[axis]
                x = x.index_select(axis, torch.arange(-before, size + after, device=x.device) % size)
        else:
            pixels = [pixels for pair in reversed(self.padding) for pixels in pair]  # torch has the last axis first
            x = F.pad(x, pixels, mode="constant" if self.mode == "zeros" else self.mode)
        y: Tensor = self.conv(x)
        return y
