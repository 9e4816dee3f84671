# SPDX-License-Identifier: BSD-3-Clause
"""Peak memory of one step above its start, measured by the kernel, since the library's workspace is not torch's.

`python -m bench.memory TASK COLUMN BATCH` prints it in bytes: the resident memory at its highest during one step, which
Linux records and can be told to forget (VmHWM in /proc/self/status, "5" to /proc/self/clear_refs), less the resident
memory just before. By then parameters, their gradients, the optimisers' state and the batch exist, and threads and
libraries are awake from a step on a few pixels, too small to leave a workspace worth mentioning. What torch frees must
go back to the system at once, or memory of that first step would be used unseen: MALLOC settings below.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
FEW_PIXELS = 16  # per axis
OUT_OF_MEMORY = 9


def peak(task: str, column: str, batch: int) -> int | None:
    """Bytes, measured in a process of its own; None where it ran out of memory.

    Raises:
        RuntimeError: It failed for another reason.
    """
    command = (sys.executable, "-m", "bench.memory", task, column, str(batch))
    ran = subprocess.run(command, cwd=ROOT, env=os.environ | MALLOC, capture_output=True, text=True)
    if ran.returncode == OUT_OF_MEMORY:
        return None
    if ran.returncode != 0:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{ran.stderr}")
    return int(ran.stdout)


def measure(task: str, column: str, batch: int) -> int:
    """The same in this process."""
    from .measure_steps import StepContestant
    from .tasks import TASKS

    contestant = StepContestant(column, next(t for t in TASKS if t.name == task), batch)
    few = torch.randn(2, contestant.x.shape[1], *[FEW_PIXELS] * (contestant.x.dim() - 2))
    contestant.model(few).sum().backward()
    contestant.finish()
    for parameter in contestant.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    start = resident("VmRSS")
    contestant.backward(contestant.forward())
    return resident("VmHWM") - start


def resident(entry: str) -> int:
    """An entry of the process's status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{entry}:"))


def available() -> int:
    """Bytes that the system could still give."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))


def main() -> None:
    task, column, batch = sys.argv[1:]
    limit = available()  # beyond it the system would kill a process, and perhaps not this one
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        print(measure(task, column, int(batch)))
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "memory" in str(error):
            sys.exit(OUT_OF_MEMORY)
        raise


if __name__ == "__main__":
    main()
