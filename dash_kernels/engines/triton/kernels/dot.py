# SPDX-License-Identifier: BSD-3-Clause
"""Products of tiles at a stated precision."""

import triton
import triton.language as tl


@triton.jit
def dot(a, b, total, PRECISION: tl.constexpr):
    """total + a @ b, summed in total's dtype; "bfloat16" rounds the operands, the others are Triton's own names."""
    if PRECISION == "bfloat16":
        total = tl.dot(a.to(tl.bfloat16), b.to(tl.bfloat16), total)
    else:
        total = tl.dot(a, b, total, input_precision=PRECISION)
    return total
