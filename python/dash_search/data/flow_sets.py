# SPDX-License-Identifier: BSD-3-Clause
"""Sets of flows that are generated where they are asked for, in parallel, and kept in the data folder in parts."""

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import filelock
import numpy as np
import torch

from ..errors import DataError
from .damage import reading
from .extras import need
from .flow_physics import medium, pressure
from .flows import Fields
from .folder import DATA_VARIABLE, data_dir
from .stored import check_numbers

_PART = 20  # flows in a file: what is lost when the generation is stopped
_SAY_EVERY = 30.0  # seconds


@dataclass(frozen=True)
class Grids:
    """Square grids of so many points a side, edges included, each of which has to lie in the one before.

    Attributes:
        drawn: Where the medium is drawn; one seed gives the same medium whatever the other two are.
        solved: Where its flow is solved.
        kept: What is kept of that.

    Raises:
        ValueError: A grid does not lie in the one before.
    """

    drawn: int
    solved: int
    kept: int

    def __post_init__(self) -> None:
        if (self.drawn - 1) % (self.solved - 1) or (self.solved - 1) % (self.kept - 1):
            raise ValueError(f"{self}: the intervals of each grid must be a multiple of those of the next.")

    def flow(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Coefficient, uint8, and pressure, float32, of one flow on the grid that is kept."""
        solved, kept = (self.drawn - 1) // (self.solved - 1), (self.solved - 1) // (self.kept - 1)
        coefficient = medium(seed, self.drawn)[::solved, ::solved]
        fields = coefficient, pressure(coefficient)
        return fields[0][::kept, ::kept].astype(np.uint8), fields[1][::kept, ::kept].astype(np.float32)


@dataclass(frozen=True)
class GeneratedFlows:
    """Sets of flows in a folder that :meth:`fetch` fills.

    A flow is made of its seed alone, so what comes out depends neither on the number of threads nor on how often the
    generation was stopped. Files appear whole or not at all; a damaged one is generated anew.

    Attributes:
        task: The folder of the task in the data folder.
        grids: On which the flows are drawn, solved and kept.
        seeds: Of each set by name; no seed in two of them.
    """

    task: str
    grids: Grids
    seeds: Mapping[str, range]

    licence: ClassVar[str] = "none needed, it is computed"

    @property
    def origin(self) -> str:
        """How they are made."""
        side = f"{self.grids.solved}x{self.grids.solved}"
        kept = "" if self.grids.kept == self.grids.solved else f", kept on {self.grids.kept}x{self.grids.kept}"
        return f"generated here, flows through random media solved on {side} points{kept}"

    def path(self) -> Path:
        """The folder with the parts. Its number changes with what is generated."""
        return data_dir() / self.task / "generated-1"

    def fetch(self, say: Callable[[str], object] = print) -> Path:
        """Returns the folder, after generating what is missing in it.

        Args:
            say: Called with a line before anything is generated, which says how long it takes, and then now and then.

        Raises:
            DataError: The data folder cannot be used.
        """
        try:
            if self._missing(lambda _: None):
                self.path().mkdir(parents=True, exist_ok=True)
                with filelock.FileLock(self.path() / ".lock"):
                    self._generate(self._missing(say), say)  # another process may have done it meanwhile
        except OSError as error:
            raise DataError(
                f"cannot keep data in {data_dir()}: {error}. Use another folder: set {DATA_VARIABLE}."
            ) from error
        return self.path()

    def read(self, folder: Path, name: str) -> Fields:
        """The flows of a set in a folder that :meth:`fetch` returned, in the order of the seeds.

        Raises:
            DataError: A part is missing or damaged.
        """
        parts = [self._load(folder / _file_name(name, seeds), seeds) for seeds in _parts(self.seeds[name])]
        coefficient, flow = (torch.from_numpy(np.concatenate(fields)) for fields in zip(*parts, strict=True))
        return coefficient.float(), flow

    def _load(self, path: Path, seeds: range) -> tuple[np.ndarray, np.ndarray]:
        side = self.grids.kept
        holds = f"flows {seeds.start} to {seeds.stop - 1} of dash-search data {self.task}, on {side}x{side} points"
        # members of this zip have checksums; np.load leaves a path open where it is none
        with reading(path, holds), path.open("rb") as file, np.load(file, allow_pickle=False) as part:
            fields = part["coefficient"], part["pressure"]
            if part["seeds"].tolist() != [*seeds]:
                raise ValueError("it holds other flows")
            if any(field.shape != (len(seeds), side, side) for field in fields):
                raise ValueError("its flows lie on another grid")
            if [field.dtype for field in fields] != [np.uint8, np.float32]:
                raise ValueError(f"its fields are of {fields[0].dtype} and {fields[1].dtype}")
            check_numbers(fields[1], "the pressure")
        return fields

    def _missing(self, say: Callable[[str], object]) -> list[tuple[Path, range]]:
        missing = []
        for name, all_seeds in self.seeds.items():
            for seeds in _parts(all_seeds):
                path = self.path() / _file_name(name, seeds)
                if path.exists():
                    try:
                        self._load(path, seeds)
                        continue
                    except DataError as error:
                        say(f"{error} It is generated anew.")
                missing.append((path, seeds))
        return missing

    def _generate(self, parts: Sequence[tuple[Path, range]], say: Callable[[str], object]) -> None:
        seeds = [seed for _, part in parts for seed in part]
        if not seeds:
            return
        # Threads are enough: the time passes in transforms and sparse products, which let others run. Inside of each
        # BLAS gets one, since its own ones would wait for each other after every dot product.
        threads = torch.get_num_threads()
        pool = ThreadPoolExecutor(threads)
        with need("threadpoolctl").threadpool_limits(1, user_api="blas"):
            self.grids.flow(seeds[0])  # imports what it needs, which would be taken for its own time
            begun = said = time.perf_counter()
            self.grids.flow(seeds[0])
            left = (time.perf_counter() - begun) * len(seeds) / threads
            say(
                f"generating {len(seeds)} flows with {threads} threads, about {_shown(left)}; stopped, it goes on "
                "where it was"
            )
            try:
                flows = pool.map(self.grids.flow, seeds)
                done = 0
                for path, part in parts:
                    _write(path, part, [next(flows) for _ in part])
                    done += len(part)
                    now = time.perf_counter()
                    if now > said + _SAY_EVERY:
                        said, left = now, (now - begun) / done * (len(seeds) - done)
                        say(f"{done:>6} of {len(seeds)} flows, about {_shown(left)} left")
            finally:
                pool.shutdown(cancel_futures=True)


def _file_name(name: str, seeds: range) -> str:
    return f"{name}-{seeds.start}-{seeds.stop - 1}.npz"


def _shown(seconds: float) -> timedelta:
    return timedelta(seconds=round(seconds))


def _parts(seeds: range) -> list[range]:
    return [seeds[i : i + _PART] for i in range(0, len(seeds), _PART)]


def _write(path: Path, seeds: range, flows: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    coefficient, flow = (np.stack(fields) for fields in zip(*flows, strict=True))
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        unfinished = Path(scratch) / path.name
        with unfinished.open("wb") as file:
            np.savez(file, seeds=np.asarray(seeds), coefficient=coefficient, pressure=flow)
            file.flush()
            os.fsync(file.fileno())  # else the name may reach the disk before the content
        unfinished.replace(path)  # atomic: another process sees the whole file or none
