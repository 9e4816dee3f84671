# SPDX-License-Identifier: BSD-3-Clause
"""The random numbers of a search: seeded stage by stage, saved with the checkpoints, given back to the caller."""

import hashlib
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class Randomness:
    """The global generators of Python, NumPy and torch, and those that loaders carry.

    The global generators belong to the whole process: another thread that draws from them while a search runs changes
    the search, and gets the search's numbers. Loaders' workers are seeded by torch from the loader's generator.

    Args:
        seed: The seed of the run, 0 to 2**63 - 1.
        device: Where the networks run; a CUDA device's generator is taken along, no other one's is touched.
        loaders: Whose own generators, and those of their samplers, are taken along.
    """

    def __init__(self, seed: int, device: torch.device, loaders: Iterable[object]) -> None:
        self._seed, self._device = seed, device
        self._generators: list[torch.Generator] = []
        for loader in loaders:
            batch_sampler = getattr(loader, "batch_sampler", None)
            owners = (loader, getattr(loader, "sampler", None), batch_sampler, getattr(batch_sampler, "sampler", None))
            for generator in (getattr(owner, "generator", None) for owner in owners):
                if isinstance(generator, torch.Generator) and all(generator is not one for one in self._generators):
                    self._generators.append(generator)

    def seed(self, purpose: str) -> None:
        """Seeds everything from the run's seed and what the numbers are for, so purposes are independent."""
        digest = hashlib.sha256(f"{self._seed} {purpose}".encode()).digest()
        seed = int.from_bytes(digest[:8], "little") >> 1
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.default_generator.manual_seed(seed)
        if self._device.type == "cuda":
            with torch.cuda.device(self._device):
                torch.cuda.manual_seed(seed)
        for i, generator in enumerate(self._generators):
            generator.manual_seed((seed + i + 1) % 2**63)

    @contextmanager
    def preserved(self) -> Iterator[None]:
        """Gives the caller's generators back as they were."""
        before = self.state_dict()
        try:
            yield
        finally:
            self.load_state_dict(before)

    def state_dict(self) -> dict[str, Any]:
        """The state of every generator, of tensors, numbers and strings only."""
        name, keys, *rest = np.random.get_state()
        return {
            "python": random.getstate(),
            "numpy": (name, keys.tolist(), *rest),  # type: ignore[attr-defined]
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None,
            "loaders": [generator.get_state() for generator in self._generators],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets every generator.

        Raises:
            ValueError: The loaders had another number of generators.
        """
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])
        torch.set_rng_state(state["torch"])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self._device)
        for generator, saved in zip(self._generators, state["loaders"], strict=True):
            generator.set_state(saved)
