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
    """Prints the kernel chosen per layer, the scores and the time of each stage, or what there is of them.

    Raises:
        RunFolderError: The folder holds nothing of this yet, or a file of it is damaged.
    """
    files = {name: folder / f"{name}.json" for name in ("architecture", "hyperparameters", "result")}
    if not files["architecture"].is_file():
        raise RunFolderError(f"{folder} holds no finished run and no finished search: it has no architecture.json.")
    there = {name: read_json(file) for name, file in files.items() if file.is_file()}
    remarks = [] if "result" in there else ["nothing is tested yet."]
    try:
        tables = [_kernels(there["architecture"])]
        if "result" in there:
            result = there["result"]
            tables += [_scores(result), _hyperparameters(result["hyperparameters"], "Trained with"), _times(result)]
            remarks = [str(remark) for remark in result["remarks"]]
        elif "hyperparameters" in there:
            tables.append(_hyperparameters(there["hyperparameters"], "To be trained with"))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        names = " or ".join(f"{name}.json" for name in there)
        raise RunFolderError(f"{names} in {folder} is damaged: {error!r}") from error
    for table in tables:
        console.print(table, soft_wrap=False)
    for remark in remarks:
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


def _hyperparameters(of_networks: dict[str, dict[str, float]], title: str) -> Table:
    names = list(dict.fromkeys(name for values in of_networks.values() for name in values))
    table = Table("network", *(name.replace("_", " ") for name in names), title=title)
    for network, values in of_networks.items():
        table.add_row(network, *(f"{values[name]:g}" if name in values else "-" for name in names))
    return table


def _times(result: dict[str, dict[str, float]]) -> Table:
    table = Table("stage", "time", title="Time per stage")
    for stage, seconds in result["seconds"].items():
        table.add_row(stage, str(timedelta(seconds=round(seconds))))
    return table
