# SPDX-License-Identifier: BSD-3-Clause
"""Proteins out of the benchmark's folder: features, distances, crops, tiles, and the error of contacts."""

import json
import pickle
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dash_search import DataError, Result
from dash_search.metrics import MAE8
from dash_search.metrics.distances import contact_errors
from dash_search.metrics.windows import glued, labelled
from dash_search.tasks import TASKS, psicov

PROTEINS = {"deepcov": {"1abcA": 35, "2xyzB": 20, "3pqrA": 125}, "psicov": {"4defA": 30, "5ghiC": 150}}
NAMES = (["ss"] * 3, ["pssm"] * 22, ["sa"], ["entropy"])


def features(length: int, seed: int) -> dict[str, Any]:
    draw = np.random.default_rng(seed).standard_normal
    shapes: dict[str, tuple[int, ...]] = {
        "ss": (3, length),
        "pssm": (length, 22),
        "sa": (length,),
        "entropy": (length,),
    }
    shapes |= dict.fromkeys(("ccmpred", "freecon", "potential"), (length, length))
    return {"seq": "A" * length} | {name: draw(shape) for name, shape in shapes.items()}


def distances(length: int) -> np.ndarray:
    """A hairpin: the chain runs out and comes back 5 angstrom beside itself."""
    along = 3.8 * np.minimum(np.arange(length), np.arange(length)[::-1])
    across = np.where(np.arange(length) < length // 2, 0, 5)
    return np.hypot(along[:, None] - along, across[:, None] - across)


def save_distances(part: str, name: str, stored: np.ndarray) -> None:
    triple = np.empty(3, dtype=object)
    triple[:] = len(stored), "A" * len(stored), stored
    np.save(psicov.FOLDER.path() / part / "distance" / f"{name}-cb.npy", triple, allow_pickle=True)


def save_features(part: str, name: str, content: Mapping[str, Any]) -> None:
    packed = pickle.dumps(dict(content), protocol=2)
    (psicov.FOLDER.path() / part / "features" / f"{name}.pkl").write_bytes(packed)


def write() -> Path:
    """The folder with three proteins to train on and two to test on."""
    for part, lengths in PROTEINS.items():
        for kind in ("features", "distance"):
            (psicov.FOLDER.path() / part / kind).mkdir(parents=True)
        lines = [f"{name} {length}\n" for name, length in lengths.items()]
        (psicov.FOLDER.path() / f"{part}.lst").write_text("".join(lines) + "\n")
        for seed, (name, length) in enumerate(lengths.items()):
            save_features(part, name, features(length, seed))
            save_distances(part, name, distances(length))
    return psicov.FOLDER.path()


@pytest.fixture
def folder(data: Path) -> Path:
    return write()


def canvas(length: int, seed: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A protein in the upper left of a canvas, pixel by pixel as the benchmark describes it."""
    known = features(length, seed)
    rows = [*known["ss"], *known["pssm"].T, known["sa"], known["entropy"]]
    maps = [m for row in rows for m in (np.repeat(row[None], length, axis=0), np.repeat(row[None], length, axis=0).T)]
    maps += [known["ccmpred"], known["freecon"], known["potential"]]
    true = distances(length)
    true[true < 1] = 1
    for i in range(length):
        beside = [true[i, j] for j in (i - 1, i + 1) if 0 <= j < length]
        true[i, i] = sum(beside) / len(beside)
    side = max(side, length + 10)
    inputs, target = np.zeros((57, side, side)), np.full((side, side), 100.0)
    inputs[:, 5 : 5 + length, 5 : 5 + length] = maps
    target[5 : 5 + length, 5 : 5 + length] = true
    return inputs, target


def close(got: Tensor, expected: np.ndarray) -> bool:
    return got.dtype == torch.float32 and got.shape == expected.shape and np.allclose(got, expected, atol=1e-5)


def test_parts_are_those_of_the_benchmark(folder: Path) -> None:
    splits: Any = TASKS["psicov"].load([folder])
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [2, 1, 2 * 16]
    assert round(psicov.VALID * 3456) == 100 and (psicov.CROP, psicov.CANVAS) == (128, 512)
    assert splits.test[0][1].shape == (1, 129, 128)
    inputs, target = splits.valid[0]
    expected = canvas(35, 0, 128)
    assert close(inputs, expected[0]) and close(target, expected[1][None])
    inputs, target = splits.train[0]  # small enough for the corner
    expected = canvas(20, 1, 128)
    assert close(inputs, expected[0]) and close(target, expected[1][None].clip(max=16))


def test_crops_of_long_proteins_are_drawn_in_rows_and_columns(folder: Path) -> None:
    splits: Any = TASKS["psicov"].load([folder])
    inputs, target = canvas(125, 2, 128)
    torch.manual_seed(0)
    seen = set()
    for _ in range(40):
        crop, true = splits.train[1]
        values = inputs[54].astype(np.float32)  # of ccmpred, so one of them tells the place
        top, left = (np.argwhere(values == crop[54, 64, 64].item())[0] - 64).tolist()
        seen.add((top, left))
        area = (slice(top, top + 128), slice(left, left + 128))
        assert close(crop, inputs[:, *area]) and close(true, target[area][None].clip(max=16))
    tops, lefts = map(set, zip(*seen, strict=True))
    assert tops == lefts == {*range(8)} and len(seen) > 20  # up to the edges, and independently


def test_tiles_cover_the_canvas(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psicov, "CROP", 64)
    monkeypatch.setattr(psicov, "CANVAS", 256)
    splits: Any = TASKS["psicov"].load([folder])
    targets = torch.stack([target for _, target in splits.test])
    assert targets.shape == (32, 1, 65, 64)
    inputs = torch.stack([tile for tile, _ in splits.test])
    maps, true = glued(inputs, targets.expand(-1, 57, -1, -1))
    for i, (length, seed) in enumerate(((30, 0), (150, 1))):
        expected = canvas(length, seed, 256)
        assert close(maps[i], expected[0]) and close(true[i, 0], expected[1])
    whole: Any = TASKS["psicov"].under("paper").load([folder]).test
    assert len(whole) == 2 and all(torch.equal(whole[i][0], maps[i]) for i in range(2))
    assert all(torch.equal(whole[i][1], true[i, :1]) for i in range(2))


def test_proteins_are_read_when_they_are_needed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, calls = psicov.read_protein, []
    monkeypatch.setattr(psicov, "read_protein", lambda *files: calls.append(files) or read(*files))
    splits: Any = TASKS["psicov"].load([folder])
    assert not calls
    for i in range(32):
        splits.test[i]
    assert len(calls) == 2
    splits.train[1], splits.train[0], splits.train[1]
    assert len(calls) == 5


def brute_force(predicted: np.ndarray, true: np.ndarray) -> float:
    n, errors = len(true) - 10, []
    for p in range(n):
        for q in range(p + 24, n):
            if true[p + 5, q + 5] <= 8:
                mean = (predicted[p + 5, q + 5] + predicted[q + 5, p + 5]) / 2
                errors.append(abs(true[p + 5, q + 5] - max(mean, 0.01)))
    return sum(errors) / len(errors) if errors else float("nan")


def maps(count: int, side: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(count)
    true = 20 * torch.rand(count, 1, side, side, generator=generator)
    return true + 6 * torch.randn(true.shape, generator=generator) - 3, true


def test_error_of_contacts_beside_brute_force() -> None:
    outputs, targets = maps(3, 45)
    targets[1] = 100  # has no contact, so it does not count
    expected = [brute_force(*(m[i, 0].double().numpy() for m in (outputs, targets))) for i in range(3)]
    assert contact_errors(outputs, targets).tolist() == pytest.approx(expected, rel=1e-9, nan_ok=True)
    assert MAE8.score(outputs, targets) == pytest.approx((expected[0] + expected[2]) / 2, rel=1e-9)
    assert not MAE8.higher_is_better
    assert np.isnan(MAE8.score(outputs[1:2], targets[1:2]))  # no contact at all
    for wrong in (targets[:, 0], targets[:2], targets[..., 1:], targets.expand(-1, 2, -1, -1)):
        with pytest.raises(ValueError, match=r"outputs are \(3, 1, 45, 45\), targets \("):
            MAE8.score(outputs, wrong)


def test_which_pairs_are_contacts() -> None:
    true = torch.full((1, 1, 40, 40), 100.0)
    predicted = torch.zeros(1, 1, 40, 40)
    true[..., 5, 29] = 8.0  # residues 0 and 24: apart enough, near enough
    predicted[..., 5, 29], predicted[..., 29, 5] = 7.0, 5.0
    true[..., 5, 28], true[..., 4, 34], true[..., 5, 30], true[..., 30, 5] = 1.0, 1.0, 8.001, 1.0  # none of these
    assert contact_errors(predicted, true).tolist() == [2.0]
    predicted[:] = -3.0
    assert contact_errors(predicted, true).tolist() == pytest.approx([7.99])


def test_tiles_in_any_order_give_the_error_of_the_map() -> None:
    outputs, targets = maps(2, 96)
    places = [(number, top, left) for number in (7, 3) for top in (0, 32, 64) for left in (0, 32, 64)]
    places = [places[i] for i in torch.randperm(len(places), generator=torch.Generator().manual_seed(0)).tolist()]

    def cut(m: Tensor, number: int, top: int, left: int) -> Tensor:
        return m[{3: 0, 7: 1}[number], :, top : top + 32, left : left + 32]

    tiles = torch.stack([cut(outputs, *place) for place in places])
    true = torch.stack([labelled(cut(targets, *place), *place) for place in places])
    assert all(torch.equal(a, b) for a, b in zip(glued(tiles, true), (outputs, targets), strict=True))
    assert torch.equal(contact_errors(tiles, true), contact_errors(outputs, targets))
    some = next(i for i, (_, top, left) in enumerate(places) if (top, left) == (64, 0))
    left_out = [i for i in range(18) if i != some]
    assert contact_errors(tiles[left_out], true[left_out]).isnan().sum() == 1  # never silently without it


def test_a_run_from_the_folder_to_the_test(
    folder: Path, run_tiny: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psicov, "CROP", 48)
    monkeypatch.setattr(psicov, "CANVAS", 96)
    result = run_tiny("psicov")
    assert len(result.architecture) == 13 and set(result.scores["searched"]) == {"valid", "test"}
    splits: Any = TASKS["psicov"].load([folder])
    with torch.no_grad():
        outputs = torch.cat([result.model(tile[None]) for tile, _ in splits.test])
    predicted, true = glued(outputs, torch.stack([target for _, target in splits.test]))
    expected = [brute_force(*(m[i, 0].double().numpy() for m in (predicted, true))) for i in range(2)]
    assert result.scores["searched"]["test"] == pytest.approx(np.nanmean(expected), rel=1e-4)
    result = run_tiny("psicov", "paper", eval_batch_size=2)
    assert result.scores["searched"]["valid"] == result.scores["searched"]["test"]
    assert json.loads((result.run_dir / "result.json").read_text())["remarks"] == [TASKS["psicov"].under("paper").leaks]


def test_missing_and_damaged_files(folder: Path) -> None:
    task = TASKS["psicov"]
    (valid,) = (folder / "deepcov" / "features").glob("1abcA.pkl")

    def first(part: str = "valid") -> object:
        return getattr(task.load(task.fetch()), part)[0]

    for change, message in (
        ({"ss": np.zeros((3, 34))}, r"1abcA.pkl cannot be read.*ss has shape \(3, 34\), not \(3, 35\)"),
        ({"pssm": np.full((35, 22), np.nan)}, "pssm has values that are not between -100 and 100"),
        ({"sa": np.full(35, 100.0)}, "sa has values that are not between"),
        ({"sa": Path("/")}, "it asks for pathlib"),
    ):
        save_features("deepcov", "1abcA", features(35, 0) | change)
        with pytest.raises(DataError, match=message):
            first()
    save_features("deepcov", "1abcA", {k: v for k, v in features(35, 0).items() if k != "entropy"})
    with pytest.raises(DataError, match="1abcA.pkl cannot be read: it should hold .*entropy"):
        first()
    save_features("deepcov", "1abcA", features(35, 0))
    hole = distances(35)
    hole[3, 9] = np.nan
    for stored, message in (
        (distances(34), r"1abcA-cb.npy cannot be read.*shape \(34, 34\) for 35 residues"),
        (hole, "not between 0 and 500 angstrom"),
        (distances(35) * 100, "not between 0 and 500 angstrom"),
    ):
        save_distances("deepcov", "1abcA", stored)
        with pytest.raises(DataError, match=message):
            first()
    valid.unlink()
    with pytest.raises(
        DataError, match=r"1abcA.pkl is missing, though deepcov.lst lists it: .* should hold deepcov.lst"
    ):
        first()
    (folder / "psicov.lst").write_text("4defA\n")
    with pytest.raises(DataError, match="psicov.lst cannot be read: .* it lists 1 proteins, at least 2"):
        task.under("paper").load([folder])
    shutil.rmtree(folder)
    with pytest.raises(DataError, match="psicov/protein is missing: it should hold deepcov.lst"):
        task.fetch()
