# SPDX-License-Identifier: BSD-3-Clause
"""Hubble images out of the benchmark's folders: which are taken, the sky's brightness, and masked loss and scores."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import confusion_matrix, roc_auc_score
from torch import Tensor

from dash_search import DataError, Result
from dash_search.losses import masked_bce
from dash_search.metrics import FNR, FNR_BY_FOUR
from dash_search.metrics.masks import HARD_AUROC, SOFT_AUROC
from dash_search.tasks import TASKS, cosmic

# PROPOSAL/VISIT: names of images. One with an ignore mask (3 layers) has an even number.
FILES = {
    cosmic.TRAIN: {
        "10760/2": ["1_0", "1_1", "2_0", "10_0"],
        "9490/a3": ["1_0", "2_0"],
        "12058/16": ["1_0", "2_5"],
        "10760/9": ["1_0"],  # no field of galaxies
    },
    cosmic.TEST: {"14704/1": ["1_0", "2_0", "1_7"]},
}
SKIES = np.array([100.0, 200.0, *[0.0] * 7, 1000.0])


def exposure(name: str) -> np.ndarray:
    number = int(name.split("_")[0])
    draw = np.random.default_rng([number, len(name)])
    image = draw.standard_normal((1, 256, 256)) * 10 + number
    return np.concatenate([image, draw.random((1 + (number % 2 == 0), 256, 256)) < 0.1]).astype(np.float32)


def write() -> list[Path]:
    """The two folders; a visit of three has no sky.npy."""
    for folder, visits in FILES.items():
        for visit, names in visits.items():
            (folder.path() / "f435w" / visit).mkdir(parents=True)
            for name in names:
                np.save(folder.path() / "f435w" / visit / f"{name}.npy", exposure(name))
            if visit != "9490/a3":
                np.save(folder.path() / "f435w" / visit / "sky.npy", SKIES)
    other = cosmic.TRAIN.path() / "f606w" / "10760" / "2"  # another filter
    other.mkdir(parents=True)
    np.save(other / "1_0.npy", exposure("1_0"))
    return [cosmic.TRAIN.path(), cosmic.TEST.path()]


@pytest.fixture
def folders(data: Path) -> list[Path]:
    return write()


def names(part: Any) -> list[str]:
    return ["/".join(path.with_suffix("").parts[-3:]) for path in part.paths]


def test_parts_are_those_of_the_benchmark(folders: list[Path]) -> None:
    splits: Any = TASKS["cosmic"].load(folders)
    trained = ["10760/2/10_0", "10760/2/1_0", "10760/2/1_1", "10760/2/2_0", "12058/16/1_0", "12058/16/2_5"]
    assert names(splits.train) == [*trained, "9490/a3/1_0"] and names(splits.valid) == ["9490/a3/2_0"]
    assert names(splits.test) == ["14704/1/1_0", "14704/1/1_7", "14704/1/2_0"]
    assert 4830 - round(cosmic.VALID * 4830) == 4347 and 4830 - round(cosmic.PAPER_VALID * 4830) == 4410
    assert len(cosmic.GALAXIES) == 27
    for part in (splits.valid, splits.test):
        for path, (image, target) in zip(part.paths, part, strict=True):
            stored = exposure(path.stem)[:, 64:192, 64:192]
            assert image.dtype == target.dtype == torch.float32 and np.array_equal(image, stored[:1])
            assert np.array_equal(target[0], stored[1])
            assert np.array_equal(target[1], stored[2] if len(stored) == 3 else np.zeros((128, 128)))


def test_the_sky_is_brighter_or_darker_in_training_only(folders: list[Path]) -> None:
    splits: Any = TASKS["cosmic"].load(folders)
    torch.manual_seed(0)
    for i, level in ((0, 1000.0), (1, 100.0), (3, 200.0)):
        stored = exposure(splits.train.paths[i].stem)[:1, 64:192, 64:192]
        added = np.array([splits.train[i][0].numpy() - stored for _ in range(50)]) / level
        shares = added.mean(axis=(1, 2, 3))
        assert np.abs(added - shares[:, None, None, None]).max() < 1e-4  # one number for all pixels
        assert -0.9 <= shares.min() < -0.6 and 2.7 < shares.max() <= 3
    assert torch.equal(splits.train[6][0], splits.train[6][0])  # a visit without sky.npy
    for part in (splits.valid, splits.test):
        assert all(torch.equal(part[i][0], part[i][0]) for i in range(len(part)))


def test_the_paper_validates_on_drawn_images_of_the_training_folder(folders: list[Path]) -> None:
    task = TASKS["cosmic"].under("paper")
    splits, again, clean = (one.load(folders) for one in (task, task, TASKS["cosmic"]))
    assert names(splits.train) == names(again.train) and names(splits.valid) == names(again.valid)
    assert len(names(splits.valid)) == 1 and sorted(names(splits.train) + names(splits.valid)) == sorted(
        names(clean.train) + names(clean.valid)
    )
    assert names(splits.test) == names(clean.test) and task.leaks == ""


def predictions(count: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(count)
    mask = (torch.rand(count, 1, 9, 11, generator=generator) < 0.2).float()
    ignored = (torch.rand(mask.shape, generator=generator) < 0.3).float()
    noise = torch.randn(mask.shape, generator=generator)
    return (2 * mask - 1.5 + noise).round(decimals=1), torch.cat([mask, ignored], dim=1)


def test_loss_is_that_of_masked_probabilities() -> None:
    logits, targets = predictions()
    used = 1 - targets[:, 1:]
    expected = F.binary_cross_entropy(logits.double().sigmoid() * used, targets[:, :1].double() * used)
    assert float(masked_bce(logits, targets)) == pytest.approx(float(expected), rel=1e-6)
    extreme = torch.full((1, 1, 2, 2), -300.0, requires_grad=True)
    mask, ignored = torch.tensor([[1.0, 1.0], [0.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    loss = masked_bce(extreme, torch.stack([mask, ignored])[None])
    (gradient,) = torch.autograd.grad(loss, extreme)
    assert loss.detach() == 300 / 4 and gradient.tolist() == [[[[-1 / 4, 0], [0, 0]]]]


def test_scores_beside_scikit_learn() -> None:
    logits, targets = predictions()
    used = targets[:, 1] == 0
    true, scores = targets[:, 0][used].numpy(), logits[:, 0][used].double().numpy()
    (rejected, false_alarms), (missed, hit) = confusion_matrix(true, scores > 0)
    assert FNR.score(logits, targets) == pytest.approx(100 * missed / (missed + hit))
    assert HARD_AUROC.score(logits, targets) == pytest.approx(1 - roc_auc_score(true, scores > 0))
    assert HARD_AUROC.score(logits, targets) == pytest.approx(
        1 - (hit / (hit + missed) + 1 - false_alarms / (false_alarms + rejected)) / 2
    )
    assert SOFT_AUROC.score(logits, targets) == pytest.approx(1 - roc_auc_score(true, scores))
    # large logits, whose probabilities are all 1, keep their order
    assert SOFT_AUROC.score(1000 + logits, targets) == pytest.approx(1 - roc_auc_score(true, scores), abs=1e-6)
    assert {metric.name for metric in FNR.beside} == {"1-AUROC of decisions at 0.5", "1-AUROC of probabilities"}


def test_mean_over_batches_of_four_leaves_out_those_without_rays() -> None:
    logits, targets = predictions(11)
    targets[4:8, 0] = 0
    shares = []
    for batch in (slice(0, 4), slice(8, 11)):
        rays = (targets[batch, 0] == 1) & (targets[batch, 1] == 0)
        shares.append(float((logits[batch, 0][rays] <= 0).double().mean()))
    assert FNR_BY_FOUR.score(logits, targets) == pytest.approx(50 * sum(shares), rel=1e-6)
    assert FNR_BY_FOUR.score(logits, targets) != pytest.approx(FNR.score(logits, targets), rel=1e-3)


def test_what_has_no_score() -> None:
    logits, targets = predictions()
    targets[:, 0] = 0
    for metric in (FNR, FNR_BY_FOUR, HARD_AUROC, SOFT_AUROC):
        assert np.isnan(metric.score(logits, targets))
        with pytest.raises(ValueError, match=r"outputs are \(7, 1, 9, 11\), targets \(7, 1, 9, 11\): give logits"):
            metric.score(logits, targets[:, :1])
    assert np.isnan(SOFT_AUROC.score(logits, torch.cat([torch.ones_like(logits), torch.zeros_like(logits)], dim=1)))


@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_a_run_from_the_folders_to_the_test(
    protocol: str, folders: list[Path], run_tiny: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosmic, "MIDDLE", slice(112, 144))
    result = run_tiny("cosmic", protocol)
    metric = TASKS["cosmic"].under(protocol).metric
    scores = result.scores["searched"]
    assert set(scores) == {"valid", "test"} | {f"test {one.name}" for one in metric.beside}
    splits: Any = TASKS["cosmic"].load(folders)
    with torch.no_grad():
        logits = torch.cat([result.model(image[None]) for image, _ in splits.test])
    targets = torch.stack([target for _, target in splits.test])
    rays = (targets[:, :1] == 1) & (targets[:, 1:] == 0)
    missed = float((logits[rays] <= 0).double().mean())
    assert scores["test"] == pytest.approx(100 * missed, abs=0.5)  # three images are one batch
    assert json.loads((result.run_dir / "result.json").read_text())["remarks"] == []


def test_missing_and_damaged_files(folders: list[Path]) -> None:
    task = TASKS["cosmic"]
    path = folders[1] / "f435w" / "14704" / "1" / "1_0.npy"

    def first(part: str) -> object:
        return getattr(task.load(task.fetch()), part)[0]

    for stored, message in (
        (exposure("1_0")[:1], r"1_0.npy cannot be read: it should hold .*shape \(1, 256, 256\), not \(3, 256, 256\)"),
        (exposure("1_0") * 2, "masks have values other than 0 and 1"),
        (np.array([Path("/")]), "1_0.npy cannot be read"),
    ):
        np.save(path, stored)
        with pytest.raises(DataError, match=message):
            first("test")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="1_0.npy cannot be read"):
        first("test")
    sky = folders[0] / "f435w" / "10760" / "2" / "sky.npy"
    np.save(sky, SKIES[:9])
    with pytest.raises(DataError, match="sky.npy cannot be read: .*it has 9 values, and 10_0.npy needs number 10"):
        first("train")
    shutil.rmtree(folders[1] / "f435w")
    with pytest.raises(DataError, match="npy_test cannot be read: it should hold f435w/PROPOSAL/VISIT.*holds 0 images"):
        first("train")
    shutil.rmtree(folders[0])
    with pytest.raises(DataError, match="cosmic/npy_train is missing"):
        task.fetch()
