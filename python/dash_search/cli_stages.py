# SPDX-License-Identifier: BSD-3-Clause
"""The verbs of ``dash-search`` that fill a run folder: all stages of a run, or some of them."""

import argparse
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from .config import RunConfig
from .errors import SettingsError
from .flags import add_settings, given_settings
from .given import Given, read_given
from .opened import default_run_dir
from .report import report
from .run import find_task, run_task, search_task, tune_task
from .tasks import TASKS, Task


@dataclass(frozen=True)
class Verb:
    """What a verb takes and does.

    Attributes:
        does: For the help.
        architecture: Whether it needs ``--architecture``.
        hyperparameters: Whether it may be given ``--hyperparameters``.
        next: The words that go on with what it found, {0} for its folder.
    """

    does: str
    architecture: bool = False
    hyperparameters: bool = False
    next: str = ""


RUN, SEARCH, TUNE, RETRAIN = "run", "search", "tune", "retrain"
STAGED = {
    RUN: Verb("search, tune if asked to, retrain and test on a task"),
    SEARCH: Verb(
        "search an architecture, and no more",
        next="retrain --config {0}/config.json --architecture {0}/architecture.json",
    ),
    TUNE: Verb(
        "choose hyper-parameters for an architecture by short trials",
        architecture=True,
        next="retrain --config {0}/config.json --architecture {0}/architecture.json "
        "--hyperparameters {0}/hyperparameters.json",
    ),
    RETRAIN: Verb("retrain and test an architecture", architecture=True, hyperparameters=True),
}


def add_staged(verbs: Any) -> None:
    """Adds a parser for each of these verbs."""
    for name, verb in STAGED.items():
        _add_options(verbs.add_parser(name, help=verb.does, **_parser_of(name)), name, None)


def _parser_of(name: str) -> dict[str, Any]:
    """How the parser of a verb is made."""
    verb = STAGED[name]
    what = "TASK" + " --architecture FILE" * verb.architecture + " [--hyperparameters FILE]" * verb.hyperparameters
    return {
        "add_help": False,  # the help shows the defaults of the task, which is known after parsing
        "allow_abbrev": False,
        "usage": f"dash-search {name} {what} [--config FILE] [--run-dir DIR] [SETTINGS]\n"
        f"       dash-search {name} --resume DIR",
        "epilog": f"Defaults are those of the task: dash-search {name} TASK --help",
    }


def _add_options(parser: argparse.ArgumentParser, name: str, defaults: RunConfig | None) -> argparse.ArgumentParser:
    """Adds everything about a verb to a parser; its help shows these defaults."""
    parser.add_argument(
        "task",
        metavar="TASK",
        nargs="?",
        help=f"one of {', '.join(TASKS)}; known with --resume, and from a config.json",
    )
    parser.add_argument("-h", "--help", action="store_true", help="show this text, with TASK its defaults")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML or JSON file of settings; flags go before it")
    if STAGED[name].architecture:
        text = "architecture.json of a run, or a file like it: JSON of layer names, kernel sizes and dilations"
        parser.add_argument("--architecture", type=Path, metavar="FILE", help=text)
    if STAGED[name].hyperparameters:
        text = "hyperparameters.json of a run, or a file like it: JSON of networks and their values; nothing is tuned"
        parser.add_argument("--hyperparameters", type=Path, metavar="FILE", help=text)
    folder = parser.add_mutually_exclusive_group()
    folder.add_argument("--run-dir", type=Path, metavar="DIR", help="new folder for the results (runs/TASK-TIME)")
    folder.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in this folder")
    add_settings(parser, defaults)
    return parser


def run_stages(console: Console, given: argparse.Namespace) -> None:
    """Carries out one of these verbs, from the words that its parser took."""
    files = [file for file in (given.resume and given.resume / "config.json", given.config) if file]
    chosen = RunConfig()  # for the task and the protocol: their defaults lie below all of it
    for file in files:
        chosen = chosen.with_file(file)
    name, protocol = given.task or chosen.task, getattr(given, "protocol", chosen.protocol)
    if given.help:
        defaults = _tuned(given.verb, find_task(name, protocol).defaults) if name else None
        _add_options(argparse.ArgumentParser(**_parser_of(given.verb)), given.verb, defaults).print_help()
        return
    if not name:
        raise SettingsError(
            "name a task, and before flags of several values: "
            f"dash-search {given.verb} TASK. Tasks: {', '.join(TASKS)}."
        )
    task = find_task(name, protocol)
    config = task.defaults
    for file in files:
        config = config.with_file(file)
    if config.task != task.name:
        raise SettingsError(f"these are settings of the task {config.task!r}, not of {task.name!r}.")
    config = _tuned(given.verb, config).changed(given_settings(given), words=True)
    run_dir = given.resume or given.run_dir or default_run_dir(task.name)
    begun = run_dir / "config.json"
    of_another = given.resume is None and os.path.isfile(begun)  # the search will refuse it
    try:
        _carry_out(given, task, config, run_dir, console)
    except (KeyboardInterrupt, BrokenPipeError):
        if os.path.isfile(begun) and not of_another:
            print(f"\nGo on with: dash-search {given.verb} --resume {shlex.quote(str(run_dir))}", file=sys.stderr)
        raise
    report(run_dir, console)
    if STAGED[given.verb].next:
        console.print(f"Train it with: dash-search {STAGED[given.verb].next.format(shlex.quote(str(run_dir)))}")


def _tuned(verb: str, config: RunConfig) -> RunConfig:
    """The settings, with the whole grid where they tune nothing and the verb does nothing else."""
    return config.changed({"tune": "grid"}) if verb == TUNE and config.tune == "none" else config


def _carry_out(given: argparse.Namespace, task: Task, config: RunConfig, run_dir: Path, console: Console) -> None:
    options: dict[str, Any] = {"resume": given.resume is not None, "console": console}
    before = Given() if given.resume is None else Given.of_run(given.resume)
    if before.architecture is not None and given.verb in (RUN, SEARCH):
        raise SettingsError(
            f"the run in {run_dir} was given its architecture: dash-search {RETRAIN} --resume "
            f"{shlex.quote(str(run_dir))}."
        )
    if given.verb == SEARCH:
        search_task(task, config, run_dir, **options)
        return
    if given.verb == RUN:
        run_task(task, config, run_dir, **options)
        return
    architecture, values = before.architecture, before.hyperparameters
    if given.architecture is not None:
        architecture = read_given("an architecture", given.architecture)
    if architecture is None and given.resume is not None:
        raise SettingsError(
            f"the run in {run_dir} searches its architecture: dash-search run --resume {shlex.quote(str(run_dir))}."
        )
    if architecture is None:
        raise SettingsError(f"name the architecture: dash-search {given.verb} TASK --architecture FILE.")
    if given.verb == TUNE:
        tune_task(task, config, run_dir, architecture=architecture, **options)
        return
    if given.hyperparameters is not None:
        values = read_given("hyper-parameters", given.hyperparameters)
    run_task(task, config, run_dir, architecture=architecture, hyperparameters=values, **options)
