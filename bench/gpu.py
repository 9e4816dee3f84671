# SPDX-License-Identifier: BSD-3-Clause
"""`python -m bench.gpu`: every searched layer of the ten tasks on a GPU, beside cuDNN and other ways to mix.

Writes bench/results/gpu.json, and from it the table in README.md. With ``--device cpu`` it measures the CPU's engines
in the same way and writes nothing: a look whether all of it works.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.benchmark import Timer

import dash_kernels as dk
from dash_kernels._explain import Explanation
from dash_kernels.engines import ENGINES

from . import document, gpu_roofline, machine
from .gate import check, check_engine
from .layers import Layer, searched_layers
from .measure_layers import affordable
from .rivals import MIXED_CONV, MIXED_RESULTS, MIXED_WEIGHTS, PLAIN, TORCH_FFT, LayerContestant, mixed_conv
from .tasks import TASKS
from .timing import FORMATS, contest, geometric_mean, median

RESULTS = Path(__file__).parent / "results" / "gpu.json"
LAPS, BUDGET = 25, 0.5


class OnDevice(LayerContestant):
    """A contestant each half of whose step ends when the device has done it; perhaps compiled, or by one engine."""

    def __init__(
        self, name: str, layer: Layer, memory_format: str = FORMATS[0], compiled: bool = False, engine: str = "auto"
    ) -> None:
        label = name if name != PLAIN else f"{PLAIN}, {memory_format}"
        label += ", torch.compile" if compiled else by(engine) if engine != "auto" else ""
        super().__init__(name, layer, layer.batch, memory_format, label)
        if engine != "auto":
            self.module, self.compute = mixed_conv(layer, engine)
        if compiled:
            compute = self.compute
            self.run: Callable[[Tensor], Tensor] = torch.compile(lambda x: compute(x, None))
        else:
            self.run = lambda x: self.compute(x, None)

    def forward(self) -> Tensor:
        output = self.run(self.x)
        synchronise()
        return output

    def backward(self, output: Tensor) -> None:
        super().backward(output)
        synchronise()


def by(engine: str) -> str:
    """What a label ends with where an engine is named."""
    return f", {engine}"


def able(report: Explanation) -> list[str]:
    """The engines that can compute every part of a layer, but for the reference; `auto` chooses among them."""
    problems = {row.problem for row in report.rows}
    return [
        engine.name
        for engine in ENGINES
        if engine.name != "reference"
        and all(engine.available(one.device) is None and engine.can_run(one) is None for one in problems)
    ]


def on_gpu() -> bool:
    return torch.get_default_device().type == "cuda"


def synchronise() -> None:
    if on_gpu():
        torch.cuda.synchronize()


@contextlib.contextmanager
def without_tf32() -> Iterator[None]:
    """For the gate: by default cuDNN rounds rivals' operands to TF32, which is fast and would not pass."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@dataclass(frozen=True)
class Peaks:
    """What the device does at best in this run: bytes a second copied, TF32 operations a second in a large product."""

    bandwidth: float
    operations: float


def seconds(work: Callable[[], Any]) -> float:
    """The median; torch's timer warms up, and waits for the device."""
    timer = Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads())
    return float(timer.blocked_autorange().median)


