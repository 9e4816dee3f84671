# SPDX-License-Identifier: BSD-3-Clause
"""What the backbones check of their arguments."""


def at_least_one(**counts: int) -> None:
    """Raises a ValueError that names the first count below 1."""
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} is {value}: it must be at least 1.")


def is_share(**shares: float) -> None:
    """Raises a ValueError that names the first one that is not at least 0 and below 1."""
    for name, value in shares.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} is {value}: it must be at least 0 and below 1.")
