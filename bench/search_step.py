# SPDX-License-Identifier: BSD-3-Clause
"""A search step of built-in tasks beside a plain one, on their own data: `python -m bench.search_step [TASK ...]`."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from dash_search.config import RunConfig
from dash_search.stages import SearchSteps, build_supernet
from dash_search.tasks import TASKS

from .measure_steps import plain_steps
from .timing import ratio

LAPS, WARM_UP = 31, 2


def timed(
    model: nn.Module, loss: Callable[[Any, Any], torch.Tensor], x: Any, y: Any, finish: Callable[[], object]
) -> float:
    """Seconds of one whole step."""
    start = time.perf_counter()
    loss(model(x), y).backward()
    finish()
    return time.perf_counter() - start


def measure(name: str, depthwise: str) -> str:
    """One line: both steps' medians, their ratio, and its 95 % bootstrap interval."""
    task = TASKS[name]
    config: RunConfig = task.defaults.model_copy(update={"depthwise": depthwise})
    splits = task.load(task.fetch())
    torch.manual_seed(0)
    build = task.backbones[config.backbone].build
    plain = build(config.search_width, splits)
    supernet = build_supernet(build(config.search_width, splits), config)
    contestants: list[tuple[nn.Module, Callable[[], object]]] = [
        (plain, plain_steps(plain, config)),
        (supernet, SearchSteps(supernet, config)),
    ]
    seconds: list[list[float]] = [[], []]
    batches = itertools.cycle(DataLoader(splits.train, config.batch_size, shuffle=True, drop_last=True))
    for lap, (x, y) in enumerate(itertools.islice(batches, LAPS + WARM_UP)):
        for taken, (model, finish) in zip(seconds, contestants, strict=True):
            passed = timed(model, task.loss, x, y, finish)
            if lap >= WARM_UP:
                taken.append(passed)
    found = ratio(seconds[1], seconds[0])
    plain_ms, search_ms = (1e3 * sorted(taken)[LAPS // 2] for taken in seconds)
    return (
        f"| `{name}`, batch {config.batch_size}, depthwise {depthwise} | {plain_ms:.0f} ms | {search_ms:.0f} ms "
        f"| {found.value:.2f} ({found.low:.2f}–{found.high:.2f}) |"
    )


def main() -> None:
    print("| Task | Plain step | Search step | Search ÷ plain |\n|---|---|---|---|")
    for name, depthwise in itertools.product(sys.argv[1:] or ("mnist5k", "smnist5k", "darcy16"), ("auto", "never")):
        print(measure(name, depthwise), flush=True)


if __name__ == "__main__":
    main()
