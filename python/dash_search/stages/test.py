# SPDX-License-Identifier: BSD-3-Clause
"""Last stage: the test split, looked at once, after everything has been chosen."""

import time

from torch import nn

from ..training import Batches, Job, evaluate

STAGE = "test"


def score(job: Job, networks: dict[str, nn.Module], batches: Batches) -> dict[str, float]:
    """Scores the trained networks on the test split and logs it.

    Returns:
        The metric of each network over the whole split.
    """
    job.folder.cut_log(STAGE, epoch=0)
    scores = {}
    for name, model in networks.items():
        began = time.perf_counter()
        loss, scores[name] = evaluate(model, batches, job)
        record = {"stage": STAGE, "epoch": 1, "network": name, "loss": loss, "test_score": scores[name]}
        job.folder.append({**record, "seconds": time.perf_counter() - began})
    return scores
