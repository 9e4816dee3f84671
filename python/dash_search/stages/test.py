# SPDX-License-Identifier: BSD-3-Clause
"""Last stage: the test split, looked at once, after everything has been chosen."""

import time

from torch import nn

from ..metrics import Metric
from ..run_folder import Stage
from ..training import Batches, Job, finite_score, predictions


def score(job: Job, network: str, model: nn.Module, batches: Batches) -> dict[str, float]:
    """Scores a trained network on the test split, logs the scores and returns them as :func:`scores_on_test` does."""
    stage = Stage("test", network)
    job.folder.restart(stage)
    began = time.perf_counter()
    scores = scores_on_test(model, batches, job.metric, job.config.device)
    beside = {name: value for name, value in scores.items() if name != "test"}
    record = {"test_score": scores["test"], **beside, "seconds": time.perf_counter() - began}
    job.folder.append(stage, record)
    return scores


def scores_on_test(model: nn.Module, batches: Batches, metric: Metric, device: str) -> dict[str, float]:
    """The metric over the whole split as "test", and those beside it by name."""
    predicted = predictions(model, batches, device)
    beside = {f"test {one.name}": finite_score(one, *predicted) for one in metric.beside}
    return {"test": finite_score(metric, *predicted), **beside}
