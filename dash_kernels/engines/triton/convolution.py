# SPDX-License-Identifier: BSD-3-Clause
"""The convolution family in the frequency domain. Importing this imports Triton.

With X, G and T the spectra of input, output and taps at each frequency,

    Y[b, o] = sum_c X[b, c] conj(T[o, c])    dX[b, c] = sum_o G[b, o] T[o, c]    dT[o, c] = sum_b conj(G[b, o]) X[b, c]

which is the correlation theorem. Spectra are several times as large as what they belong to, so they are made in parts:
of the batch, and of the filters or channels that a part of the taps' spectrum belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from ..rounding import in_double
from .configurations import PRODUCT_MATRIX, PRODUCT_POINTWISE
from .launch import launch, precision
from .plan import PART_BYTES, Grid, plan, positions
from .tables import Where
from .transforms import Transform

Ints = Sequence[int]

FEW_PAIRS = 16
"""Up to so many pairs of channels per group a matrix unit would compute mostly padding."""


@dataclass(frozen=True)
class Convolution:
    """One convolution: its transforms, and the positions of its input and its output."""

    transform: Transform
    source: Grid
    target: Grid
    groups: int

    @classmethod
    def of(
        cls, like: Tensor, results: int, offsets: Ints, size: Ints, out: Ints, stride: Ints, groups: int, circular: bool
    ) -> Convolution:
        """For operands such as ``like``, with so many numbers in the result."""
        how = plan(tuple(offsets), tuple(size), tuple(out), tuple(stride), circular)
        dtype = torch.float64 if in_double(like.dtype, how.reach, results) else like.dtype
        source, target = positions(size, (1,) * len(size)), positions(out, stride)
        return cls(Transform(how, Where(like.device, dtype)), source, target, groups)

    def forward(self, x: Tensor, taps: Tensor, bias: Tensor | None) -> Tensor:
        """y (batch, out, *m) of x (batch, in, *n) and taps (out, in/groups, T)."""
        parts = []
        for batch in self._parts(len(x), max(x.shape[1], len(taps))):
            spectrum = self._maps(x[batch], self.source)
            found = self._new(spectrum.shape[2], taps.shape[0] // self.groups)
            for filters, kernels in self._kernels(taps, 1):
                _product(spectrum, kernels.transpose(2, 3), found[..., filters, :], conjugate="b")
            parts.append(self._back(found, self.target, bias, x.dtype))
        return _joined(parts, 0)

    def input_grad(self, grad: Tensor, taps: Tensor) -> Tensor:
        """The gradient (batch, in, *n) of grad (batch, out, *m) and taps (out, in/groups, T)."""
        batches = self._parts(len(grad), max(taps.shape[1] * self.groups, len(taps)))
        return _joined([self._input_grad(self._maps(grad[b], self.target), taps, grad.dtype) for b in batches], 0)

    def weight_grad(self, grad: Tensor, x: Tensor) -> Tensor:
        """The gradient (out, in/groups, T) of grad (batch, out, *m) and x (batch, in, *n)."""
        filters, channels = grad.shape[1] // self.groups, x.shape[1] // self.groups
        parts = []
        for part in self._parts(filters, channels * self.groups):
            upstream = grad.unflatten(1, (self.groups, filters))[:, :, part].flatten(1, 2)
            found = self._new_taps(part.stop - part.start, channels)
            for number, batch in enumerate(self._parts(len(x), x.shape[1] + upstream.shape[1])):
                outputs = self._maps(upstream[batch], self.target)
                inputs = self._maps(x[batch], self.source)
                _product(outputs.transpose(2, 3), inputs, found, conjugate="a", accumulate=number > 0)
            parts.append(self._taps(found, grad.dtype))
        return _joined(parts, 1).flatten(0, 1)

    def gradients(self, grad: Tensor, taps: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`input_grad` and :meth:`weight_grad`; grad is transformed once if the taps' spectrum fits one part."""
        filters, channels = grad.shape[1] // self.groups, x.shape[1] // self.groups
        if len(list(self._parts(filters, channels * self.groups))) > 1:
            return self.input_grad(grad, taps), self.weight_grad(grad, x)
        found, parts = self._new_taps(filters, channels), []
        for number, batch in enumerate(self._parts(len(x), x.shape[1] + grad.shape[1])):
            outputs = self._maps(grad[batch], self.target)
            parts.append(self._input_grad(outputs, taps, grad.dtype))
            inputs = self._maps(x[batch], self.source)
            _product(outputs.transpose(2, 3), inputs, found, conjugate="a", accumulate=number > 0)
        return _joined(parts, 0), self._taps(found, grad.dtype).flatten(0, 1)

    def _input_grad(self, spectrum: Tensor, taps: Tensor, dtype: torch.dtype) -> Tensor:
        """Of samples whose upstream gradient has this spectrum."""
        found = self._new(spectrum.shape[2], taps.shape[1])
        for inputs, kernels in self._kernels(taps, 2):
            _product(spectrum, kernels, found[..., inputs, :])
        return self._back(found, self.source, None, dtype)

    def _parts(self, count: int, width: int) -> Iterator[slice]:
        """Slices of so many things, each with ``width`` spectra, that together need PART_BYTES at most."""
        each = 2 * self.transform.where.dtype.itemsize * self.transform.plan.frequencies * width
        step = max(1, PART_BYTES // max(each, 1))
        return (slice(start, min(start + step, count)) for start in range(0, count, step))

    def _maps(self, maps: Tensor, grid: Grid) -> Tensor:
        """The spectra (2, groups, batch, channels/groups, F) of maps (batch, channels, *sizes)."""
        values = maps.reshape(maps.shape[0] * maps.shape[1], -1).contiguous()
        spectrum = self.transform.analyse(values, grid)
        return spectrum.view(2, len(maps), self.groups, -1, spectrum.shape[-1]).transpose(1, 2)

    def _kernels(self, taps: Tensor, axis: int) -> Iterator[tuple[slice, Tensor]]:
        """Part by part of the filters (axis 1) or channels (axis 2): the spectra (2, groups, filters, channels, F)."""
        grouped = taps.unflatten(0, (self.groups, -1))
        for part in self._parts(grouped.shape[axis], grouped.shape[3 - axis] * self.groups):
            kernels = grouped[:, part] if axis == 1 else grouped[:, :, part]
            spectrum = self.transform.analyse_taps(kernels.reshape(-1, kernels.shape[-1]).contiguous())
            yield part, spectrum.view(2, *kernels.shape[:3], spectrum.shape[-1])

    def _new(self, batch: int, channels: int) -> Tensor:
        """Room for spectra (2, groups, batch, channels, F) that lie in memory by batch, group and channel."""
        return self.transform.empty(batch, self.groups, channels, route=self.transform.plan.route).transpose(1, 2)

    def _new_taps(self, filters: int, channels: int) -> Tensor:
        """Room for the spectra (2, groups, filters, channels, F) of taps."""
        return self.transform.empty(self.groups, filters, channels, route=self.transform.plan.tap_route)

    def _taps(self, spectra: Tensor, dtype: torch.dtype) -> Tensor:
        """Taps (groups, filters, channels, T) of such spectra."""
        values = self.transform.synthesise_taps(spectra.flatten(1, 3), dtype)
        return values.view(*spectra.shape[1:4], values.shape[1])

    def _back(self, spectra: Tensor, grid: Grid, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
        """Maps (batch, channels, *sizes) of spectra (2, groups, batch, channels/groups, F)."""
        bias = None if bias is None else bias.contiguous()  # kernels read it number by number
        values = self.transform.synthesise(spectra.transpose(1, 2).flatten(1, 3), grid, bias, dtype)
        return values.view(spectra.shape[2], -1, *map(len, grid))


def _joined(parts: list[Tensor], axis: int) -> Tensor:
    """The parts one behind the other; a single one, as nearly always, without a copy."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, axis)


def _product(a: Tensor, b: Tensor, result: Tensor, *, conjugate: str = "", accumulate: bool = False) -> None:
    """result[g, i, j] = (or +=) sum over m of a[g, i, m] b[g, m, j]: spectra (2, g, rows, columns, F), any strides.

    Args:
        a, b: The operands.
        result: Written, or added to.
        conjugate: Which of them is conjugated first: "a", "b" or none.
        accumulate: Whether to add.
    """
    _, groups, size_i, size_m, frequencies = a.shape
    size_j = b.shape[3]
    (a_plane, a_g, a_i, a_m, a_f), (b_plane, b_g, b_m, b_j, b_f) = a.stride(), b.stride()
    result_plane, result_g, result_i, result_j, result_f = result.stride()
    arguments = {
        "a": a, "b": b, "result": result,
        "frequencies": frequencies, "size_i": size_i, "size_j": size_j, "size_m": size_m,
        "a_plane": a_plane, "a_g": a_g, "a_i": a_i, "a_m": a_m, "a_frequency": a_f,
        "b_plane": b_plane, "b_g": b_g, "b_m": b_m, "b_j": b_j, "b_frequency": b_f,
        "result_plane": result_plane, "result_g": result_g, "result_i": result_i, "result_j": result_j,
        "result_frequency": result_f,
        "CONJUGATE": conjugate, "ACCUMULATE": accumulate,
    }  # fmt: skip
    if min(size_i * size_j, size_m * size_j, size_i * size_m) <= FEW_PAIRS:
        launch(
            PRODUCT_POINTWISE,
            {"BLOCK_FREQUENCIES": frequencies},
            lambda b: (groups * size_i * size_j * triton.cdiv(frequencies, b["BLOCK_FREQUENCIES"]),),
            **arguments,
        )
        return
    launch(
        PRODUCT_MATRIX,
        {"BLOCK_I": size_i, "BLOCK_J": size_j, "BLOCK_M": size_m},
        lambda b: (
            groups
            * triton.cdiv(size_i, b["BLOCK_I"])
            * triton.cdiv(size_j, b["BLOCK_J"])
            * triton.cdiv(frequencies, b["BLOCK_FREQUENCIES"]),
        ),
        **arguments,
        PRECISION=precision(result.dtype),
    )
