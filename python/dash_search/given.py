# SPDX-License-Identifier: BSD-3-Clause
"""What a run takes over from earlier ones in place of its first stages."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config import Config
from .errors import SettingsError
from .run_folder import read_object
from .stages import Architecture, Hyperparameters, settings

FOUND, GIVEN, PLAIN = "searched", "given", "plain"
"""Names of networks in logs and tables: what the search found, what was given in its place, the unchanged backbone."""

_TUNABLE = ("lr", "weight_decay", "momentum", "dropout")


@dataclass(frozen=True)
class Given:
    """What is given, if anything.

    Attributes:
        architecture: In place of one that the search finds.
        hyperparameters: By network, in place of what tuning chooses.
    """

    architecture: Architecture | None = None
    hyperparameters: Mapping[str, Hyperparameters] | None = None

    @classmethod
    def of_run(cls, folder: Path) -> "Given":
        """What the run in a folder was given.

        Raises:
            RunFolderError: The folder holds no run, or a damaged one.
        """
        identity = read_object(folder / "identity.json")
        return cls(identity.get("given architecture"), identity.get("given hyperparameters"))

    def identity(self) -> dict[str, Any]:
        """What is the same whenever the same is given again, by name, ready for JSON."""
        return {"given architecture": self.architecture, "given hyperparameters": self.hyperparameters}

    def trained(self, architecture: Architecture, config: Config) -> dict[str, Architecture]:
        """The architectures of the networks that a run trains, by name; the plain network's is empty."""
        name = FOUND if self.architecture is None else GIVEN
        return {name: architecture} | ({PLAIN: {}} if config.plain else {})

    def values(self, config: Config, *, with_dropout: bool) -> dict[str, Hyperparameters] | None:
        """The hyper-parameters of each network that a run trains, those of the settings where it is given none.

        A network with a given architecture takes over what was chosen for one that a search found.

        Args:
            config: The settings.
            with_dropout: Whether the networks have dropout that can be set.

        Returns:
            By name, or None if none are given.

        Raises:
            SettingsError: A network has none, or a name or a value is not allowed.
        """
        if self.hyperparameters is None:
            return None
        given = self.hyperparameters
        if not isinstance(given, Mapping) or not all(isinstance(values, Mapping) for values in given.values()):
            raise SettingsError(
                'hyperparameters must be numbers by network: {"given": {"lr": 0.1, ...}, "plain": ...}.'
            )
        chosen = {}
        for name in self.trained({}, config):
            source = FOUND if name == GIVEN and GIVEN not in given else name
            if source not in given:
                there = ", ".join(map(str, given)) or "none"
                hint = ", or do not train it (plain)" if name == PLAIN else ""
                raise SettingsError(
                    f"hyperparameters has no values for the network {name!r}: give them{hint}. It has {there}."
                )
            chosen[name] = _checked(name, given[source], config, with_dropout)
        return chosen


def _checked(network: str, values: Hyperparameters, config: Config, with_dropout: bool) -> Hyperparameters:
    """The values of a network, completed by the settings."""
    unknown = [name for name in values if name not in _TUNABLE]
    if unknown:
        raise SettingsError(f"hyperparameters of {network} has {unknown[0]!r}: it may have {', '.join(_TUNABLE)}.")
    whole = config.changed(settings(dict(values)), f"hyperparameters of {network}")
    checked: Hyperparameters = {"lr": whole.lr, "weight_decay": whole.weight_decay, "momentum": whole.momentum}
    if "dropout" not in values:
        return checked
    share: object = values["dropout"]
    if not with_dropout:
        raise SettingsError(f"hyperparameters of {network} has dropout: the network has none that can be set.")
    if isinstance(share, bool) or not isinstance(share, float | int) or not 0 <= share < 1:
        raise SettingsError(f"hyperparameters of {network}: dropout is {share!r}: it must be at least 0 and below 1.")
    return {**checked, "dropout": share}


def read_given(what: str, path: Path) -> dict[str, Any]:
    """Reads an architecture or hyper-parameters from a JSON file.

    Raises:
        SettingsError: It cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read {what} from {path}: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"cannot read {what} from {path}: it holds no names with values.")
    return content
