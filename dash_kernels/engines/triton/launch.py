# SPDX-License-Identifier: BSD-3-Clause
"""How a kernel is launched: with which blocks, at which precision. Importing this imports Triton."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import triton

from ... import _env

# Triton's autotuner keeps the arguments of a call in itself: two threads at once would mix them up.
_tuning = threading.Lock()

SMALLEST_BLOCK = 16
"""Along an axis of a tile: what matrix units take at least."""

PRECISIONS = {
    "highest": {"cuda": "tf32x3", "hip": "ieee"},
    "high": {"cuda": "tf32", "hip": "bf16x3"},
    "medium": {"cuda": "bfloat16", "hip": "bfloat16"},
}
"""From ``torch.set_float32_matmul_precision`` to how matrix units multiply float32; they always sum in float32.
``torch.backends.cuda.matmul.fp32_precision = "tf32"`` is "high".

tf32x3 and bf16x3 split each operand into two parts and sum three products of parts: 22 and 16 bits of an operand. The
matrix units of CDNA 3 multiply float32 as it is.
"""


@dataclass(frozen=True)
class Configuration:
    """Block sizes of a kernel, and how a device runs it."""

    blocks: tuple[tuple[str, int], ...]
    num_warps: int = 4
    num_stages: int = 2

    def fitted(self, sizes: Mapping[str, int]) -> Configuration:
        """With no block larger than the next power of two of what it divides; of blocks without a size, as it is."""
        blocks = tuple(
            (name, min(block, max(SMALLEST_BLOCK, triton.next_power_of_2(sizes.get(name, block)))))
            for name, block in self.blocks
        )
        return Configuration(blocks, self.num_warps, self.num_stages)

    @property
    def options(self) -> dict[str, int]:
        """As the launch takes them."""
        return {**dict(self.blocks), "num_warps": self.num_warps, "num_stages": self.num_stages}


@dataclass(frozen=True, eq=False)  # equal kernels are the same one, which hashes at once
class Kernel:
    """A kernel and its configurations.

    Attributes:
        function: What ``triton.jit`` returned.
        default: Used wherever nothing is measured; compiled ahead of time by the tests.
        others: Measured beside it on a device, those that differ once they are fitted to the sizes at hand.
        added_to: An argument that the kernel adds to, which trials must leave as it was.
    """

    function: Any
    default: Configuration
    others: tuple[Configuration, ...] = ()
    added_to: str | None = None


Grid = Callable[[Mapping[str, int]], tuple[int, ...]]


def launch(kernel: Kernel, sizes: Mapping[str, int], grid: Grid, **arguments: Any) -> None:
    """Runs ``kernel`` on the device of its operands, there with the fastest of its configurations.

    In deterministic mode, and under the interpreter, with its default: another block size sums in another order.

    Args:
        kernel: What to run.
        sizes: For each block of its configurations that must not be too large, what it is a part of.
        grid: From the block sizes to how many programs there are, per axis.
        arguments: The function's own.
    """
    common = {**arguments, "enable_fp_fusion": True}  # said aloud: Triton's default is about to change
    operand = next(value for value in arguments.values() if isinstance(value, torch.Tensor))
    with torch.cuda.device_of(operand):  # Triton launches on the current device, wherever the operands are
        if _env.triton_interpret() or torch.are_deterministic_algorithms_enabled():
            kernel.function[grid](**common, **kernel.default.fitted(sizes).options)
            return
        powers = tuple((name, triton.next_power_of_2(size)) for name, size in sizes.items())
        with _tuning:
            _tuned(kernel, powers)[grid](**common)


@functools.lru_cache(maxsize=1024)
def _tuned(kernel: Kernel, sizes: tuple[tuple[str, int], ...]) -> Any:
    """The kernel behind Triton's autotuner, which measures at the first call with sizes of these powers of two."""
    fitted = dict.fromkeys(c.fitted(dict(sizes)) for c in (kernel.default, *kernel.others))
    configs = [triton.Config(dict(c.blocks), num_warps=c.num_warps, num_stages=c.num_stages) for c in fitted]
    restored = None if kernel.added_to is None else [kernel.added_to]
    return triton.autotune(configs=configs, key=[], restore_value=restored)(kernel.function)


def precision(dtype: torch.dtype) -> str:
    """How tiles of ``dtype`` are multiplied: see :data:`PRECISIONS`."""
    if dtype == torch.float64 or _env.triton_interpret():  # numpy, which interprets, multiplies them as they are
        return "ieee"
    return PRECISIONS[_wanted()]["hip" if torch.version.hip else "cuda"]


def _wanted() -> str:
    """The key of :data:`PRECISIONS` that torch's settings ask for."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # it was set per backend, which torch takes for a contradiction
        return "high" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "highest"
