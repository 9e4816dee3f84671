# SPDX-License-Identifier: BSD-3-Clause
"""What the memory of a step consists of while it is at its highest."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from torch import Tensor

PERIOD = 0.0005  # seconds between two looks
WORTH_NOTING = 1 << 18  # bytes more than the highest so far


@dataclass
class Held:
    """A tensor in autograd's hands: as long as it lives, so does its memory."""

    tensor: Tensor
    owner: Kept
    kind: str

    def __del__(self) -> None:
        self.owner.count(self.tensor, self.kind, -1)


@dataclass
class Kept:
    """What autograd keeps for the backward pass, each storage counted once.

    Attributes:
        x: The batch: what has as many samples and axes is an activation.
        known: Storages that exist anyway.
        bytes: By kind, at this moment.
    """

    x: Tensor
    known: set[int]
    bytes: Counter[str] = field(default_factory=Counter)
    users: Counter[int] = field(default_factory=Counter)

    def pack(self, tensor: Tensor) -> Held:
        kind = "activations" if tensor.dim() == self.x.dim() and len(tensor) == len(self.x) else "taps"
        self.count(tensor, kind, +1)
        return Held(tensor, self, kind)

    def unpack(self, held: Held) -> Tensor:
        return held.tensor

    def count(self, tensor: Tensor, kind: str, change: int) -> None:
        place = address(tensor)
        if place in self.known:
            return
        self.users[place] += change
        if self.users[place] == max(change, 0):  # its first user comes, or its last one goes
            self.bytes[kind] += change * tensor.untyped_storage().nbytes()


def address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class Watch(threading.Thread):
    """Notes the parts whenever the process has more memory than ever; operators let it look, they run without the GIL.

    Attributes:
        parts: Activations and taps, in bytes.
    """

    def __init__(self, kept: Kept) -> None:
        super().__init__(daemon=True)
        self.kept, self.highest = kept, resident("VmRSS")
        self.parts = 0, 0
        self.done = threading.Event()

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.done.set()
        self.join()

    def run(self) -> None:
        while not self.done.wait(PERIOD):
            now = resident("VmRSS")
            if now > self.highest + WORTH_NOTING:
                self.highest = now
                self.parts = self.kept.bytes["activations"], self.kept.bytes["taps"]


def resident(entry: str) -> int:
    """An entry of the process's status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{entry}:"))


def on_huge_pages() -> int:
    """Resident bytes where huge pages were asked for, as the library does for its workspace and for large results.

    Between steps results are gone. What is left is the workspace kept from call to call, and what torch keeps.
    """
    found = size = 0
    with Path("/proc/self/smaps").open() as lines:
        for line in lines:
            if line.startswith("Rss:"):
                size = 1024 * int(line.split()[1])
            elif line.startswith("VmFlags:") and " hg" in line:
                found += size
    return found
