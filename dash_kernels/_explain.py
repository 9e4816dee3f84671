# SPDX-License-Identifier: BSD-3-Clause
"""Which engine computes each pass of a layer, why the others do not, and how long each takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from . import _arguments as check
from ._mixed import MixedConvNd
from ._table import table
from .conv import EngineConv
from .engines import MixProblem, Problem, Survey, Weighing, named, resolve, survey
from .engines.torch_cost import PASSES
from .engines.trial import engine_call, in_turns, torch_call
from .engines.weighing import predict_torch
from .ops._register import DESCRIBE

TORCH = "torch"
"""Stands among the engines for torch's own convolution."""


@dataclass(frozen=True)
class ExplainRow:
    """What one engine says to one pass of a layer.

    Attributes:
        stage: "forward", "input_grad", "weight_grad", "mix_taps", "gather_taps" or "mixture_grad".
        engine: Name of the engine.
        chosen: Whether it computes this pass.
        reason: Why, or why not.
        problem: What is to be computed.
        predicted: Seconds it is expected to take on one thread; None if it cannot or has no cost model.
        measured: Seconds it took, the least of some calls; None if it cannot or nothing was measured.
    """

    stage: str
    engine: str
    chosen: bool
    reason: str
    problem: Problem | MixProblem
    predicted: float | None
    measured: float | None

    @property
    def moved_bytes(self) -> int:
        """Memory that must be moved whoever computes: each operand read once, the result written once."""
        return self.problem.moved_bytes


@dataclass(frozen=True, repr=False)
class Explanation:
    """One row per pass and engine, in the order of the passes and then of preference; prints as a table.

    Attributes:
        rows: The rows.
        threads: On how many threads was measured.
    """

    rows: tuple[ExplainRow, ...]
    threads: int

    def __repr__(self) -> str:
        if not self.rows:
            return "no operator of dash_kernels takes part: torch computes this layer"
        stage = ""
        lines = [("pass", "engine", "model ms", "ms", "MB", "choice")]
        for row in self.rows:
            first, stage = row.stage != stage, row.stage
            shown = (row.stage, f"{row.moved_bytes / 1e6:.3g}") if first else ("", "")
            choice = f"chosen: {row.reason}" if row.chosen else row.reason
            lines.append(
                (shown[0], row.engine, _milliseconds(row.predicted), _milliseconds(row.measured), shown[1], choice)
            )
        notes = "model: expected on one thread; MB: read and written at least"
        if any(row.measured is not None for row in self.rows):
            return table(lines, right=(2, 3, 4)) + f"\n{notes}; ms: measured, threads: {self.threads}"
        return table([(*line[:3], *line[4:]) for line in lines], right=(2, 3)) + f"\n{notes}"


def explain(layer: nn.Module, input_shape: Sequence[int], *, measure: bool = False) -> Explanation:
    """Says for each pass of a layer which engine computes it, why the others do not, and how long each takes.

    Args:
        layer: A mixed convolution or a ``dash_kernels.ConvNd``, as it is: its engine argument, the surrounding
            ``use_engine`` and the environment count, and so do its device, dtype and which parameters need gradients.
        input_shape: Shape of the input. It is taken to need a gradient.
        measure: Also run every engine that can, on random tensors and as many threads as torch uses, and tell the
            shortest of some calls; of one that takes longer than a second, the first. Before each, 48 MiB of the host's
            memory are written, as other layers would: in a loop of its own it may take half as long. The reference may
            take minutes. Without it nothing is computed.

    Raises:
        TypeError: ``layer`` is no layer of this package, or ``input_shape`` no sequence of whole numbers.
        ValueError: The layer does not take such an input.

    Example:
        >>> import dash_kernels as dk
        >>> layer = dk.MixedConv2d(16, 16, kernel_sizes=(3, 5), dilations=(1, 3), engine="reference")
        >>> [row.stage for row in dk.explain(layer, (8, 16, 32, 32)).rows if row.chosen][:2]
        ['mix_taps', 'forward']
    """
    calls, weighing = _calls(layer, input_shape)
    with torch.random.fork_rng(enabled=measure), torch.no_grad():
        rows = [row for problem, wanted in calls for row in _rows(problem, wanted, measure, weighing)]
    return Explanation(tuple(rows), torch.get_num_threads())


