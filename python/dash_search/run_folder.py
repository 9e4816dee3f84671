# SPDX-License-Identifier: BSD-3-Clause
"""The folder of one run: settings, log, checkpoints and results, consistent whenever the run is cut off."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from .config import Config
from .environment import environment
from .errors import RunFolderError

Record = dict[str, Any]


class Stateful(Protocol):
    """Anything whose state a checkpoint holds: a module, an optimiser, a tracker."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> object: ...


class RunFolder:
    """Opens the folder of a run, new or to be resumed.

    Contents: ``config.json``, ``environment.json``, ``engines.json`` (of each pass of each layer in the search),
    ``log.jsonl`` (one record per epoch), ``checkpoints/STAGE.pt``, ``architecture.json``, ``NETWORK.pt`` (best
    weights), ``result.json`` (written last). Every file but the log is replaced whole, and the log is cut back to the
    checkpoints when a run is resumed.

    Args:
        path: The folder; made if it is not there.
        config: Settings of the run.
        resume: Go on with the run that is in the folder, which must have the same settings.

    Raises:
        RunFolderError: The folder holds a run and ``resume`` is false, or holds another one or none and it is true.
    """

    def __init__(self, path: Path, config: Config, *, resume: bool) -> None:
        self.path = path
        self._log = path / "log.jsonl"
        if resume:
            self._check_same(config)
        else:
            if path.exists() and any(path.iterdir()):
                raise RunFolderError(f"{path} is not empty. Resume the run in it, or choose another folder.")
            (path / "checkpoints").mkdir(parents=True, exist_ok=True)
            self._log.touch()
            self.write_json("environment.json", environment())
            self.write_json("config.json", config.model_dump())  # last: its presence says that there is a run

    def _check_same(self, config: Config) -> None:
        try:
            before = json.loads((self.path / "config.json").read_text())
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{self.path} holds no run to resume ({error}).") from error
        now = json.loads(config.model_dump_json())
        differing = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
        if differing:
            changes = ", ".join(f"{name} was {before.get(name)!r}, now {now.get(name)!r}" for name in differing)
            raise RunFolderError(f"the run in {self.path} had other settings: {changes}. Resume with the same ones.")

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON file as a whole."""
        self._replace(self.path / name, (json.dumps(value, indent=2) + "\n").encode())

    def append(self, record: Record) -> None:
        """Adds a record to the log."""
        with self._log.open("a") as log:
            log.write(json.dumps(record) + "\n")

    def history(self, stage: str | None = None) -> list[Record]:
        """The records of the log, all or those of one stage."""
        whole = self._log.read_text().rpartition("\n")[0]  # a line without its end was cut off while being written
        records: list[Record] = [json.loads(line) for line in whole.splitlines()]
        return [record for record in records if stage in (None, record["stage"])]

    def save(self, stage: str, epoch: int, parts: Mapping[str, Stateful]) -> None:
        """Writes the checkpoint of a stage, with torch's random state, as a whole.

        Args:
            stage: Name of the stage.
            epoch: Epochs done.
            parts: What to save; each gives a state of tensors, numbers, strings and containers of these.
        """
        states = {name: part.state_dict() for name, part in parts.items()}
        state = {"epoch": epoch, "parts": states, "random": _random_states()}
        self._save_tensors(self.path / "checkpoints" / f"{stage}.pt", state)

    def save_weights(self, network: str, model: nn.Module) -> None:
        """Writes the ``state_dict`` of a network to ``NETWORK.pt``."""
        self._save_tensors(self.path / f"{network}.pt", model.state_dict())

    def restore(self, stage: str, parts: Mapping[str, Stateful]) -> int:
        """Loads the checkpoint of a stage if there is one, and cuts the log of the stage back to it.

        Returns:
            Epochs done so far.

        Raises:
            RunFolderError: The checkpoint cannot be read or belongs to other networks.
        """
        path = self.path / "checkpoints" / f"{stage}.pt"
        epoch = 0
        if path.exists():
            try:
                saved = torch.load(path, weights_only=True)
                for name, part in parts.items():
                    part.load_state_dict(saved["parts"][name])
            except (KeyError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
                raise RunFolderError(f"{path} cannot be resumed: {error}. Start the run in another folder.") from error
            _set_random_states(saved["random"])
            epoch = saved["epoch"]
        self.cut_log(stage, epoch)
        return epoch

    def cut_log(self, stage: str, epoch: int) -> None:
        """Drops the records of a stage that are later than an epoch."""
        kept = [r for r in self.history() if r["stage"] != stage or r["epoch"] <= epoch]
        self._replace(self._log, "".join(json.dumps(record) + "\n" for record in kept).encode())

    def _save_tensors(self, path: Path, state: dict[str, Any]) -> None:
        unfinished = path.with_suffix(".tmp")
        torch.save(state, unfinished)
        unfinished.replace(path)

    def _replace(self, path: Path, content: bytes) -> None:
        unfinished = path.with_suffix(".tmp")
        unfinished.write_bytes(content)
        unfinished.replace(path)


def _random_states() -> list[torch.Tensor]:
    return [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]


def _set_random_states(states: list[torch.Tensor]) -> None:
    torch.set_rng_state(states[0])
    if states[1:]:
        torch.cuda.set_rng_state_all(states[1:])
