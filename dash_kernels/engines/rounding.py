# SPDX-License-Identifier: BSD-3-Clause
"""Which results of single precision a transform would round too much."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ..taps import outputs_reached

Ints = Sequence[int]

# A transform rounds relative to its operands' norms. A result that may be much smaller than they are, since its taps
# reach few pixels or since it is a handful of sums that may cancel, is computed in double. Both bounds were set on
# drawn shapes (tests/test_properties.py), so that errors stay within twice those of torch's convolution or 4 eps.
LEAST_REACH = 1 / 4
FEW_RESULTS = 128


def share_reached(rows: Sequence[Ints], size: Ints, out: Ints, stride: Ints) -> float:
    """Share of the outputs that a tap reads an input pixel for, on average over the taps that reach any."""
    shares = [
        math.prod(len(outputs_reached(o, n, m, step)) / m for o, n, m, step in zip(row, size, out, stride, strict=True))
        for row in rows
    ]
    reaching = [share for share in shares if share > 0]
    return sum(reaching) / len(reaching) if reaching else 1.0


def in_double(dtype: torch.dtype, reach: float, results: int) -> bool:
    """Whether single precision would round so many results, of taps that reach so far, too much."""
    return dtype == torch.float32 and (reach < LEAST_REACH or results <= FEW_RESULTS)
