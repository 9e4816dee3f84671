# SPDX-License-Identifier: BSD-3-Clause
"""The command ``dash-search``."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import dash_kernels as dk

from .cli_stages import STAGED, add_staged, run_stages
from .errors import DashSearchError
from .export import check_path, export_program
from .kept import read_kept
from .progress import terminal
from .report import report
from .retest import retest
from .run import find_task, show_licences
from .tasks import TASKS, Task


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
    add_staged(verbs)
    tested = verbs.add_parser(
        "test", help="score the networks of a finished run on the test part again, and note what differs"
    )
    tested.add_argument("folder", metavar="DIR", type=Path)
    tested.add_argument("--device", help="where to compute, as torch names it (as in the run)")
    exported = verbs.add_parser("export", help="write a trained network as a program of torch alone (torch.export)")
    exported.add_argument("folder", metavar="DIR", type=Path)
    exported.add_argument("--out", metavar="FILE", type=Path, required=True, help="where to; the name ends in .pt2")
    exported.add_argument("--network", metavar="NAME", help="searched, given or plain (by default not plain)")
    shown = verbs.add_parser("report", help="print the outcome of a run")
    shown.add_argument("folder", metavar="DIR", type=Path)
    return parser


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
            _data(console, find_task(given.task, given.protocol))
        elif given.verb == "report":
            report(given.folder, console)
        elif given.verb == "test":
            retest(read_kept(given.folder, console, given.device), console)
        elif given.verb == "export":
            _export(console, given)
        elif given.verb in STAGED:
            run_stages(console, given)
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


def _export(console: Console, given: argparse.Namespace) -> None:
    check_path(given.out)
    kept = read_kept(given.folder, console, "cpu")
    name = next(iter(kept.scores)) if given.network is None else given.network
    inputs, _ = next(iter(kept.problem.valid))
    export_program(kept.network(name), inputs, given.out)
    console.print(f"the {name} network is in {given.out}: torch.export.load({str(given.out)!r}).module()")
    kind, shape = str(inputs.dtype).removeprefix("torch."), ", ".join(map(str, inputs.shape[1:]))
    console.print(f"it takes (batch, {shape}) of {kind} and returns what the metric takes, in the units of the targets")
