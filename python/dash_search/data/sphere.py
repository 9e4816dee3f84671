# SPDX-License-Identifier: BSD-3-Clause
"""Flat pictures put onto a sphere that is turned at random, as the benchmark's spherical photographs were made.

A picture lies in the middle of the northern hemisphere, which stereographic projection from the south pole maps to the
unit disc of the plane through the equator; the square of the picture reaches from -3/4 to 3/4 there. Seen from above
the pole it is upright: its columns run along x, its rows against y. The sphere is black outside the picture, and on
all of the southern hemisphere. Turned by a rotation, it is sampled on the equiangular grid of Driscoll and Healy:
with bandwidth b, 2b colatitudes pi j / 2b by 2b longitudes pi k / b, so that row 0 is the north pole and row b the
equator, and the columns are a circle.

Source: Cohen, Geiger, Koehler and Welling, "Spherical CNNs", ICLR 2018, arXiv:1801.10130; the grid is from Driscoll and
Healy, "Computing Fourier transforms and convolutions on the 2-sphere", 1994. Their pictures shared rotations in groups
of hundreds; here each one has its own.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

HALF_SIDE = 0.75  # of a picture, where the equator has radius 1
_AT_ONCE = 250  # pictures, to bound the memory that the places of their samples take


def grid_directions(bandwidth: int) -> Tensor:
    """The places of the grid as unit vectors, ``(2 * bandwidth, 2 * bandwidth, 3)``: rows by colatitude, float64."""
    steps = torch.arange(2 * bandwidth, dtype=torch.float64) * math.pi / bandwidth
    colatitude, longitude = torch.meshgrid(steps / 2, steps, indexing="ij")
    sine = colatitude.sin()
    return torch.stack([sine * longitude.cos(), sine * longitude.sin(), colatitude.cos()], dim=2)


def random_rotations(count: int, *, seed: int) -> Tensor:
    """Rotations of space, ``(count, 3, 3)``, float64, each as likely as any other.

    They are those of quaternions that are uniform on the unit sphere of four dimensions (Shoemake, "Uniform random
    rotations", 1992). The global generators are neither read nor moved.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, 4, dtype=torch.float64, generator=generator)
    w, x, y, z = F.normalize(drawn, dim=1).unbind(1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def project(pictures: Tensor, rotations: Tensor, *, bandwidth: int) -> Tensor:
    """What turned spheres with pictures on them show on the grid, between pixels by bilinear interpolation.

    Args:
        pictures: ``(N, channels, side, side)``, float, black is 0.
        rotations: ``(N, 3, 3)``: the middle of picture n comes to lie at ``rotations[n] @ (0, 0, 1)``.
        bandwidth: Of the grid.

    Returns:
        ``(N, channels, 2 * bandwidth, 2 * bandwidth)``, of the dtype of the pictures.
    """
    directions = grid_directions(bandwidth)
    parts = []
    for some, turns in zip(torch.split(pictures, _AT_ONCE), torch.split(rotations, _AT_ONCE), strict=True):
        x, y, z = torch.einsum("nji,rcj->inrc", turns, directions)  # turned back, to where the picture lies
        towards = 1 + z.clamp(min=0)  # the southern hemisphere is masked below
        places = torch.stack([x, -y], dim=3) / (HALF_SIDE * towards[..., None])  # of the square: -1 to 1
        seen = F.grid_sample(some, places.to(some.dtype), mode="bilinear", padding_mode="zeros", align_corners=False)
        parts.append(seen * (z >= 0)[:, None])
    return torch.cat(parts)
