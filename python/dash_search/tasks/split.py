# SPDX-License-Identifier: BSD-3-Clause
"""Cutting one data set into training, validation and test parts."""

from collections.abc import Sequence

import torch
from torch import Tensor


def stratified_split(classes: Tensor, shares: Sequence[float], *, seed: int) -> list[Tensor]:
    """Cuts the samples into disjoint parts, each class by the same shares.

    Args:
        classes: ``(N,)`` integers.
        shares: Share of each part, summing to 1. Every class gives ``round(share * n)`` of its n samples to each
            part but the last, which takes the rest.
        seed: Of the permutation within the classes; the global generators are neither read nor moved.

    Returns:
        One sorted int64 index per part.

    Raises:
        ValueError: The shares do not sum to 1, or a part would get no sample of some class.
    """
    if abs(sum(shares) - 1) > 1e-9 or min(shares) <= 0:
        raise ValueError(f"shares {tuple(shares)} must be positive and sum to 1.")
    generator = torch.Generator().manual_seed(seed)
    parts: list[list[Tensor]] = [[] for _ in shares]
    for label in torch.unique(classes):
        members = (classes == label).nonzero().flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        counts = [round(share * len(members)) for share in shares[:-1]]
        counts.append(len(members) - sum(counts))
        if min(counts) < 1:
            raise ValueError(f"class {int(label)} has {len(members)} samples, too few for shares {tuple(shares)}.")
        for part, chosen in zip(parts, members.split(counts), strict=True):
            part.append(chosen)
    return [torch.cat(part).sort().values for part in parts]
