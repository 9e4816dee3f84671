# SPDX-License-Identifier: BSD-3-Clause
"""The outcome of a run as tables."""

import json
from datetime import timedelta

from rich.console import Console
from rich.table import Table

from .core import Result


def report(result: Result, console: Console) -> None:
    """Prints the kernel chosen per layer, the scores and the time of each stage."""
    stored = json.loads((result.run_dir / "result.json").read_text())
    kernels = Table("layer", "kernel", "dilation", title="Kernels chosen")
    for name, choice in result.architecture.items():
        kernels.add_row(name, _per_axis(choice["kernel_size"]), _per_axis(choice["dilation"]))
    scores = Table("network", f"valid {stored['metric']}", f"test {stored['metric']}", title="Scores")
    for name, parts in result.scores.items():
        scores.add_row(name, f"{parts['valid']:.4g}", f"{parts['test']:.4g}" if "test" in parts else "-")
    times = Table("stage", "time", title="Time per stage")
    for stage, seconds in stored["seconds"].items():
        times.add_row(stage, str(timedelta(seconds=round(seconds))))
    for table in (kernels, scores, times):
        console.print(table, soft_wrap=False)
    console.print(f"Everything is in {result.run_dir}")


def _per_axis(numbers: list[int]) -> str:
    return "x".join(map(str, numbers))
