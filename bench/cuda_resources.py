# SPDX-License-Identifier: BSD-3-Clause
"""Compiles and links the CUDA kernels, lists the library's symbols, and what each kernel takes of a GPU's registers.

``python -m bench.cuda_resources`` (``make cuda``) holds the figures of ptxas to bench/results/cuda_resources.csv and
fails where a kernel spills or needs more registers; ``python -m bench.cuda_resources write`` writes the table anew.
"""

from __future__ import annotations

import csv
import glob
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from bench.cmake_target import build

TABLE = Path(__file__).parent / "results" / "cuda_resources.csv"
TARGET, OPTION = "dash_kernels_cuda", "DASH_CUDA"

ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(sm_\d+)'")
SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")
# A kernel's name as compilers spell it: its length, the name, and its arguments: a type, numbers, flags.
KERNEL = re.compile(r"entryINS\d+_\d+([A-Z][A-Za-z]+?)I([fd])((?:L[ib]\d+E)*)E")


@dataclass(frozen=True, order=True)
class Row:
    """One kernel on one architecture: registers per thread, bytes of stack and of spills."""

    kernel: str
    architecture: str
    registers: int
    stack: int
    spilled: int


def nvcc() -> str | None:
    """NVIDIA's compiler where CMakeLists.txt looks for it, or None."""
    folders = [os.environ[name] + "/bin" for name in ("CUDA_HOME", "CUDA_PATH") if name in os.environ]
    folders += [os.environ.get("PATH", ""), *glob.glob("/usr/local/cuda*/bin")]
    return os.environ.get("CUDACXX") or shutil.which("nvcc", path=os.pathsep.join(folders))


def library() -> Path:
    """The library, built."""
    return build(TARGET, OPTION) / f"lib{TARGET}.so"


def measured(tree: Path) -> list[Row]:
    """What ptxas said when the kernels in this folder were compiled; a kernel of several files counts once."""
    rows = set()
    for log in sorted(tree.rglob("*.cu.o.log")):
        rows |= set(parse(log.read_text()))
    return sorted(rows)


def parse(output: str) -> list[Row]:
    """The rows in what ptxas says with ``-v``."""
    rows, entry, spills = [], None, None
    for line in output.splitlines():
        if found := ENTRY.search(line):
            entry = found
        elif found := SPILLS.search(line):
            spills = found
        elif (found := REGISTERS.search(line)) and entry is not None and spills is not None:
            stack, stores, loads = map(int, spills.groups())
            rows.append(Row(readable(entry[1]), entry[2], int(found[1]), stack, stores + loads))
            entry = spills = None
    return rows


def readable(symbol: str) -> str:
    """``DirectMaps<float, 8, 0>`` for the symbol of its entry function."""
    found = KERNEL.search(symbol)
    if found is None:
        return symbol
    numbers = re.findall(r"L[ib](\d+)E", found[3])
    return f"{found[1]}<{', '.join([{'f': 'float', 'd': 'double'}[found[2]], *numbers])}>"


def read() -> list[Row]:
    """The table that is kept."""
    with TABLE.open(newline="") as file:
        return [
            Row(row["kernel"], row["architecture"], *(int(row[f.name]) for f in fields(Row)[2:]))
            for row in csv.DictReader(file)
        ]


def write(rows: list[Row]) -> None:
    """Replaces the table that is kept."""
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def complaints(rows: list[Row], kept: list[Row]) -> list[str]:
    """Where the figures are worse than those that are kept, or of other kernels; a sentence each."""
    known = {(row.kernel, row.architecture): row for row in kept}
    found = {(row.kernel, row.architecture): row for row in rows}
    said = [f"{kernel} on {chip} is not compiled any more" for kernel, chip in known.keys() - found.keys()]
    for (kernel, chip), row in found.items():
        if row.spilled or row.stack:
            said.append(f"{kernel} on {chip} spills {row.spilled} bytes and keeps {row.stack} on a stack")
        if (kernel, chip) not in known:
            said.append(f"{kernel} on {chip} is not in {TABLE.name}")
        elif row.registers > known[kernel, chip].registers:
            said.append(f"{kernel} on {chip} takes {row.registers} registers, not {known[kernel, chip].registers}")
    return sorted(said)


def symbols(path: Path) -> dict[str, list[str]]:
    """Dynamic symbols of a library: those it "defines", and those it "needs" of torch."""
    listed = subprocess.run(["nm", "--dynamic", str(path)], check=True, capture_output=True, text=True).stdout
    entries = [(line.split()[-2], line.split()[-1].split("@")[0]) for line in listed.splitlines()]
    return {
        "defines": [name for kind, name in entries if kind in "TDBR"],
        "needs": [name for kind, name in entries if kind == "U" and name.startswith(("aoti_", "torch_"))],
    }


def main(arguments: list[str]) -> int:
    if nvcc() is None:
        print("nvcc is not installed here: nothing was compiled. Install NVIDIA's CUDA toolkit, 12.8 or newer.")
        return 1
    path = library()
    rows = measured(path.parent)
    if arguments == ["write"]:
        write(rows)
    for kind, names in symbols(path).items():
        print(f"{path.name} {kind}: {', '.join(names) or 'nothing'}\n")
    for row in rows:
        print(f"{row.kernel:32} {row.architecture:7} {row.registers:4} registers {row.spilled:4} bytes spilled")
    said = complaints(rows, read())
    print("\n".join(said) or f"{len(rows)} kernels as in {TABLE.name}, none spills")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
