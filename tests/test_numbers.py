# SPDX-License-Identifier: BSD-3-Clause
"""Tuples that are hashed and made a tensor once are found where plain ones are looked for, and the other way round."""

from __future__ import annotations

import torch

from dash_kernels.engines import numbers


def test_they_stand_for_plain_tuples() -> None:
    values = (3, -1, 10**12)
    made = numbers(values)
    assert made == values and hash(made) == hash(values)
    assert {values: "plain"}[made] == "plain" and {made: "made"}[values] == "made"
    assert numbers(list(values)) is made and numbers(made) is made
    with torch.device("meta"):  # whatever the default device
        assert made.tensor.device.type == "cpu"
    assert made.tensor.dtype == torch.int64 and made.tensor.tolist() == list(values)
    assert made.tensor is made.tensor
