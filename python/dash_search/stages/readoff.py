# SPDX-License-Identifier: BSD-3-Clause
"""Second stage: read the architecture off the trained supernet."""

from torch import nn

import dash_kernels as dk

from ..training import Job

Architecture = dict[str, dict[str, list[int]]]


def read_off(job: Job, supernet: nn.Module) -> Architecture:
    """Takes each layer's candidate with the largest logit and writes them to ``architecture.json``.

    Args:
        job: Gives the run folder.
        supernet: The trained supernet; its layers are replaced by their winners in place.

    Returns:
        ``{module name: {"kernel_size": [...], "dilation": [...]}}``.
    """
    architecture: Architecture = dk.discretize(supernet, weights="keep")
    job.folder.write_json("architecture.json", architecture)
    return architecture
