# SPDX-License-Identifier: BSD-3-Clause
"""The kernels with their configurations. Importing this imports Triton.

Blocks are as large as registers allow on the chips that bench/triton_resources.py compiles for: a tile that is kept in
memory instead would cost more than it saves. Of those configurations that fit, a device measures which is fastest.
"""

from __future__ import annotations

from .kernels import direct, factored, mixing, product
from .launch import Configuration, Kernel


def _blocks(num_warps: int = 4, num_stages: int = 2, **blocks: int) -> Configuration:
    return Configuration(tuple(blocks.items()), num_warps, num_stages)


ANALYSE_DIRECT = Kernel(
    direct.analyse_direct,
    _blocks(BLOCK_ROWS=64, BLOCK_FREQUENCIES=32, BLOCK_POSITIONS=16, num_warps=8),
    (
        _blocks(BLOCK_ROWS=32, BLOCK_FREQUENCIES=32, BLOCK_POSITIONS=16),
        _blocks(BLOCK_ROWS=64, BLOCK_FREQUENCIES=32, BLOCK_POSITIONS=32, num_warps=8),
    ),
)
SYNTHESISE_DIRECT = Kernel(
    direct.synthesise_direct,
    _blocks(BLOCK_ROWS=64, BLOCK_POSITIONS=64, BLOCK_FREQUENCIES=16, num_warps=8),
    (
        _blocks(BLOCK_ROWS=32, BLOCK_POSITIONS=32, BLOCK_FREQUENCIES=16),
        _blocks(BLOCK_ROWS=64, BLOCK_POSITIONS=32, BLOCK_FREQUENCIES=16, num_warps=8),
    ),
)
ANALYSE_FACTORED = Kernel(
    factored.analyse_factored,
    _blocks(BLOCK_K1=64, BLOCK_K2=32, BLOCK_J1=16, BLOCK_J2=32, num_warps=8),
    (
        _blocks(BLOCK_K1=32, BLOCK_K2=32, BLOCK_J1=16, BLOCK_J2=16),
        _blocks(BLOCK_K1=64, BLOCK_K2=16, BLOCK_J1=16, BLOCK_J2=32),
    ),
)
SYNTHESISE_FACTORED = Kernel(
    factored.synthesise_factored,
    _blocks(BLOCK_J1=32, BLOCK_J2=64, BLOCK_K1=16, BLOCK_K2=16, num_warps=8),
    (
        _blocks(BLOCK_J1=32, BLOCK_J2=32, BLOCK_K1=16, BLOCK_K2=16),
        _blocks(BLOCK_J1=32, BLOCK_J2=64, BLOCK_K1=32, BLOCK_K2=16, num_warps=8),
    ),
)
PRODUCT_MATRIX = Kernel(
    product.product_matrix,
    _blocks(BLOCK_FREQUENCIES=8, BLOCK_I=16, BLOCK_J=16, BLOCK_M=16, num_warps=8),
    (_blocks(BLOCK_FREQUENCIES=4, BLOCK_I=32, BLOCK_J=32, BLOCK_M=16, num_warps=8),),
    added_to="result",
)
PRODUCT_POINTWISE = Kernel(
    product.product_pointwise,
    _blocks(BLOCK_FREQUENCIES=256),
    (_blocks(BLOCK_FREQUENCIES=128), _blocks(BLOCK_FREQUENCIES=512, num_warps=8)),
    added_to="result",
)
MIX = Kernel(
    mixing.mix,
    _blocks(BLOCK_ROWS=16, BLOCK_TAPS=64),
    (_blocks(BLOCK_ROWS=8, BLOCK_TAPS=128), _blocks(BLOCK_ROWS=32, BLOCK_TAPS=32)),
)
# The row blocks decide how partial sums are laid out, so they are not tuned.
MIX_GRADIENTS = Kernel(mixing.mix_gradients, _blocks(BLOCK_ROWS=32, BLOCK_WEIGHTS=64))
SUM_CANDIDATES = Kernel(mixing.sum_candidates, _blocks(BLOCK=512))
KERNELS = (
    ANALYSE_DIRECT,
    SYNTHESISE_DIRECT,
    ANALYSE_FACTORED,
    SYNTHESISE_FACTORED,
    PRODUCT_MATRIX,
    PRODUCT_POINTWISE,
    MIX,
    MIX_GRADIENTS,
    SUM_CANDIDATES,
)
