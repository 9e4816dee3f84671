# SPDX-License-Identifier: BSD-3-Clause
"""F1 of recordings by vote and of windows by batch, against counting by hand and torchmetrics."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_f1_score

from dash_search.metrics import F1_ERROR_OF_VOTES, f1_error_of_batches, votes


def windows(count: int, recordings: int, classes: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, the class of each window's recording, and numbers of recordings with gaps, in any order."""
    generator = torch.Generator().manual_seed(seed)
    of_recording = torch.randint(classes, (recordings,), generator=generator)
    recording = torch.cat(
        [torch.arange(recordings), torch.randint(recordings, (count - recordings,), generator=generator)]
    )
    recording = recording[torch.randperm(count, generator=generator)]
    outputs = torch.randn(count, classes, generator=generator)
    outputs[torch.arange(count), of_recording[recording]] += 0.7
    return outputs, of_recording[recording], 3 * recording + 5


def f1_by_counting(named: list[int], wanted: list[int], label: int) -> float:
    hits = sum(a == b == label for a, b in zip(named, wanted, strict=True))
    claims, there = named.count(label), wanted.count(label)
    return 2 * hits / (claims + there) if claims + there else 0.0


@pytest.mark.parametrize("seed", range(3))
def test_votes_by_counting(seed: int) -> None:
    outputs, classes, recording = windows(400, 40, 4, seed)
    named, wanted = [], []
    for number in sorted(set(recording.tolist())):
        chosen = recording == number
        counts = Counter(outputs[chosen].argmax(dim=1).tolist())
        named.append(min(label for label in counts if counts[label] == max(counts.values())))
        wanted.append(int(classes[chosen][0]))
    assert votes(outputs, recording)[0].tolist() == named
    expected = 1 - np.mean([f1_by_counting(named, wanted, label) for label in range(4)])
    got = F1_ERROR_OF_VOTES.score(outputs, torch.stack([classes, recording], dim=1))
    assert got == pytest.approx(expected, abs=1e-12)
    by_torchmetrics = multiclass_f1_score(torch.tensor(named), torch.tensor(wanted), 4, average="macro")
    assert got == pytest.approx(1 - float(by_torchmetrics), abs=1e-6)


def test_of_equal_votes_the_first_class_wins_in_any_order() -> None:
    outputs = torch.eye(4)[[2, 1, 3, 1, 2, 0]]
    recording = torch.tensor([0, 0, 0, 0, 0, 1])
    for order in (torch.arange(6), torch.arange(5, -1, -1)):
        named, place = votes(outputs[order], recording[order])
        assert named.tolist() == [1, 0] and torch.equal(place, recording[order])


def test_a_class_that_no_recording_has_counts_as_zero() -> None:
    outputs, targets = 9 * torch.eye(4)[[0, 1, 2]], torch.tensor([[0, 0], [1, 1], [2, 2]])
    assert F1_ERROR_OF_VOTES.score(outputs, targets) == pytest.approx(0.25)
    outputs[0] = 9 * torch.eye(4)[3]  # taken for the fourth
    assert F1_ERROR_OF_VOTES.score(outputs, targets) == pytest.approx(0.5)


def test_classes_alone_cannot_vote() -> None:
    with pytest.raises(ValueError, match=r"targets \(5,\): give .* class and number of its recording \(N, 2\)"):
        F1_ERROR_OF_VOTES.score(torch.randn(5, 4), torch.zeros(5))


def test_batches_are_averaged_over_the_classes_in_them() -> None:
    outputs, classes, _ = windows(50, 10, 4, 7)
    expected = []
    for start in range(0, 50, 8):  # the last one has 2
        named = outputs[start : start + 8].argmax(dim=1).tolist()
        wanted = classes[start : start + 8].tolist()
        there = sorted({*named, *wanted})
        expected.append(np.mean([f1_by_counting(named, wanted, label) for label in there]))
    assert f1_error_of_batches(8).score(outputs, classes) == pytest.approx(1 - np.mean(expected), abs=1e-12)