def peaks() -> Peaks:
    size, side = (2**28, 8192) if on_gpu() else (2**24, 512)
    source, target = torch.ones(size // 4), torch.empty(size // 4)
    a = torch.randn(side, side)
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        return Peaks(2 * size / seconds(lambda: target.copy_(source)), 2 * side**3 / seconds(lambda: a @ a))
    finally:
        torch.set_float32_matmul_precision(precision)


def measure(layer: Layer, laps: int) -> dict[str, Any]:
    """Milliseconds of a step by contestant, and what the library's passes would take at the measured peaks."""
    torch.compiler.reset()  # graphs of the layers before count as recompilations
    main = OnDevice(MIXED_CONV, layer)
    check_engine(layer, main)
    report = dk.explain(main.module, (layer.batch, layer.channels[0], *layer.size))
    rivals = [
        name for name in (MIXED_RESULTS, MIXED_WEIGHTS, TORCH_FFT) if on_gpu() or affordable(name, layer) == layer.batch
    ]
    by_engine = [OnDevice(MIXED_CONV, layer, engine=engine) for engine in able(report)]
    with without_tf32():
        check(layer, main, *(LayerContestant(name, layer, 1) for name in rivals))
        for one in by_engine:
            check(layer, one)
    contestants = [
        OnDevice(name, layer, form, compiled)
        for compiled in (False, True)
        for name, form in ((MIXED_CONV, FORMATS[0]), *((PLAIN, form) for form in FORMATS))
    ]
    contestants += by_engine
    slow = [OnDevice(name, layer) for name in rivals]
    timed = contest(contestants, slow, laps, BUDGET)
    return {
        "layer": layer.name,
        "kind": layer.kind,
        "engines": sorted({row.engine for row in report.rows if row.chosen}),
        "milliseconds": {label: 1e3 * median(steps.both) for label, steps in timed.items()},
        "numbers": sum(step.numbers for step in gpu_roofline.passes(layer)),
        "products": sum(step.products for step in gpu_roofline.passes(layer)),
    }


def line(row: dict[str, Any], peaks: dict[str, float]) -> str:
    """A row as it is printed; of the peaks that engine "triton" reaches by the work of its passes."""
    times = ", ".join(f"{label} {ms:.3f}" for label, ms in row["milliseconds"].items())
    label = MIXED_CONV + by("triton")
    if not on_gpu() or label not in row["milliseconds"]:
        return f"{row['layer']} ({', '.join(row['engines'])}): {times} ms"
    took = row["milliseconds"][label] / 1e3
    moved = 4 * row["numbers"] / took / peaks["bandwidth"]
    multiplied = 2 * gpu_roofline.SPLIT * row["products"] / took / peaks["operations"]
    reached = f"triton at {moved:.0%} of the bandwidth, {multiplied:.0%} of TF32"
    return f"{row['layer']} ({', '.join(row['engines'])}): {times} ms; {reached}"


def layers(task: str | None) -> Iterator[Layer]:
    for one in TASKS:
        if task in (None, one.name):
            yield from dict.fromkeys((*searched_layers(one, "never"), *searched_layers(one, "auto")))


def device_facts() -> dict[str, str]:
    """The device, its driver and its clocks, beside what every run says."""
    facts = machine.facts()
    if not on_gpu():
        return facts
    query = ("nvidia-smi", "--query-gpu=driver_version,clocks.sm,clocks.mem", "--format=csv,noheader")
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        found = "nvidia-smi does not answer"
    return {**facts, "device": torch.cuda.get_device_name(), "driver, clocks": found}


def table(run: dict[str, Any]) -> str:
    """Geometric means by kind of layer, for the README."""
    head = "| layers | MixedConv ÷ plain k=3, faster format | with torch.compile | mixed results ÷ MixedConv |"
    lines = ["", head + " triton ÷ cuda |", "|---|---|---|---|---|"]
    for kind in dict.fromkeys(row["kind"] for row in run["rows"]):
        rows = [row["milliseconds"] for row in run["rows"] if row["kind"] == kind]
        both = [quotients(row) for row in rows]
        mixed = [row[MIXED_RESULTS] / row[MIXED_CONV] for row in rows if MIXED_RESULTS in row]
        eager, compiled = (geometric_mean(side) for side in zip(*both, strict=True))
        names = MIXED_CONV + by("triton"), MIXED_CONV + by("cuda")
        engines = [row[names[0]] / row[names[1]] for row in rows if all(name in row for name in names)]
        cells = [f"{len(rows)} {kind}", f"{eager:.2f}", f"{compiled:.2f}", mean(mixed), mean(engines)]
        lines.append(f"| {' | '.join(cells)} |")
    facts = run["facts"]
    where = ", ".join(facts.get(key, "?") for key in ("device", "driver, clocks", "torch", "commit", "date"))
    return "\n".join([*lines, "", f"{where}; `make bench-gpu`, every layer in bench/results/gpu.json.", ""])


def mean(ratios: list[float]) -> str:
    """Their geometric mean, and of how many, if there are any."""
    return f"{geometric_mean(ratios):.2f} ({len(ratios)})" if ratios else "not run"


def quotients(row: dict[str, float]) -> tuple[float, float]:
    """MixedConv over the faster plain one, eager and compiled."""
    plain = [min(row[f"{PLAIN}, {form}{how}"] for form in FORMATS) for how in ("", ", torch.compile")]
    return row[MIXED_CONV] / plain[0], row[f"{MIXED_CONV}, torch.compile"] / plain[1]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--task", choices=[task.name for task in TASKS])
    parser.add_argument("--quick", action="store_true", help="few laps, nothing written")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("torch finds no GPU here: nothing was measured.", file=sys.stderr)
        return 1
    torch.backends.cudnn.benchmark = True
    with torch.device(options.device):
        run: dict[str, Any] = {"facts": device_facts(), "peaks": asdict(peaks()), "rows": []}
        for layer in layers(options.task):
            row = measure(layer, 5 if options.quick else LAPS)
            run["rows"].append(row)
            print(line(row, run["peaks"]), flush=True)
    print(table(run))
    if options.device == "cuda" and not options.quick and options.task is None:
        RESULTS.write_text(json.dumps(run, indent=1) + "\n")
        document.replace(document.README, "gpu", table(run))
    return 0


if __name__ == "__main__":
    sys.exit(main())
