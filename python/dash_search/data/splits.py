# SPDX-License-Identifier: BSD-3-Clause
"""The three parts that a task's data is cut into, and how a single data set is cut."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ..errors import DataError


@dataclass(frozen=True)
class Splits:
    """Three disjoint data sets of ``(input, target)`` pairs of tensors; each has a length.

    Attributes:
        train: What networks are trained on; its samples may be augmented anew whenever they are asked for, by random
            numbers of torch's global generator.
        valid: What chooses among weights.
        test: What is looked at once, at the end.
        decoder: From a network's outputs to the units of the targets, if anything; fitted on the training part.
        remarks: Sentences about the data that whoever reads a result must know.

    Raises:
        DataError: A part is empty.
    """

    train: Dataset[Any]
    valid: Dataset[Any]
    test: Dataset[Any]
    decoder: nn.Module | None = field(default=None, kw_only=True)
    remarks: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        for name, part in (("training", self.train), ("validation", self.valid), ("test", self.test)):
            if len(part) == 0:  # type: ignore[arg-type]
                raise DataError(f"the {name} part is empty: the files of the task hold too few samples.")


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
        ValueError: The shares do not sum to 1.
        DataError: A part would get no sample of some class.
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
            raise DataError(
                f"the files of the task hold too few samples: of class {int(label)} there are {len(members)}, to be "
                f"shared {' : '.join(map(str, shares))}."
            )
        for part, chosen in zip(parts, members.split(counts), strict=True):
            part.append(chosen)
    return [torch.cat(part).sort().values for part in parts]
