# SPDX-License-Identifier: BSD-3-Clause
"""Which engine computes each pass of a layer, and why the others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from .. import _arguments as check
from .._table import table
from ..engines import MixProblem, Problem, survey
from ._register import DESCRIBE

PASSES = {"tap_conv": "forward", "tap_conv_input_grad": "input_grad", "tap_conv_weight_grad": "weight_grad"}
"""Names of the passes that differ from their operator's."""


@dataclass(frozen=True)
class ExplainRow:
    """What one engine says to one pass of a layer.

    Attributes:
        stage: "forward", "input_grad", "weight_grad", "mix_taps", "gather_taps" or "mixture_grad".
        engine: Name of the engine.
        chosen: Whether it computes this pass.
        reason: Why not, or None for the engine that is chosen.
        problem: What is to be computed.
    """

    stage: str
    engine: str
    chosen: bool
    reason: str | None
    problem: Problem | MixProblem


@dataclass(frozen=True, repr=False)
class Explanation:
    """One row per pass and engine, in the order of the passes and then of preference; prints as a table."""

    rows: tuple[ExplainRow, ...]

    def __repr__(self) -> str:
        if not self.rows:
            return "no operator of dash_kernels takes part: torch computes this layer"
        cells = [(r.stage, r.engine, "chosen" if r.chosen else "no", r.reason or "") for r in self.rows]
        return table([("pass", "engine", "chosen", "reason"), *cells])


def explain(layer: nn.Module, input_shape: Sequence[int]) -> Explanation:
    """Says for each pass of a layer which engine computes it and why the others do not. Computes nothing.

    Args:
        layer: A mixed convolution or a ``dash_kernels.ConvNd``, as it is: its engine argument, the surrounding
            ``use_engine`` and the environment count, and so do its device, dtype and which parameters need gradients.
        input_shape: Shape of the input. It is taken to need a gradient.

    Raises:
        TypeError: ``layer`` is no module, or ``input_shape`` no sequence of whole numbers.
        ValueError: The layer does not take such an input.

    Example:
        >>> import dash_kernels as dk
        >>> layer = dk.MixedConv2d(16, 16, kernel_sizes=(3, 5), dilations=(1, 3), engine="reference")
        >>> [row.stage for row in dk.explain(layer, (8, 16, 32, 32)).rows if row.chosen][:2]
        ['mix_taps', 'forward']
    """
    if not isinstance(layer, nn.Module):
        raise TypeError(f"layer is a {type(layer).__name__}: give a module, such as a mixed convolution.")
    if isinstance(input_shape, str) or not isinstance(input_shape, Sequence):
        raise TypeError(f"input_shape is {input_shape!r}: give a sequence of numbers, such as (8, 16, 32, 32).")
    shape = tuple(check.whole(f"input_shape[{i}]", size, 0) for i, size in enumerate(input_shape))
    parameters = [p for p in layer.parameters() if p.requires_grad]
    like = next(layer.parameters(), torch.empty(0))
    recorder = _Recorder()
    with FakeTensorMode(allow_non_fake_inputs=True), recorder, torch.enable_grad():
        x = torch.empty(shape, dtype=like.dtype, device=like.device, requires_grad=True)
        y: Tensor = layer(x)
        if recorder.calls:
            torch.autograd.grad(y, [x, *parameters], torch.empty_like(y), allow_unused=True)
    return Explanation(tuple(row for problem, wanted in recorder.calls for row in _rows(problem, wanted)))


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every call of an operator of ours, and its problem."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Problem | MixProblem, str]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in DESCRIBE:
            kind, *fields = DESCRIBE[func](*args)
            self.calls.append((kind(*fields), args[-1]))
        return func(*args, **(kwargs or {}))


def _rows(problem: Problem | MixProblem, wanted: str) -> list[ExplainRow]:
    found = survey(problem, wanted)
    chosen, seconds = found.chosen, found.seconds
    stage = PASSES.get(problem.operator, problem.operator)
    rows = []
    for name, reason in found.reasons.items():
        if reason is None and name != chosen:
            if chosen is None:
                reason = f"it can, but {wanted} was asked for"
            elif name in seconds and chosen in seconds and seconds[chosen] <= seconds[name]:
                reason = f"predicted {1e3 * seconds[name]:.3g} ms, {chosen} {1e3 * seconds[chosen]:.3g} ms"
            else:
                reason = f"it can, but {chosen} goes before"
        rows.append(ExplainRow(stage, name, name == chosen, reason, problem))
    return rows
