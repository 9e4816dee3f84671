# SPDX-License-Identifier: BSD-3-Clause
"""DASH's settings for one-dimensional tasks; what a task has in another way stands in its own file."""

from ..config import RunConfig

SEQUENCES = RunConfig(
    tune="grid",
    backbone="resnet1d",
    kernel_sizes=(3, 7, 11, 15, 19),
    dilations=(1, 3, 7, 15),
    milestones=(0.15, 0.3, 0.45, 0.6, 0.8),
)
# What its search had: it took the milestones of the training.
PAPER_SEARCH = {"search_milestones": (0.3, 0.6, 0.9)}
