# SPDX-License-Identifier: BSD-3-Clause
"""The problems every engine is tested on, as data."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from dash_kernels import Candidate, SearchSpace, TapLattice
from dash_kernels.taps import same_size, tap_offsets

Offsets = tuple[tuple[int, ...], ...]


def kernel(*size: int, dilation: int = 1, causal: bool = False) -> Offsets:
    """The taps of one candidate."""
    return tap_offsets(Candidate(size, (dilation,) * len(size)), causal)


def mixture(ndim: int, kernel_sizes: tuple[int, ...], dilations: tuple[int, ...]) -> Offsets:
    """The taps of a whole space."""
    return TapLattice.of(SearchSpace(kernel_sizes, dilations).candidates(ndim)).offsets


@dataclass(frozen=True)
class Case:
    """One call of ``tap_conv``. ``layout`` is how x and the upstream gradient lie in memory."""

    name: str
    size: tuple[int, ...]
    offsets: Offsets
    batch: int = 2
    channels: tuple[int, int] = (3, 5)
    groups: int = 1
    stride: tuple[int, ...] = ()
    out_size: tuple[int, ...] = ()
    circular: bool = False
    layout: str = "contiguous"

    @property
    def steps(self) -> tuple[int, ...]:
        return self.stride or (1,) * len(self.size)

    @property
    def outputs(self) -> tuple[int, ...]:
        return self.out_size or tuple(same_size(n, s) for n, s in zip(self.size, self.steps, strict=True))

    @property
    def flat(self) -> tuple[int, ...]:
        return tuple(itertools.chain.from_iterable(self.offsets))

    def tensors(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """x, taps and an upstream gradient, random."""
        x = lay_out(torch.randn(self.batch, self.channels[0], *self.size, dtype=dtype), self.layout)
        taps = torch.randn(self.channels[1], self.channels[0] // self.groups, len(self.offsets), dtype=dtype)
        grad = lay_out(torch.randn(self.batch, self.channels[1], *self.outputs, dtype=dtype), self.layout)
        return x, taps, grad


def lay_out(x: Tensor, layout: str) -> Tensor:
    """The same numbers, placed otherwise in memory."""
    if layout == "contiguous":
        return x
    if layout == "channels_last":
        return x.to(memory_format=torch.channels_last if x.dim() == 4 else torch.channels_last_3d)
    if layout == "channel slice":
        wide = torch.full((x.shape[0], 2 * x.shape[1] + 1, *x.shape[2:]), torch.nan, dtype=x.dtype)
        wide[:, 1::2] = x
        return wide[:, 1::2]
    if layout == "transposed":
        return x.transpose(-1, -2).contiguous().transpose(-1, -2)
    if layout == "expanded":
        return x[:1].expand_as(x)
    raise ValueError(layout)


SPACE = mixture(2, (3, 5, 7), (1, 3, 5))
WIDE = mixture(2, (3, 5, 7, 9), (1, 3, 7, 15))
PLANES = ((1, 1), (1, 17), (3, 8), (2, 16))

CASES = [
    # one axis: sizes at and around the edges of 8 and 16 lanes, primes, one pixel, kernels larger than the input
    *(Case(f"1d n={n}", (n,), kernel(3)) for n in (1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 61, 127, 128, 129)),
    *(Case(f"1d planes={b}x{c}", (20,), kernel(5), batch=b, channels=(c, c)) for b, c in PLANES),
    Case("1d mixture", (100,), mixture(1, (3, 5, 7, 9, 11), (1, 3, 7, 15))),
    Case("1d kernel larger than input", (11,), kernel(9, dilation=15)),
    Case("1d kernel reaches nothing", (3,), ((-40,), (57,))),
    Case("1d even kernel", (13,), kernel(4, dilation=3)),
    Case("1d causal", (40,), kernel(5, dilation=3, causal=True)),
    Case("1d circular", (30,), mixture(1, (3, 5), (1, 7)), circular=True),
    Case("1d circular, prime, wraps often", (7,), kernel(9, dilation=15), circular=True),
    Case("1d stride 2", (25,), kernel(5, dilation=3), stride=(2,)),
    Case("1d stride 3", (26,), kernel(7), stride=(3,)),
    Case("1d stride larger than input", (5,), kernel(3), stride=(7,)),
    Case("1d stride 2, circular, odd size", (15,), kernel(5, dilation=3), stride=(2,), circular=True),
    Case("1d valid", (20,), ((0,), (1,), (2,), (3,)), out_size=(17,)),
    Case("1d longer output", (6,), ((-6,), (-1,), (0,)), out_size=(12,)),
    Case("1d repeated offsets", (18,), ((2,), (-1,), (2,), (0,), (2,))),
    Case("1d one tap", (18,), ((4,),)),
    Case("1d grouped", (20,), kernel(5), channels=(6, 4), groups=2),
    Case("1d depthwise", (20,), kernel(5, dilation=2), channels=(19, 19), groups=19),
    Case("1d depthwise with multiplier", (20,), kernel(3), channels=(5, 15), groups=5),
    Case("1d channel slice", (21,), kernel(5), layout="channel slice"),
    Case("1d expanded", (21,), kernel(5), layout="expanded"),
    Case("1d empty batch", (12,), kernel(3), batch=0),
    # two axes
    *(Case(f"2d n={n}", n, kernel(3, 3)) for n in ((1, 1), (1, 9), (9, 1), (8, 8), (7, 17), (16, 15), (32, 33))),
    *(Case(f"2d planes={b}x{c}", (6, 7), kernel(3, 3), batch=b, channels=(c, c)) for b, c in PLANES),
    Case("2d mixture", (24, 20), SPACE),
    Case("2d mixture, tiny map", (8, 8), WIDE, channels=(2, 3)),
    Case("2d mixture, depthwise", (12, 12), SPACE, channels=(4, 4), groups=4),
    Case("2d unequal axes", (14, 30), tap_offsets(Candidate((3, 9), (5, 1)))),
    Case("2d even kernel", (9, 12), kernel(4, 2)),
    Case("2d asymmetric", (10, 12), ((0, 0), (3, -1), (-7, 5), (1, 11))),
    Case("2d repeated offsets", (10, 9), ((0, 1), (2, 2), (0, 1), (0, 1))),
    Case("2d kernel larger than input", (5, 4), kernel(5, 5, dilation=3)),
    Case("2d kernel reaches nothing", (3, 4), ((3, 0), (0, -4))),
    Case("2d stride 2", (15, 16), kernel(5, 5), stride=(2, 2)),
    Case("2d stride 3", (16, 17), kernel(3, 3, dilation=3), stride=(3, 3)),
    Case("2d stride per axis", (12, 13), kernel(3, 5), stride=(3, 1)),
    Case("2d stride 2, depthwise", (11, 11), kernel(3, 3), channels=(6, 6), groups=6, stride=(2, 2)),
    Case("2d circular", (12, 10), kernel(3, 3, dilation=3), circular=True),
    Case("2d circular, wraps often", (3, 5), kernel(5, 5, dilation=7), circular=True),
    Case("2d circular, stride 2", (9, 8), kernel(5, 5), stride=(2, 2), circular=True),
    Case("2d valid", (12, 11), tuple(itertools.product(range(3), range(3))), out_size=(10, 9)),
    Case("2d grouped", (9, 9), kernel(3, 3), channels=(8, 12), groups=4),
    Case("2d many channels", (6, 6), kernel(3, 3), channels=(33, 40)),
    Case("2d channels_last", (9, 11), kernel(3, 3), channels=(4, 6), layout="channels_last"),
    Case("2d channels_last, circular", (12, 11), kernel(3, 3), circular=True, layout="channels_last"),
    Case("2d channels_last, stride 7", (15, 14), kernel(3, 3), stride=(7, 7), layout="channels_last"),
    Case("2d channels_last, depthwise", (8, 9), kernel(3, 3), channels=(16, 32), groups=16, layout="channels_last"),
    Case("2d channels_last, empty batch", (9, 9), kernel(3, 3), batch=0, layout="channels_last"),
    Case("2d channel slice", (9, 11), kernel(3, 3), layout="channel slice"),
    Case("2d transposed", (9, 11), kernel(5, 3), layout="transposed"),
    Case("2d expanded", (9, 11), kernel(3, 3), layout="expanded"),
    Case("2d empty batch", (9, 9), kernel(3, 3), batch=0),
    # three axes
    Case("3d", (5, 6, 7), kernel(3, 3, 3)),
    Case("3d mixture", (6, 5, 8), mixture(3, (1, 3), (1, 3))),
    Case("3d stride per axis, grouped", (7, 6, 5), kernel(3, 1, 3), channels=(4, 6), groups=2, stride=(2, 1, 3)),
    Case("3d channels_last", (4, 5, 6), kernel(3, 1, 3), channels=(4, 6), layout="channels_last"),
    Case("3d circular", (4, 5, 3), kernel(3, 3, 3, dilation=2), circular=True),
]  # fmt: skip

SMALL = [
    case
    for case in CASES
    if case.name in {
        "1d repeated offsets", "1d grouped", "1d stride 2, circular, odd size", "2d asymmetric", "2d stride per axis",
        "2d circular, stride 2", "2d stride 2, depthwise",
    }
]  # fmt: skip
"""A few that together touch every argument: for the tests that take long."""
