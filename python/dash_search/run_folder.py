# SPDX-License-Identifier: BSD-3-Clause
"""The folder of one run: settings, log, checkpoints and results, consistent whenever the run is cut off."""

import io
import json
import os
import textwrap
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import filelock
import torch
from torch import nn

from .config import Config
from .environment import environment
from .errors import RunFolderError

Record = dict[str, Any]
"""A line of the log: "stage", "network", "seconds", "epoch" in a stage that has epochs, and what was measured."""


class Stage(NamedTuple):
    """A stage of a run and the network it works on."""

    stage: str
    network: str

    def __str__(self) -> str:
        return " ".join(self)


class Stateful(Protocol):
    """Anything whose state a checkpoint holds: a module, an optimiser, a tracker."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> object: ...


class RunFolder:
    """The folder of a run, new or to be resumed; a context manager that keeps every other run out of it.

    Contents: ``config.json``, ``identity.json`` (what a resumed run must have in common with the one before),
    ``environment.json`` (one record for the start and one per resume), ``engines.json``, ``log.jsonl`` (a record per
    epoch and per test), ``checkpoints/STAGE-NETWORK.pt``, ``architecture.json``, ``NETWORK.pt`` (best weights),
    ``result.json`` (written last). Every file but the log is replaced whole, and the log is cut back to the
    checkpoints when a run is resumed.

    Args:
        path: The folder; made if it is not there.
        config: Settings of the run.
        identity: What else makes two runs the same, by name, ready for JSON.
        resume: Go on with the run that is in the folder, which must have the same settings and identity.

    Raises:
        RunFolderError: The folder holds a run and ``resume`` is false, or holds another one or none and it is true;
            another run is going on in it; it cannot be read or written.
    """

    def __init__(self, path: Path, config: Config, identity: Mapping[str, Any], *, resume: bool) -> None:
        self.path = path
        self._log = path / "log.jsonl"
        self._checkpoints = path / "checkpoints"
        self._opened: list[Stage] = []
        try:
            if resume and not (path / "config.json").is_file():
                raise RunFolderError(f"{path} holds no run to resume: it has no config.json.")
            path.mkdir(parents=True, exist_ok=True)
            self._lock = filelock.FileLock(path / ".lock", timeout=0)
            self._lock.acquire()
        except filelock.Timeout as error:
            raise RunFolderError(f"a run is going on in {path}. Wait for it, or choose another folder.") from error
        except (OSError, NotImplementedError, ValueError) as error:  # the last one: a null character in the path
            raise RunFolderError(f"{path} cannot be used as a run folder: {error}") from error
        try:
            self._resume(config, identity) if resume else self._begin(config, identity)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def _begin(self, config: Config, identity: Mapping[str, Any]) -> None:
        # a run that was cut off before config.json left these at most, and nothing that anybody could want back
        ours = {".lock", "checkpoints", "environment.json", "identity.json", "log.jsonl"}
        try:
            found = {entry.name for entry in self.path.iterdir() if entry.suffix != ".tmp"}
            if found - ours or (self._log.exists() and self._log.stat().st_size):
                raise RunFolderError(f"{self.path} is not empty. Resume the run in it, or choose another folder.")
            self._checkpoints.mkdir(exist_ok=True)
            self._log.touch()
        except OSError as error:
            raise RunFolderError(f"{self.path} cannot be used as a run folder: {error}") from error
        self.write_json("environment.json", [environment()])
        self.write_json("identity.json", identity)
        self.write_json("config.json", config.model_dump())  # last: its presence says that there is a run

    def _resume(self, config: Config, identity: Mapping[str, Any]) -> None:
        defaults = type(config)().model_dump(mode="json")  # of settings that there were not yet when the run began
        for name, what, before, now in (
            ("config.json", "settings", defaults, config.model_dump()),
            ("identity.json", "data or networks", {}, identity),
        ):
            changes = differences({**before, **read_object(self.path / name)}, now)
            if changes:
                raise RunFolderError(f"the run in {self.path} had other {what}: {changes}. Resume with the same ones.")
        if not self._checkpoints.is_dir():
            raise RunFolderError(f"{self.path} has no folder checkpoints, so the run in it cannot be resumed.")
        self.history()  # a damaged log is told before anything is computed
        before = read_json(self.path / "environment.json")
        self.write_json("environment.json", [*(before if isinstance(before, list) else [before]), environment()])

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON file as a whole."""
        content = (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
        self._replace(self.path / name, content)

    def save_weights(self, network: str, model: nn.Module) -> None:
        """Writes the ``state_dict`` of a network to ``NETWORK.pt``."""
        self._replace(self.path / f"{network}.pt", _saved(model.state_dict()))

    def append(self, stage: Stage, values: Mapping[str, Any]) -> Record:
        """Adds a record to the log and returns it."""
        record = {**stage._asdict(), **values}
        try:
            with self._log.open("a") as log:
                log.write(json.dumps(record, allow_nan=False) + "\n")
                log.flush()
                os.fsync(log.fileno())
        except OSError as error:
            raise RunFolderError(f"cannot write {self._log}: {error}") from error
        return record

    def history(self) -> list[Record]:
        """The records of the log.

        Raises:
            RunFolderError: The log is missing or damaged.
        """
        try:
            text = self._log.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{self._log} is missing or damaged: {error}") from error
        records: list[Record] = []
        for number, line in enumerate(text.split("\n")[:-1], start=1):  # a line without its end was being written
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not _is_record(record):
                raise RunFolderError(f"{self._log} is damaged: line {number} is no record of a run.")
            records.append(record)
        return records

    def save(self, stage: Stage, epoch: int, parts: Mapping[str, Stateful]) -> None:
        """Writes the checkpoint of a stage as a whole.

        Args:
            stage: Which.
            epoch: Epochs done.
            parts: What to save; each gives a state of tensors, numbers, strings and containers of these.
        """
        state = {"epoch": epoch, "parts": {name: part.state_dict() for name, part in parts.items()}}
        self._replace(self._checkpoint(stage), _saved(state))

    def restore(self, stage: Stage, epochs: int, parts: Mapping[str, Stateful]) -> int:
        """Loads the checkpoint of a stage if there is one, and cuts the log back to it.

        Where the stage is not finished, nothing of a later stage is left: it followed from another course of this one.

        Returns:
            Epochs done so far, of ``epochs``.

        Raises:
            RunFolderError: The checkpoint cannot be read or belongs to other networks, or the log lacks its epochs.
        """
        path = self._checkpoint(stage)
        done = 0
        if path.exists():
            try:
                saved = torch.load(path, weights_only=True)
                done = saved["epoch"]
                if not 0 < done <= epochs:
                    raise ValueError(f"it is of epoch {done}")
                for name, part in parts.items():
                    part.load_state_dict(saved["parts"][name])
            except Exception as error:  # a damaged file, or the state of another network, may fail in any way
                raise RunFolderError(f"{path} cannot be resumed: {error}. Start the run in another folder.") from error
        self._opened.append(stage)
        self._cut_log(stage, done, finished=done == epochs)
        return done

    def restart(self, stage: Stage) -> None:
        """Drops what the log has of a stage without checkpoints."""
        self._opened.append(stage)
        self._cut_log(stage, 0, finished=False)

    def _cut_log(self, stage: Stage, done: int, *, finished: bool) -> None:
        kept: list[Record] = []
        for record in self.history():
            its = Stage(record["stage"], record["network"])
            if record.get("epoch", 1) <= done if its == stage else its in self._opened or finished:
                kept.append(record)
        if sum(Stage(record["stage"], record["network"]) == stage for record in kept) != done:
            raise RunFolderError(f"{self._log} lacks epochs of {stage}. Start the run in another folder.")
        lines = "".join(json.dumps(record) + "\n" for record in kept).encode()
        self._replace(self._log, lines)
        if not finished:
            for path in set(self._checkpoints.glob("*.pt")) - {self._checkpoint(one) for one in self._opened}:
                path.unlink()

    def _checkpoint(self, stage: Stage) -> Path:
        return self._checkpoints / f"{'-'.join(stage)}.pt"

    def _replace(self, path: Path, content: bytes | memoryview) -> None:
        unfinished = path.with_suffix(".tmp")
        try:
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # else the name may reach the disk before the content
            unfinished.replace(path)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise RunFolderError(f"cannot write {path}: {error}") from error


def _saved(state: object) -> memoryview:
    """What torch makes of a state; into a file on a full disk it writes until its own bookkeeping fails."""
    content = io.BytesIO()
    torch.save(state, content)
    return content.getbuffer()


def _is_record(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    kinds = {"stage": str, "network": str, "seconds": float, "epoch": int}
    record = {"epoch": 1, **value}  # a test has none
    return all(isinstance(record.get(name), kind) for name, kind in kinds.items())


def read_json(path: Path) -> Any:
    """Reads a JSON file of a run folder.

    Raises:
        RunFolderError: It is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} is missing or damaged: {error}") from error


def read_object(path: Path) -> dict[str, Any]:
    """Reads a JSON file of a run folder that holds values by name.

    Raises:
        RunFolderError: It is missing or damaged.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise RunFolderError(f"{path} is damaged: it holds no values by name.")
    return content


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Names what a file of a run folder has in another way than it would be written now; empty if nothing."""
    now = json.loads(json.dumps(now))  # as the file has it: lists for tuples
    differing = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    shown = {name: [textwrap.shorten(repr(its.get(name)), 80) for its in (before, now)] for name in differing}
    return ", ".join(f"{name} was {was}, now {its}" for name, (was, its) in shown.items())
