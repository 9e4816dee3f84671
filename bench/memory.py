# SPDX-License-Identifier: BSD-3-Clause
"""Peak memory of one step above its start, measured by the kernel, since the library's workspace is not torch's.

`python -m bench.memory TASK COLUMN BATCH` prints it in bytes, and what it consists of: the resident memory at its
highest during one step, which Linux records and can be told to forget (VmHWM in /proc/self/status, "5" to
/proc/self/clear_refs), less the resident memory just before. By then parameters, their gradients, the optimisers' state
and the batch exist, and threads and libraries are awake from a step on a few pixels. The workspace that the library
keeps from that step counts as if it came with the one that is measured. What torch frees must go back to the system at
once, or memory of that first step would be used unseen: MALLOC settings below.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import torch

from .memory_parts import Kept, Watch, address, on_huge_pages, resident
from .results import Memory

ROOT = Path(__file__).resolve().parent.parent
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
FEW_PIXELS = 16  # per axis
OUT_OF_MEMORY = 9


def measure_memory(task: str, column: str, batch: int) -> Memory | None:
    """Measured in a process of its own; None where it ran out of memory.

    Raises:
        RuntimeError: It failed for another reason.
    """
    command = (sys.executable, "-m", "bench.memory", task, column, str(batch))
    ran = subprocess.run(command, cwd=ROOT, env=os.environ | MALLOC, capture_output=True, text=True)
    if ran.returncode == OUT_OF_MEMORY:
        return None
    if ran.returncode != 0:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{ran.stderr}")
    return Memory(**json.loads(ran.stdout))


def measure(task: str, column: str, batch: int) -> Memory:
    """The same in this process."""
    from .measure_steps import StepContestant
    from .tasks import TASKS

    contestant = StepContestant(column, next(t for t in TASKS if t.name == task), batch)
    few = torch.randn(2, contestant.x.shape[1], *[FEW_PIXELS] * (contestant.x.dim() - 2))
    contestant.model(few).sum().backward()
    contestant.finish()
    for parameter in contestant.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    there = [contestant.x, *contestant.model.parameters(), *contestant.model.buffers()]
    kept = Kept(contestant.x, set(map(address, there)))
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    start = resident("VmRSS") - on_huge_pages()
    with Watch(kept) as watch:
        with torch.autograd.graph.saved_tensors_hooks(kept.pack, kept.unpack):
            loss = contestant.forward()
        contestant.backward(loss)
    return Memory(resident("VmHWM") - start, *watch.parts, on_huge_pages())


def available() -> int:
    """Bytes that the system could still give."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))


def main() -> None:
    task, column, batch = sys.argv[1:]
    limit = available()  # beyond it the system would kill a process, and perhaps not this one
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        print(json.dumps(dataclasses.asdict(measure(task, column, int(batch)))))
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "memory" in str(error):
            sys.exit(OUT_OF_MEMORY)
        raise


if __name__ == "__main__":
    main()
