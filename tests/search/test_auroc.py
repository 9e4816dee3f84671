# SPDX-License-Identifier: BSD-3-Clause
"""Area under the curve, against the comparison of all pairs and torchmetrics."""

import math

import pytest
import torch
from torchmetrics.functional.classification import multilabel_auroc

from dash_search.metrics import AUROC_ERROR, aurocs


def test_against_all_pairs_and_torchmetrics() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(200, 6, generator=generator) < 0.2).float()
    outputs = (torch.randn(200, 6, generator=generator) + targets).mul(4).round() / 4  # with ties
    expected = []
    for output, wanted in zip(outputs.T, targets.bool().T, strict=True):
        difference = output[wanted][:, None] - output[~wanted]
        expected.append(float(((difference > 0).double() + 0.5 * (difference == 0)).mean()))
    assert aurocs(outputs, targets).tolist() == pytest.approx(expected, abs=1e-12)
    error = AUROC_ERROR.score(outputs, targets)
    assert error == pytest.approx(1 - sum(expected) / 6, abs=1e-12)
    by_torchmetrics = multilabel_auroc(outputs.sigmoid(), targets.long(), 6, average="macro")
    assert error == pytest.approx(1 - float(by_torchmetrics), abs=1e-6)


def test_only_the_order_counts_even_of_extreme_logits() -> None:
    targets = torch.tensor([[0.0], [1.0], [0.0], [1.0]])
    assert AUROC_ERROR.score(torch.tensor([[40.0], [50.0], [-300.0], [41.0]]), targets) == 0


def test_labels_of_one_value_are_left_out() -> None:
    outputs = torch.tensor([[0.1, 0.3, 0.9], [0.2, 0.2, 0.8], [0.3, 0.1, 0.7]])
    targets = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    areas = aurocs(outputs, targets)
    assert areas[:2].tolist() == [1.0, 0.5] and math.isnan(areas[2])
    assert AUROC_ERROR.score(outputs, targets) == pytest.approx(0.25)
    assert math.isnan(AUROC_ERROR.score(outputs, torch.zeros(3, 3)))


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"outputs are \(3, 2\), targets \(3,\)"):
        AUROC_ERROR.score(torch.zeros(3, 2), torch.zeros(3))
