# SPDX-License-Identifier: BSD-3-Clause
"""Values at positions to spectra and back, by the route of a plan. Importing this imports Triton.

A spectrum is a real tensor (2, rows, frequencies): real and imaginary parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from . import mixing, tables
from .configurations import ANALYSE_DIRECT, ANALYSE_FACTORED, SYNTHESISE_DIRECT, SYNTHESISE_FACTORED
from .launch import launch, precision
from .plan import Grid, Plan


@dataclass(frozen=True)
class Transform:
    """The transforms of one convolution.

    Attributes:
        plan: The circles and the route.
        where: Device of the operands, and the dtype to compute in: of tables and spectra.
    """

    plan: Plan
    where: tables.Where

    def empty(self, *shape: int, route: str) -> Tensor:
        """Room for spectra (2, *shape, frequencies); for torch's transforms, parts of a number side by side."""
        shape = (*shape, self.plan.frequencies)
        if route == "torch":
            return torch.empty((*shape, 2), dtype=self.where.dtype, device=self.where.device).movedim(-1, 0)
        return torch.empty((2, *shape), dtype=self.where.dtype, device=self.where.device)

    def analyse(self, values: Tensor, grid: Grid) -> Tensor:
        """The spectrum of maps, values (rows, positions) at ``grid``, contiguous."""
        return self._analyse(values, grid, self.plan.route)

    def synthesise(self, spectrum: Tensor, grid: Grid, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
        """Maps (rows, positions) at ``grid`` of a spectrum, plus bias (channels,), rows being (.., channels)."""
        return self._synthesise(spectrum, grid, bias, dtype, self.plan.route)

    def analyse_taps(self, taps: Tensor) -> Tensor:
        """The spectrum of taps (rows, T), each row one filter of one channel."""
        plan = self.plan
        if plan.cells is None:
            return self._analyse(taps, None, plan.tap_route)
        cells = mixing.scatter(taps.to(self.where.dtype), plan.place, math.prod(map(len, plan.cells)))
        return self._analyse(cells, plan.cells, plan.tap_route)

    def synthesise_taps(self, spectrum: Tensor, dtype: torch.dtype) -> Tensor:
        """Values (rows, T) of a spectrum at the taps, the adjoint of :meth:`analyse_taps`."""
        plan = self.plan
        values = self._synthesise(spectrum, plan.cells, None, dtype, plan.tap_route)
        return values if plan.cells is None else mixing.gather(values, plan.place)

    def _analyse(self, values: Tensor, grid: Grid | None, route: str) -> Tensor:
        if route == "direct":
            return self._analyse_direct(values, tables.direct(self.plan, grid, self.where))
        assert grid is not None
        return self._analyse_factored(values, grid) if route == "factored" else self._analyse_torch(values, grid)

    def _synthesise(
        self, spectrum: Tensor, grid: Grid | None, bias: Tensor | None, dtype: torch.dtype, route: str
    ) -> Tensor:
        if route == "direct":
            return self._synthesise_direct(spectrum, tables.direct(self.plan, grid, self.where), bias, dtype)
        assert grid is not None
        if route == "factored":
            return self._synthesise_factored(spectrum, grid, bias, dtype)
        return self._synthesise_torch(spectrum, grid, bias, dtype)

    def _analyse_direct(self, values: Tensor, table: Tensor) -> Tensor:
        rows, positions, frequencies = len(values), table.shape[1], table.shape[2]
        spectrum = self.empty(rows, route="direct")
        launch(
            ANALYSE_DIRECT,
            {"BLOCK_ROWS": rows, "BLOCK_POSITIONS": positions, "BLOCK_FREQUENCIES": frequencies},
            lambda b: (triton.cdiv(rows, b["BLOCK_ROWS"]), triton.cdiv(frequencies, b["BLOCK_FREQUENCIES"])),
            source=values,
            table=table,
            spectrum=spectrum,
            plane=spectrum.stride(0),
            rows=rows,
            positions=positions,
            frequencies=frequencies,
            PRECISION=precision(self.where.dtype),
        )
        return spectrum

    def _synthesise_direct(self, spectrum: Tensor, table: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
        rows, positions, frequencies = spectrum.shape[1], table.shape[1], table.shape[2]
        result = table.new_empty((rows, positions), dtype=dtype)
        launch(
            SYNTHESISE_DIRECT,
            {"BLOCK_ROWS": rows, "BLOCK_POSITIONS": positions, "BLOCK_FREQUENCIES": frequencies},
            lambda b: (triton.cdiv(rows, b["BLOCK_ROWS"]), triton.cdiv(positions, b["BLOCK_POSITIONS"])),
            spectrum=spectrum,
            plane=spectrum.stride(0),
            table=table,
            share=tables.share(self.plan, True, self.where),
            bias=result if bias is None else bias,
            result=result,
            rows=rows,
            positions=positions,
            frequencies=frequencies,
            channels=1 if bias is None else len(bias),
            HAS_BIAS=bias is not None,
            PRECISION=precision(self.where.dtype),
        )
        return result

    def _analyse_factored(self, values: Tensor, grid: Grid) -> Tensor:
        table = tables.factored(self.plan, grid, self.where)
        frequencies1, frequencies2 = self.plan.shape
        rows, count = values.shape
        spectrum = self.empty(rows, route="factored")
        launch(
            ANALYSE_FACTORED,
            self._blocks(table),
            lambda b: (
                rows,
                triton.cdiv(frequencies1, b["BLOCK_K1"]),
                triton.cdiv(frequencies2, b["BLOCK_K2"]),
            ),
            source=values,
            left=table.left,
            right=table.right,
            twiddle=table.left if table.twiddle is None else table.twiddle,
            spectrum=spectrum,
            plane=spectrum.stride(0),
            count=count,
            frequencies1=frequencies1,
            frequencies2=frequencies2,
            **_layout(table),
            HAS_TWIDDLE=table.twiddle is not None,
            PRECISION=precision(self.where.dtype),
        )
        return spectrum

    def _synthesise_factored(self, spectrum: Tensor, grid: Grid, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
        table = tables.factored(self.plan, grid, self.where)
        frequencies1, frequencies2 = self.plan.shape
        rows, count = spectrum.shape[1], math.prod(map(len, grid))
        result = spectrum.new_empty((rows, count), dtype=dtype)
        layout = _layout(table)
        launch(
            SYNTHESISE_FACTORED,
            self._blocks(table),
            lambda b: (
                rows,
                triton.cdiv(layout["size1"], b["BLOCK_J1"]),
                triton.cdiv(layout["size2"], b["BLOCK_J2"]),
            ),
            spectrum=spectrum,
            plane=spectrum.stride(0),
            left=table.left,
            right=table.right,
            twiddle=table.left if table.twiddle is None else table.twiddle,
            share=tables.share(self.plan, False, self.where),
            bias=result if bias is None else bias,
            result=result,
            count=count,
            frequencies1=frequencies1,
            frequencies2=frequencies2,
            channels=1 if bias is None else len(bias),
            **layout,
            HAS_TWIDDLE=table.twiddle is not None,
            HAS_BIAS=bias is not None,
            PRECISION=precision(self.where.dtype),
        )
        return result

    def _blocks(self, table: tables.Factored) -> dict[str, int]:
        (_, k1, j1), (_, j2, k2) = table.left.shape, table.right.shape
        return {"BLOCK_K1": k1, "BLOCK_J1": j1, "BLOCK_J2": j2, "BLOCK_K2": k2}

    def _analyse_torch(self, values: Tensor, grid: Grid) -> Tensor:
        lengths, values = self.plan.lengths, values.to(self.where.dtype)
        if grid is self.plan.cells:
            points = values.new_zeros((len(values), math.prod(lengths)))
            maps = points.index_copy_(1, tables.points(self.plan, values.device), values).view(-1, *lengths)
        else:
            maps = values.view(-1, *map(len, grid))
            if any(axis.step != 1 for axis in _ranges(grid)):
                spread = maps.new_zeros((len(maps), *lengths))
                spread[_pixels(grid)] = maps
                maps = spread
        found = torch.fft.rfftn(maps, s=lengths, dim=tuple(range(1, maps.dim())))
        return torch.view_as_real(found).flatten(1, -2).movedim(-1, 0)

    def _synthesise_torch(self, spectrum: Tensor, grid: Grid, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
        packed = torch.view_as_complex(spectrum.movedim(0, -1)).view(-1, *self.plan.shape)
        maps = torch.fft.irfftn(packed, s=self.plan.lengths, dim=tuple(range(1, packed.dim())))
        if grid is self.plan.cells:
            kept = maps.flatten(1).index_select(1, tables.points(self.plan, maps.device))
        else:
            kept = maps[_pixels(grid)].flatten(1)
        values: Tensor = kept.to(dtype).contiguous()
        return values if bias is None else values + bias.repeat(len(values) // len(bias))[:, None]


def _ranges(grid: Grid) -> list[range]:
    """The axes of a map's grid: every so many-th pixel."""
    return [axis for axis in grid if isinstance(axis, range)]


def _pixels(grid: Grid) -> tuple[slice, ...]:
    """Where the pixels of maps (rows, *lengths) lie."""
    return (slice(None), *(slice(0, axis.stop, axis.step) for axis in _ranges(grid)))


def _layout(table: tables.Factored) -> dict[str, int]:
    """How the plane of values lies in memory: a map row by row, a series residue by residue."""
    size1, size2 = table.left.shape[2], table.right.shape[1]
    step1, step2 = (size2, 1) if table.twiddle is None else (1, size1)
    return {"size1": size1, "size2": size2, "step1": step1, "step2": step2}
