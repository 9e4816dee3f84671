# SPDX-License-Identifier: BSD-3-Clause
"""The engines, and which of them computes a problem.

To add one: write its file with a subclass of :class:`Engine`, and name it in :data:`ENGINES`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from dataclasses import dataclass
from types import TracebackType

from .. import _env
from .cuda import CudaEngine
from .direct import DirectEngine
from .engine import Engine
from .fourier import FourierEngine
from .problem import MixProblem, Problem
from .reference import ReferenceEngine
from .triton import TritonEngine

log = logging.getLogger("dash_kernels")

ENGINES: tuple[Engine, ...] = (FourierEngine(), DirectEngine(), CudaEngine(), TritonEngine(), ReferenceEngine())
"""In order of preference where no cost model decides; the reference, which runs everything, is the last."""


def engines() -> dict[str, str | None]:
    """Every engine by name, in order of preference: None, or the reason it cannot run here.

    Example:
        >>> engines()["reference"] is None
        True
    """
    return {engine.name: engine.available() for engine in ENGINES}


class use_engine(contextlib.ContextDecorator):  # noqa: N801  (reads as a verb where it is used)
    """Within the ``with`` block, and in this thread, layers and functions that ask for no engine use this one.

    Blocks nest. Gradients of what was computed inside use the same engine, wherever they are computed. An engine passed
    as an argument goes before, the environment variable DASH_KERNELS_ENGINE behind. In a graph made by
    ``torch.compile`` each operator looks when it runs.

    Args:
        name: "auto" or a name from :func:`dash_kernels.engines`.

    Raises:
        ValueError: There is no such engine.
    """

    def __init__(self, name: str) -> None:
        self.name = _known(name, "use_engine")

    def __enter__(self) -> use_engine:
        _scopes.entered = (*_scopes.entered, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # its own, not whichever came last: of two generators, the one that began first may end first
        own = max(i for i, scope in enumerate(_scopes.entered) if scope is self)
        _scopes.entered = _scopes.entered[:own] + _scopes.entered[own + 1 :]


class _Scopes(threading.local):
    entered: tuple[use_engine, ...] = ()


_scopes = _Scopes()
_logged: set[str] = set()


def resolve(wanted: str) -> str:
    """The engine in force: ``wanted`` if it names one, else the innermost :class:`use_engine`, else the environment's.

    Raises:
        ValueError: There is no engine of that name.
    """
    if wanted != "auto":
        return _known(wanted, "engine")
    if _scopes.entered:
        return _scopes.entered[-1].name
    name = _env.engine()
    return name if name == "auto" else _known(name, "DASH_KERNELS_ENGINE")


@dataclass(frozen=True)
class Survey:
    """What would compute a problem, and what every engine says to it.

    Attributes:
        chosen: Name of the engine in force or, without one, of that which is expected to be the fastest; None if the
            one in force cannot run it.
        reasons: Every engine by name, in order of preference: None, or the reason it cannot.
        seconds: Times expected on one thread, of those that can and that have a cost model.
    """

    chosen: str | None
    reasons: dict[str, str | None]
    seconds: dict[str, float]


def survey(problem: Problem | MixProblem, wanted: str = "auto") -> Survey:
    """Asks every engine.

    With "auto", the first that can run the problem computes it, unless another one that can is expected to be faster.
    Those without a cost model, as the reference, are expected to be nothing.
    """
    return _survey(problem, resolve(wanted))


def _survey(problem: Problem | MixProblem, name: str) -> Survey:
    reasons = _reasons(problem)
    able = [engine for engine in ENGINES if reasons[engine.name] is None]
    times = {engine.name: engine.predict(problem) for engine in able}
    seconds = {n: time for n, time in times.items() if time is not None}
    if name != "auto":
        return Survey(name if reasons[name] is None else None, reasons, seconds)
    first = able[0].name
    return Survey(min(seconds, key=seconds.__getitem__) if first in seconds else first, reasons, seconds)


def choose(problem: Problem | MixProblem, wanted: str = "auto") -> Engine:
    """The engine that computes ``problem``: the one in force by name, or the fastest (see :func:`survey`).

    Raises:
        ValueError: There is no engine of that name, or it cannot run the problem; the message says why.
        RuntimeError: Only the reference can, nobody asked for it, and DASH_KERNELS_STRICT=1.
    """
    return choose_in_force(problem, resolve(wanted))


def choose_in_force(problem: Problem | MixProblem, name: str) -> Engine:
    """The same once it is known which engine is in force, by name or "auto"."""
    if name != "auto":  # whatever the others would take, this one is asked for
        return _named_or_why(problem, name)
    found = _survey(problem, name)
    if found.chosen == ReferenceEngine.name:
        _report_fallback(problem, found.reasons)
    assert found.chosen is not None  # the reference runs everything
    return _BY_NAME[found.chosen]


def _named_or_why(problem: Problem | MixProblem, name: str) -> Engine:
    reasons = _reasons(problem)
    if reasons[name] is not None:
        able = ", ".join(n for n, reason in reasons.items() if reason is None)
        raise ValueError(f'engine "{name}" cannot run {problem}: {reasons[name]}. Engines that can: {able}.')
    return _BY_NAME[name]


def _reasons(problem: Problem | MixProblem) -> dict[str, str | None]:
    """What every engine says to a problem: None, or why it cannot."""
    return {engine.name: engine.available(problem.device) or engine.can_run(problem) for engine in ENGINES}


def named(name: str) -> Engine:
    """The engine of that name, which must be one of :func:`engines`."""
    return _BY_NAME[name]


def _report_fallback(problem: Problem | MixProblem, reasons: dict[str, str | None]) -> None:
    why = "; ".join(f"{n}: {reason}" for n, reason in reasons.items() if reason is not None)
    if _env.strict():
        raise RuntimeError(
            f"only the reference can run {problem} ({why}), and DASH_KERNELS_STRICT=1 forbids falling back to it: "
            f'ask for it by name with engine="reference", or unset the variable.'
        )
    if why and why not in _logged:
        _logged.add(why)
        log.info("%s falls back to the reference engine, which is slow (%s)", problem.operator, why)


def _known(name: str, origin: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{origin} is {name!r} ({type(name).__name__}): give the name of an engine, or auto.")
    if name != "auto" and name not in _BY_NAME:
        raise ValueError(f"{origin}={name!r} is not an engine: use one of auto, {', '.join(_BY_NAME)}.")
    return name


_BY_NAME = {engine.name: engine for engine in ENGINES}

# What the environment misspells is told at import, and not in the middle of a run.
resolve("auto")
_env.strict()
_env.calibration()
