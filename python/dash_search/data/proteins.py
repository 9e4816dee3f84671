# SPDX-License-Identifier: BSD-3-Clause
"""Proteins as maps of pairs of residues: features in, distances out, in windows of a fixed size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..metrics.distances import BORDER
from ..metrics.windows import labelled

OUTSIDE = 100.0  # the distance, in angstrom, where there is no residue
LONGEST = 16.0  # the largest distance that a network is trained on


@dataclass(frozen=True)
class Protein:
    """What is known of a protein of L residues.

    On its map the first residue has row and column ``BORDER``, and the border is also there behind the last one.

    Attributes:
        single: Features of each residue, ``(27, L)``, float32.
        pair: Features of each pair, ``(3, L, L)``, float32.
        distances: In angstrom, ``(L, L)``, float32.
    """

    single: Tensor
    pair: Tensor
    distances: Tensor

    @property
    def side(self) -> int:
        """Of its map, in pixels."""
        return len(self.distances) + 2 * BORDER

    def window(self, top: int, left: int, side: int) -> tuple[Tensor, Tensor]:
        """A square piece of the map, which may reach beyond it.

        Args:
            top, left: Row and column of the map in which it begins, 0 or more.
            side: In pixels.

        Returns:
            Features ``(57, side, side)``, 0 where no residue is: for each feature of residues that of the column and
            then that of the row, then the features of pairs. And distances ``(side, side)``, ``OUTSIDE`` there.
        """
        inputs = torch.zeros(2 * len(self.single) + len(self.pair), side, side)
        distances = torch.full((side, side), OUTSIDE)
        (rows, i), (columns, j) = (self._residues(start, side) for start in (top, left))
        inputs[0 : 2 * len(self.single) : 2, rows, columns] = self.single[:, None, j]
        inputs[1 : 2 * len(self.single) : 2, rows, columns] = self.single[:, i, None]
        inputs[2 * len(self.single) :, rows, columns] = self.pair[:, i, j]
        distances[rows, columns] = self.distances[i, j]
        return inputs, distances

    def _residues(self, start: int, side: int) -> tuple[slice, slice]:
        """The pixels of a window with a residue, along one axis, and which residues these are."""
        first = max(0, BORDER - start)
        end = max(first, min(side, BORDER - start + len(self.distances)))
        shift = start - BORDER
        return slice(first, end), slice(first + shift, end + shift)


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Proteins to train on: inputs ``(57, side, side)`` and distances ``(1, side, side)`` of at most ``LONGEST``.

    A protein whose map is larger than the side gives another crop at every call. Its rows and its columns are drawn
    independently, so most crops of long proteins do not meet the diagonal. The numbers come from torch's global
    generator. A smaller one lies in the upper left corner.

    Args:
        proteins: A reader of each, called whenever the protein is needed.
        side: In pixels.
    """

    def __init__(self, proteins: Sequence[Callable[[], Protein]], side: int) -> None:
        self._proteins, self._side = proteins, side

    def __len__(self) -> int:
        return len(self._proteins)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        protein = self._proteins[i]()
        top, left = torch.randint(max(0, protein.side - self._side) + 1, (2,)).tolist()
        inputs, distances = protein.window(top, left, self._side)
        return inputs, distances.clamp(max=LONGEST)[None]


class Tiles(Dataset[tuple[Tensor, Tensor]]):
    """The upper left corner of proteins' maps, each cut into square tiles row by row; nothing is drawn.

    Inputs are ``(57, side, side)``. Targets are the distances, not clipped, ``(1, side, side)`` where a tile is all
    there is of a protein, else ``(1, side + 1, side)``, as :func:`labelled` makes them.

    Args:
        proteins: A reader of each; what it gave last is kept for the tiles that follow.
        canvas: Side of the corner in pixels, a multiple of the tiles'.
        side: Of a tile.
    """

    def __init__(self, proteins: Sequence[Callable[[], Protein]], canvas: int, side: int) -> None:
        self._proteins, self._side, self._across = proteins, side, canvas // side
        self._last: tuple[int, Protein] | None = None

    def __len__(self) -> int:
        return len(self._proteins) * self._across**2

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        if not 0 <= i < len(self):
            raise IndexError(f"there is no tile {i}, there are {len(self)}")
        number, place = divmod(i, self._across**2)
        if self._last is None or self._last[0] != number:
            self._last = number, self._proteins[number]()
        top, left = (self._side * step for step in divmod(place, self._across))
        inputs, distances = self._last[1].window(top, left, self._side)
        target = distances[None]
        return inputs, target if self._across == 1 else labelled(target, number, top, left)
