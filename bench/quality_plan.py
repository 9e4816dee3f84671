# SPDX-License-Identifier: BSD-3-Clause
"""What the quality benchmark trains: for each task, seed and method the settings and the architectures, in order."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dash_kernels as dk
from dash_search.alpha import mixed_layers
from dash_search.config import RunConfig
from dash_search.data.official import OfficialFile
from dash_search.stages import Architecture, build_supernet, choice
from dash_search.tasks import TASKS, Task

from .quality_rows import FIXED, MENDED, METHODS, PLAIN, RANDOM, SEARCHES

SEEDS = (0, 1, 2)
MOST_EPOCHS = 30  # of a training; the task darcy has 200 of its own
SLOW = ("darcy", "darcy85")  # a row of these takes hours
LONGER = {"darcy85": 15, "darcy85-100": 2}
"""Factors on the share of their own epochs: of half, so that both are trained for 30."""
MENDING = {"mixture": "softmax", "size_penalty": 0.0, "depthwise": "never"}
"""What docs/search.md recommends for short searches: no noise, no pull towards small kernels, dense layers. Besides, a
tenth of the task's ``grad_scale``: the logits take ten times larger steps."""
Candidates = dict[str, Sequence[dk.Candidate]]
"""Of each searched layer."""


@dataclass(frozen=True)
class Planned:
    """A row that can be measured.

    Attributes:
        task: Whose.
        method: How its kernels are chosen.
        config: Settings of each of its runs.
        runs: The architecture of each run by name; None is searched for.
        weight: What it should take, in units that hold for all tasks.
    """

    task: Task
    method: str
    config: RunConfig
    runs: dict[str, Architecture | None]
    weight: float

    @property
    def key(self) -> tuple[str, int, str]:
        return self.task.name, self.config.seed, self.method

    @property
    def settings(self) -> str:
        """A digest of all that makes this row another one than before, but the code and the data."""
        content = json.dumps([self.config.model_dump(mode="json"), self.runs], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


def offline_tasks() -> list[str]:
    """The tasks whose data comes from wheels or is generated."""
    return [name for name, task in TASKS.items() if not any(isinstance(file, OfficialFile) for file in task.files)]


def usual_tasks() -> list[str]:
    """The offline tasks whose rows take an hour at most."""
    return [name for name in offline_tasks() if name not in SLOW]


def plan(names: Sequence[str], budget: float) -> list[Planned]:
    """All rows of these tasks, so that whoever stops early has a table of some use.

    All methods with one seed stand together. The first seeds of cheap tasks come first; a task that takes four times
    as long as another has its first seed where the other has its fourth.

    Args:
        names: The tasks; their data is fetched.
        budget: Share of each task's own epochs that every network, and the search, is trained for; more in those of
            LONGER, less where that were more than 30 epochs of training.
    """
    groups = [group for name in names for group in _of_task(TASKS[name], budget)]
    return [row for _, group in sorted(groups, key=lambda one: one[0]) for row in group]


def _of_task(task: Task, budget: float) -> Iterator[tuple[float, list[Planned]]]:
    splits = task.load(task.fetch())
    budget = min(budget * LONGER.get(task.name, 1), MOST_EPOCHS / task.defaults.epochs)
    changes = {name: max(1, round(budget * getattr(task.defaults, name))) for name in ("epochs", "search_epochs")}
    config = task.defaults.changed({**changes, "width": 1, "search_width": 1, "plain": False, "tune": "none"})
    backbone = task.backbone(config.backbone)
    supernet = build_supernet(backbone.build(config.search_width, splits), config)
    layers: Candidates = {name: layer.candidates for name, layer in mixed_layers(supernet).items()}
    samples = len(splits.train)  # type: ignore[arg-type]
    inputs, _ = splits.train[0]
    training = float(config.epochs * samples * math.prod(inputs.shape[1:]))
    searching = config.search_epochs * config.search_fraction / config.epochs * training
    for seed in SEEDS:
        of_seed = config.changed({"seed": seed})
        group = []
        for method in METHODS:
            runs = architectures(method, layers, config, seed)
            weight = len(runs) * training + (searching if method in SEARCHES else 0)
            mending = {**MENDING, "grad_scale": config.grad_scale / 10} if method == MENDED else {}
            group.append(Planned(task, method, of_seed.changed(mending), runs, weight))
        yield (1 + SEEDS.index(seed)) * training, group


def architectures(method: str, layers: Candidates, config: RunConfig, seed: int) -> dict[str, Architecture | None]:
    """What a method trains, by name; None is searched for."""
    if method == PLAIN:
        return {PLAIN: {}}
    if method == RANDOM:
        draw = random.Random(f"{config.task} {seed}")
        return {RANDOM: {name: choice(draw.choice(candidates)) for name, candidates in layers.items()}}
    if method == FIXED:
        return {f"{k}-{d}": _everywhere(layers, k, d) for k, d in fixed_choices(config)}
    return {method: None}


def fixed_choices(config: RunConfig) -> list[tuple[int, int]]:
    """Four kernel sizes and dilations spread over the space: small or large, dense or spread out.

    The least and the largest size, each with the least and the middle dilation (the lower one of two, but not the
    least). The largest dilation is left out, since with it most taps of most layers lie outside of the map.
    """
    sizes, (least, *others) = sorted(config.kernel_sizes), sorted(config.dilations)
    middle = others[max(0, len(others) // 2 - 1)] if others else least
    return list(dict.fromkeys((k, d) for k in (sizes[0], sizes[-1]) for d in (least, middle)))


def _everywhere(layers: Candidates, kernel_size: int, dilation: int) -> Architecture:
    return {
        name: {"kernel_size": [kernel_size] * axes, "dilation": [dilation] * axes}
        for name, axes in ((name, len(candidates[0].kernel_size)) for name, candidates in layers.items())
    }
