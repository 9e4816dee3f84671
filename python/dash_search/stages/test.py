# SPDX-License-Identifier: BSD-3-Clause
"""Last stage: the test split, looked at once, after everything has been chosen."""

import time

from torch import nn

from ..run_folder import Stage
from ..training import Batches, Job, evaluate


def score(job: Job, network: str, model: nn.Module, batches: Batches) -> float:
    """Scores a trained network on the test split and logs it.

    Returns:
        The metric over the whole split.
    """
    stage = Stage("test", network)
    job.folder.restart(stage)
    began = time.perf_counter()
    value = evaluate(model, batches, job)
    job.folder.append(stage, {"test_score": value, "seconds": time.perf_counter() - began})
    return value
