# SPDX-License-Identifier: BSD-3-Clause
"""The settings of every task of the benchmark and of DASH's further ones are those of DASH's code."""

import pytest

from dash_search.config import RunConfig
from dash_search.tasks import FURTHER, OFFICIAL, TASKS

IMAGES = {
    "backbone": "wrn",
    "width": 4,
    "tune": "grid",
    "kernel_sizes": (3, 5, 7, 9),
    "dilations": (1, 3, 7, 15),
    "milestones": (0.3, 0.6, 0.8),
    "grad_scale": 100,
    "search_lr": 0.1,
    "alpha_lr": 0.05,
    "lr": 0.1,
}
DENSE = {"search_lr": 0.01, "alpha_lr": 0.005, "lr": 0.01}
SEQUENCES = {
    **IMAGES,
    "backbone": "resnet1d",
    "width": 1,
    "kernel_sizes": (3, 7, 11, 15, 19),
    "milestones": (0.15, 0.3, 0.45, 0.6, 0.8),
}
DIGITS = {**SEQUENCES, "kernel_sizes": (3, 5, 7, 9), "dilations": (1, 3, 7, 15, 31, 63, 127), "batch_size": 256}
DASH = {
    "cifar10": {**IMAGES, "batch_size": 64, "grad_scale": 5000},
    "cifar100": {**IMAGES, "batch_size": 64, "grad_scale": 5000},
    "spherical": {**IMAGES, "batch_size": 64, "grad_scale": 500},
    "darcy": {**IMAGES, **DENSE, "batch_size": 10},
    "psicov": {**IMAGES, **DENSE, "batch_size": 8, "tune": "short"},
    "cosmic": {**IMAGES, **DENSE, "batch_size": 4, "tune": "short", "grad_scale": 1000},
    "ninapro": {**IMAGES, "batch_size": 128, "kernel_sizes": (3, 5, 7), "dilations": (1, 3, 7)},
    "fsd50k": {**IMAGES, "batch_size": 128, "tune": "short"},
    "ecg": {**SEQUENCES, "batch_size": 1024},
    "satellite": {**SEQUENCES, "batch_size": 256},
    "deepsea": {**SEQUENCES, "batch_size": 256, "grad_scale": 10},
    "mnist": DIGITS,
    "music-jsb": {**SEQUENCES, **DENSE, "batch_size": 4},
    "music-nottingham": {**SEQUENCES, **DENSE, "batch_size": 4},
}
ALL = [task.name for task in (*OFFICIAL, *FURTHER)]


def test_no_task_is_left_out() -> None:
    assert {name.removesuffix("-perm") for name in ALL} == DASH.keys()


@pytest.mark.parametrize("name", ALL)
def test_settings_are_those_of_dash(name: str) -> None:
    named = DASH[name.removesuffix("-perm")]
    got = TASKS[name].defaults.model_dump()
    assert {setting: got[setting] for setting in named} == named
    general = RunConfig().model_dump()  # DASH's budget, momentum, decay, penalty, clipping and tuning
    others = got.keys() - named.keys() - {"task", "eval_batch_size"}
    assert {setting: got[setting] for setting in others} == {setting: general[setting] for setting in others}


@pytest.mark.parametrize("name", ALL)
def test_the_paper_changes_no_setting_but_what_its_code_has(name: str) -> None:
    clean, paper = TASKS[name].defaults.model_dump(), TASKS[name].under("paper").defaults.model_dump()
    changed = {setting: value for setting, value in paper.items() if value != clean[setting]}
    expected: dict[str, object] = {"protocol": "paper"}
    if clean["backbone"] == "resnet1d":
        expected["search_milestones"] = (0.3, 0.6, 0.9)
    if name == "psicov":
        expected["eval_batch_size"] = 2
    assert changed == expected
