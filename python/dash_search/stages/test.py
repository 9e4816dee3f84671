# SPDX-License-Identifier: BSD-3-Clause
"""Last stage: the test split, looked at once, after everything has been chosen."""

import time

from torch import nn

from ..run_folder import Stage
from ..training import Batches, Job, finite_score, predictions


def score(job: Job, network: str, model: nn.Module, batches: Batches) -> dict[str, float]:
    """Scores a trained network on the test split and logs it.

    Returns:
        The metric over the whole split as "test", and those beside it by name.
    """
    stage = Stage("test", network)
    job.folder.restart(stage)
    began = time.perf_counter()
    predicted = predictions(model, batches, job)
    value = finite_score(job.metric, *predicted)
    beside = {f"test {metric.name}": finite_score(metric, *predicted) for metric in job.metric.beside}
    job.folder.append(stage, {"test_score": value, **beside, "seconds": time.perf_counter() - began})
    return {"test": value, **beside}
