# SPDX-License-Identifier: BSD-3-Clause
"""Every environment variable the library reads, checked: an unknown value is an error, never a default.

All are checked when the package is imported, and again wherever they are read.
"""

from __future__ import annotations

import os
from pathlib import Path

ISA_NAMES = ("baseline", "avx2", "avx512")


def _value(name: str) -> str:
    return os.environ[name] if name in os.environ else ""  # several times as fast as get() where it is unset


def _flag(name: str) -> bool:
    value = _value(name)
    if value not in ("", "0", "1"):
        raise ValueError(f"{name}={value!r}: set it to 1 or 0, or leave it unset.")
    return value == "1"


def isa() -> str | None:
    """DASH_KERNELS_ISA: the highest instruction set to use, or None for whatever the processor offers."""
    value = _value("DASH_KERNELS_ISA")
    if value and value not in ISA_NAMES:
        raise ValueError(f"DASH_KERNELS_ISA={value!r}: set it to one of {', '.join(ISA_NAMES)}, or leave it unset.")
    return value or None


def engine() -> str:
    """DASH_KERNELS_ENGINE: the engine to use where the code asks for none, "auto" if unset; the registry checks it."""
    return _value("DASH_KERNELS_ENGINE") or "auto"


def disabled() -> bool:
    """DASH_KERNELS_DISABLE=1: load no compiled code."""
    return _flag("DASH_KERNELS_DISABLE")


def strict() -> bool:
    """DASH_KERNELS_STRICT=1: falling back to the reference is an error."""
    return _flag("DASH_KERNELS_STRICT")


def calibration() -> Path | None:
    """DASH_KERNELS_CALIBRATION: the file of measured constants, by default in the user's cache; None for "0"."""
    value = os.environ.get("DASH_KERNELS_CALIBRATION", "")
    if value == "0":
        return None
    if value:
        if not os.path.isabs(value):
            raise ValueError(
                f"DASH_KERNELS_CALIBRATION={value!r}: set it to the absolute path of a file, to 0 to use the shipped "
                f"constants, or leave it unset."
            )
        return Path(value)
    cache = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(cache) if os.path.isabs(cache) else Path(os.path.expanduser("~/.cache"))  # as freedesktop.org has it
    return folder / "dash_kernels" / "calibration.json"


def triton_interpret() -> bool:
    """TRITON_INTERPRET=1, Triton's own variable: its kernels are interpreted on the CPU, slowly, to test them."""
    return os.environ.get("TRITON_INTERPRET", "").lower() in ("1", "true", "on", "yes", "y")
