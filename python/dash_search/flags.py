# SPDX-License-Identifier: BSD-3-Clause
"""The settings of a run as flags of a command line, made from their definitions in ``config``."""

import argparse

from .config import RunConfig

_NAMES = [name for name in RunConfig.model_fields if name != "task"]  # the task is a word of its own


def add_settings(parser: argparse.ArgumentParser, defaults: RunConfig | None) -> None:
    """Adds a flag for each setting; its value is left as words, which ``RunConfig.changed`` reads and checks.

    Args:
        parser: Where to.
        defaults: Whose values the help shows, if any.
    """
    group = parser.add_argument_group("settings")
    for name in _NAMES:
        value = getattr(defaults or RunConfig(), name)
        text = (RunConfig.model_fields[name].description or "").replace("%", "%%")
        if defaults is not None:
            shown = " ".join(map(str, value)) or "none" if isinstance(value, tuple) else value
            text += f" [{shown}]"
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        else:
            several = "*" if isinstance(value, tuple) else None
            metavar = name.upper().removesuffix("S") if several else name.upper()
            group.add_argument(flag, nargs=several, metavar=metavar, default=argparse.SUPPRESS, help=text)


def given_settings(given: argparse.Namespace) -> dict[str, object]:
    """The settings among the flags that were given, by name."""
    return {name: getattr(given, name) for name in _NAMES if hasattr(given, name)}