def predict_time(layer: nn.Module, input_shape: Sequence[int]) -> dict[str, dict[str, float]]:
    """How long each pass of a layer is expected to take, by engine. Computes nothing.

    Args:
        layer, input_shape: As in :func:`explain`.

    Returns:
        ``{pass: {engine: seconds}}`` with the passes in the order of a training step, and of each pass the engines that
        can compute it and have a cost model; the reference has none. Seconds are of one thread of the machine whose
        constants are in force (see :mod:`dash_kernels.calibrate`): meant to be compared with each other.

    Raises:
        As :func:`explain`.

    Example:
        >>> import dash_kernels as dk
        >>> layer = dk.MixedConv2d(16, 16, kernel_sizes=(3, 5, 7, 9), dilations=(1, 3, 7, 15))
        >>> seconds = dk.predict_time(layer, (64, 16, 32, 32))
        >>> best = sum(min(of_engine.values()) for of_engine in seconds.values() if of_engine)
    """
    seconds: dict[str, dict[str, float]] = {}
    calls, weighing = _calls(layer, input_shape)
    for problem, wanted in calls:
        times = seconds.setdefault(PASSES.get(problem.operator, problem.operator), {})
        times.update(survey(problem, wanted).seconds)
        if weighing is not None and weighing.torch is not None:
            times[TORCH] = predict_torch(_plain(problem, weighing))
    return seconds


Calls = list[tuple[Problem | MixProblem, str]]


def _calls(layer: nn.Module, input_shape: Sequence[int]) -> tuple[Calls, Weighing | None]:
    """Every problem of a training step with the engine that is asked for, and torch's part in it, if it has one."""
    if not isinstance(layer, MixedConvNd | EngineConv):
        raise TypeError(
            f"layer is a {type(layer).__name__}: give one mixed convolution, or one of dash_kernels.Conv1d to Conv3d; "
            f"of a whole model, one layer after the other."
        )
    if isinstance(input_shape, str) or not isinstance(input_shape, Sequence):
        raise TypeError(f"input_shape is {input_shape!r}: give a sequence of numbers, such as (8, 16, 32, 32).")
    shape = tuple(check.whole(f"input_shape[{i}]", size, 0) for i, size in enumerate(input_shape))
    parameters = [p for p in layer.parameters() if p.requires_grad]
    like = next(layer.parameters(), torch.empty(0))
    recorder = _Recorder()
    with FakeTensorMode(allow_non_fake_inputs=True), recorder, torch.inference_mode(False), torch.enable_grad():
        x = torch.empty(shape, dtype=like.dtype, device=like.device, requires_grad=True)
        y: Tensor = layer(x)
        if recorder.calls:
            torch.autograd.grad(y, [x, *parameters], torch.empty_like(y), allow_unused=True)
    weighing = None
    if isinstance(layer, EngineConv):
        weighing = layer._weighing(shape, like.dtype, like.device.type)
    if weighing is None or recorder.calls:
        return recorder.calls, weighing
    return [(problem, "auto") for problem in weighing.problems], weighing


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


def _rows(problem: Problem | MixProblem, wanted: str, measure: bool, weighing: Weighing | None) -> list[ExplainRow]:
    found = survey(problem, wanted)
    stage = PASSES.get(problem.operator, problem.operator)
    by_torch = weighing is not None and not weighing.engine_is_faster
    rows = []
    for name, refusal in found.reasons.items():
        measured = in_turns([engine_call(named(name), problem)])[0] if measure and refusal is None else None
        reason = refusal or (f"{TORCH} computes this layer" if by_torch else _reason(found, name, wanted))
        chosen = name == found.chosen and not by_torch
        rows.append(ExplainRow(stage, name, chosen, reason, problem, found.seconds.get(name), measured))
    if weighing is not None:
        plain = _plain(problem, weighing)
        predicted = None if weighing.torch is None else predict_torch(plain)
        measured = in_turns([torch_call(plain)])[0] if measure else None
        rows.append(ExplainRow(stage, TORCH, by_torch, _torch_reason(weighing), plain, predicted, measured))
    return rows


def _plain(problem: Problem | MixProblem, weighing: Weighing) -> Problem:
    """The same pass as torch gets it."""
    return next(plain for plain in weighing.plain if plain.operator == problem.operator)


def _torch_reason(weighing: Weighing) -> str:
    if weighing.engines is None or weighing.torch is None:
        return "no compiled engine can"
    ratio = weighing.torch / weighing.engines
    if weighing.engine_is_faster:
        return f"expected to take {ratio:.3g} times as long over all passes"
    return f"engines are expected to take {1 / ratio:.3g} times as long over all passes"


def _reason(found: Survey, name: str, wanted: str) -> str:
    """Why an engine that can compute a pass does so, or not."""
    asked, chosen, seconds = resolve(wanted), found.chosen, found.seconds
    if name == chosen:
        if asked != "auto":
            return "it was asked for"
        others = [n for n, reason in found.reasons.items() if reason is None and n != name]
        if not others:
            return "no other engine can"
        return "expected to be the fastest" if name in seconds and any(n in seconds for n in others) else "goes first"
    if chosen is None or asked != "auto":
        return f"it can, but {asked} was asked for"
    if name in seconds and chosen in seconds and seconds[chosen] <= seconds[name]:
        return f"expected to take {seconds[name] / seconds[chosen]:.3g} times as long"
    return f"it can, but {chosen} goes before"


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1e3 * seconds:.3g}"
