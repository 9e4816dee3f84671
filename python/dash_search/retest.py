# SPDX-License-Identifier: BSD-3-Clause
"""The test of a finished run once more, with the networks that it kept."""

import math

from rich.console import Console
from rich.table import Table

from . import preflight
from .kept import Kept
from .stages import scores_on_test

# Relative; other engines, devices and numbers of threads round in another way.
_ROUNDING = 1e-4


def retest(kept: Kept, console: Console) -> dict[str, dict[str, float]]:
    """Scores every network that a run kept on the test part, and prints the scores beside those of ``result.json``.

    Args:
        kept: The run.
        console: Where to.

    Returns:
        The scores on the test part by network, named as in ``Result.scores``.

    Raises:
        RunFolderError: A network cannot be built or loaded.
        SettingsError: The device or the engine cannot be used.
        TrainingError: Outputs or a score are not finite.
    """
    problem, test = kept.problem, kept.problem.test
    assert test is not None  # every built-in task has one
    scores = {}
    with preflight.computing(kept.config):
        for name in kept.scores:
            network = kept.network(name)
            with preflight.explained(f"the {name} network fails on the test part"):
                scores[name] = scores_on_test(network, test, problem.metric, kept.config.device)
    table = Table("network", "score", "now", "in result.json", title="Test scores")
    differing = []
    for name, parts in scores.items():
        for part, score in parts.items():
            before = kept.scores[name].get(part, math.nan)
            shown = part if " " in part else f"test {problem.metric.name}"
            table.add_row(name, shown, f"{score:.6g}", f"{before:.6g}")
            if not math.isclose(score, before, rel_tol=_ROUNDING):
                differing.append(f"{shown} of {name} is {score:.6g}, was {before:.6g}")
    console.print(table, soft_wrap=False)
    console.print(f"Note: {'; '.join(differing)}." if differing else "These are the scores of result.json.")
    return scores
