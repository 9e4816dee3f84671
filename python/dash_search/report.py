# SPDX-License-Identifier: BSD-3-Clause
"""The outcome of a run as tables, out of its folder."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .errors import RunFolderError
from .run_folder import read_json


def report(folder: Path, console: Console) -> None:
    """Prints the kernel chosen per layer, the scores and the time of each stage.

    Raises:
        RunFolderError: The folder holds no finished run.
    """
    if not (folder / "result.json").is_file():
        raise RunFolderError(f"{folder} holds no finished run: it has no result.json.")
    architecture, result = read_json(folder / "architecture.json"), read_json(folder / "result.json")
    try:
        tables = _kernels(architecture), _scores(result), _hyperparameters(result), _times(result)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"architecture.json or result.json in {folder} is damaged: {error!r}") from error
    for table in tables:
        console.print(table, soft_wrap=False)
    for remark in result.get("remarks", []):
        console.print(f"Note: {remark}")
    console.print(f"Everything is in {folder}")


def _kernels(architecture: dict[str, dict[str, list[int]]]) -> Table:
    table = Table("layer", "kernel", "dilation", title="Kernels chosen")
    for name, choice in architecture.items():
        table.add_row(name, *("x".join(map(str, choice[what])) for what in ("kernel_size", "dilation")))
    return table


def _scores(result: dict[str, Any]) -> Table:
    beside = list(dict.fromkeys(part for parts in result["scores"].values() for part in parts if " " in part))
    scores = (f"valid {result['metric']}", f"test {result['metric']}", *beside)
    table = Table("network", *scores, "parameters", title="Scores")
    for name, parts in result["scores"].items():
        shown = (f"{parts[part]:.4g}" if part in parts else "-" for part in ("valid", "test", *beside))
        table.add_row(name, *shown, f"{result['parameters'][name]:,}")
    return table


def _hyperparameters(result: dict[str, Any]) -> Table:
    names = list(dict.fromkeys(name for values in result["hyperparameters"].values() for name in values))
    table = Table("network", *(name.replace("_", " ") for name in names), title="Trained with")
    for network, values in result["hyperparameters"].items():
        table.add_row(network, *(f"{values[name]:g}" if name in values else "-" for name in names))
    return table


def _times(result: dict[str, dict[str, float]]) -> Table:
    table = Table("stage", "time", title="Time per stage")
    for stage, seconds in result["seconds"].items():
        table.add_row(stage, str(timedelta(seconds=round(seconds))))
    return table
