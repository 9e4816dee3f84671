# SPDX-License-Identifier: BSD-3-Clause
"""Tasks with their pixels in another order."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from dash_search import Result
from dash_search.data.order import Reordered, bit_reversal
from dash_search.tasks import TASKS

from . import test_cifar10, test_cifar100

# The numbers below 32 by their mirrored binary digits, written down.
REVERSED = [0, 16, 8, 24, 4, 20, 12, 28, 2, 18, 10, 26, 6, 22, 14, 30, 1, 17, 9, 25, 5, 21, 13, 29, 3, 19, 11, 27, 7]
REVERSED += [23, 15, 31]
WRITERS = {"cifar10": test_cifar10.write, "cifar100": test_cifar100.write}


def test_bit_reversal() -> None:
    assert bit_reversal(8).tolist() == [0, 4, 2, 6, 1, 5, 3, 7] and bit_reversal(1).tolist() == [0]
    assert bit_reversal(32).tolist() == REVERSED
    with pytest.raises(ValueError, match="power of two"):
        bit_reversal(12)


def test_rows_and_columns_are_reordered_alike() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    samples = Reordered(TensorDataset(image, torch.tensor([3])), bit_reversal(4))
    assert samples[0][0][0].tolist() == [[0, 2, 1, 3], [8, 10, 9, 11], [4, 6, 5, 7], [12, 14, 13, 15]]
    assert samples[0][1] == 3 and len(samples) == 1


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_same_photographs_in_another_order(data: Path, name: str, protocol: str) -> None:
    WRITERS[name]()
    plain, reordered = TASKS[name].under(protocol), TASKS[f"{name}-perm"].under(protocol)
    assert reordered.name == f"{name}-perm" and reordered.leaks == plain.leaks
    assert reordered.defaults.model_dump() == {**plain.defaults.model_dump(), "task": reordered.name}
    before: Any = plain.load(plain.fetch())
    after: Any = reordered.load(reordered.fetch())
    for part in ("train", "valid", "test"):
        old, new = getattr(before, part), getattr(after, part)
        assert len(old) == len(new)
        torch.manual_seed(4)
        image, label = old[1]
        torch.manual_seed(4)  # the same view of it
        other, same = new[1]
        assert label == same
        assert np.array_equal(other.numpy(), image.numpy()[:, REVERSED][:, :, REVERSED])
        assert not torch.equal(other, image)


def test_a_run(data: Path, run_tiny: Callable[..., Result]) -> None:
    WRITERS["cifar100"]()
    result = run_tiny("cifar100-perm")
    assert len(result.architecture) == 13
    assert json.loads((result.run_dir / "config.json").read_text())["task"] == "cifar100-perm"
