# SPDX-License-Identifier: BSD-3-Clause
"""The command ``dash-search``."""

import argparse
import errno
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

import dash_kernels as dk

from .config import RunConfig
from .core import default_run_dir
from .errors import DashSearchError, SettingsError
from .flags import add_settings, given_settings
from .progress import terminal
from .report import report
from .run import run_task, show_licences
from .stages import Architecture
from .tasks import TASKS, Task

RUN, RETRAIN = "run", "retrain"


def _parser_of(verb: str) -> dict[str, Any]:
    """How the parser of a run is made."""
    what = "TASK --architecture FILE" if verb == RETRAIN else "TASK"
    return {
        "add_help": False,  # the help shows the defaults of the task, which is known after parsing
        "allow_abbrev": False,
        "usage": f"dash-search {verb} {what} [--config FILE] [--run-dir DIR] [SETTINGS]\n"
        f"       dash-search {verb} --resume DIR",
        "epilog": f"Defaults are those of the task: dash-search {verb} TASK --help",
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dash-search",
        description="Search the kernel size and the dilation of every convolution of a network.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dash-search {dk.__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("tasks", help="list the built-in tasks")
    data = verbs.add_parser("data", help="fetch, check and describe the data of a task")
    data.add_argument("task", metavar="TASK")
    data.add_argument("--protocol", default="clean", help="clean, or for tasks of NAS-Bench-360 paper")
    for verb, does in ((RUN, "search, retrain and test on a task"), (RETRAIN, "retrain and test an architecture")):
        _add_run(verbs.add_parser(verb, help=does, **_parser_of(verb)), verb, None)
    shown = verbs.add_parser("report", help="print the outcome of a run")
    shown.add_argument("folder", metavar="DIR", type=Path)
    return parser


def _add_run(run: argparse.ArgumentParser, verb: str, defaults: RunConfig | None) -> argparse.ArgumentParser:
    """Adds everything about a run to a parser; its help shows these defaults."""
    run.add_argument(
        "task",
        metavar="TASK",
        nargs="?",
        help=f"one of {', '.join(TASKS)}; known with --resume, and from a config.json",
    )
    run.add_argument("-h", "--help", action="store_true", help="show this text, with TASK its defaults")
    run.add_argument("--config", type=Path, metavar="FILE", help="TOML or JSON file of settings; flags go before it")
    if verb == RETRAIN:
        text = "architecture.json of a run, or a file like it: JSON of layer names, kernel sizes and dilations"
        run.add_argument("--architecture", type=Path, metavar="FILE", help=text)
    folder = run.add_mutually_exclusive_group()
    folder.add_argument("--run-dir", type=Path, metavar="DIR", help="new folder for the results (runs/TASK-TIME)")
    folder.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in this folder")
    add_settings(run, defaults)
    return run


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: Words after the command's name, by default those of the process.

    Returns:
        Exit status: 0, 1 after an error that was printed, 130 after Ctrl-C.
    """
    console = terminal()
    given = _parser().parse_args(arguments)
    try:
        if given.verb == "tasks":
            for task in TASKS.values():
                console.print(f"{task.name}  {task.summary}")
        elif given.verb == "data":
            _data(console, _task(given.task, given.protocol))
        elif given.verb == "report":
            report(given.folder, console)
        else:
            _run(console, given)
        sys.stdout.flush()
    except DashSearchError as error:
        print(f"dash-search: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        reasons = {
            errno.EPIPE: "nothing reads its output any more",
            errno.ENOSPC: "the disk of its output is full",
        }
        if error.errno not in reasons:
            raise
        print(f"dash-search: stopped, because {reasons[error.errno]}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains again at its end
        return 1
    except KeyboardInterrupt:
        print("\ndash-search: stopped", file=sys.stderr)
        return 130
    return 0


def _task(name: str, protocol: str) -> Task:
    if name not in TASKS:
        raise SettingsError(f"there is no task {name!r}. Tasks: {', '.join(TASKS)}.")
    return TASKS[name].under(protocol)


def _data(console: Console, task: Task) -> None:
    show_licences(task, console)
    paths = task.fetch(console.print)
    for path in paths:
        console.print(f"  {path}")
    splits = task.load(paths)
    for name in ("train", "valid", "test"):
        part = getattr(splits, name)
        inputs, targets = part[0]
        to = f" to {tuple(targets.shape)}" if targets.dim() else ""
        console.print(f"{name:>6}: {len(part)} samples of {tuple(inputs.shape)}{to}")
    for remark in splits.remarks:
        console.print(f"note: {remark}")


def _run(console: Console, given: argparse.Namespace) -> None:
    files = [file for file in (given.resume and given.resume / "config.json", given.config) if file]
    chosen = RunConfig()  # for the task and the protocol: their defaults lie below all of it
    for file in files:
        chosen = chosen.with_file(file)
    name, protocol = given.task or chosen.task, getattr(given, "protocol", chosen.protocol)
    if given.help:
        defaults = _task(name, protocol).defaults if name else None
        _add_run(argparse.ArgumentParser(**_parser_of(given.verb)), given.verb, defaults).print_help()
        return
    if not name:
        raise SettingsError(
            "name a task, and before flags of several values: "
            f"dash-search {given.verb} TASK. Tasks: {', '.join(TASKS)}."
        )
    task = _task(name, protocol)
    config = task.defaults
    for file in files:
        config = config.with_file(file)
    if config.task != task.name:
        raise SettingsError(f"these are settings of the task {config.task!r}, not of {task.name!r}.")
    config = config.changed(given_settings(given), words=True)
    run_dir = given.resume or given.run_dir or default_run_dir(task.name)
    architecture = _architecture(given) if given.verb == RETRAIN else None
    begun = run_dir / "config.json"
    of_another = given.resume is None and os.path.isfile(begun)  # the search will refuse it
    try:
        run_task(task, config, run_dir, resume=given.resume is not None, console=console, architecture=architecture)
    except (KeyboardInterrupt, BrokenPipeError):
        if os.path.isfile(begun) and not of_another:
            print(f"\nGo on with: dash-search {given.verb} --resume {shlex.quote(str(run_dir))}", file=sys.stderr)
        raise
    report(run_dir, console)


def _architecture(given: argparse.Namespace) -> Architecture:
    """What to retrain: of a file, or of the run that is resumed."""
    path = given.architecture or (given.resume and given.resume / "architecture.json")
    if path is None:
        raise SettingsError("name the architecture: dash-search retrain TASK --architecture FILE.")
    try:
        architecture: Architecture = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read an architecture from {path}: {error}") from error
    return architecture
