# SPDX-License-Identifier: BSD-3-Clause
"""Darcy flow out of MATLAB's files of both kinds, and generated where there are none."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from rich.console import Console

from dash_search import DataError, Result, RunFolderError
from dash_search.cli import main
from dash_search.data.flow_sets import GeneratedFlows, Grids
from dash_search.run import run_task
from dash_search.tasks import TASKS, darcy, darcy85

COUNTS = {darcy.TRAIN_FILE: 10, darcy.TEST_FILE: 4}


def fields(count: int, seed: int, side: int = 421) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    coefficient = np.where(draw.random((count, side, side)) > 0.5, 12.0, 3.0)
    return {"coeff": coefficient, "sol": 0.01 * draw.random((count, side, side))}


def write(*, newest: bool = False, side: int = 421, **changed: np.ndarray) -> None:
    """Both files, with the further variables that the benchmark's have, in MATLAB's version 5 or in 7.3."""
    for seed, (file, count) in enumerate(COUNTS.items()):
        variables = {**fields(count, seed, side), "Kcoeff": np.zeros((1, 2)), **changed}
        file.path().parent.mkdir(exist_ok=True)
        if not newest:
            scipy.io.savemat(file.path(), variables, do_compression=False)
            continue
        with h5py.File(file.path(), "w", userblock_size=512) as content:
            for name, values in variables.items():
                content.create_dataset(name, data=values.transpose())
        with file.path().open("r+b") as content:
            content.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


@pytest.mark.parametrize("newest", [False, True])
def test_parts_are_those_of_the_benchmark(data: Path, newest: bool) -> None:
    write(newest=newest)
    task = TASKS["darcy"]
    assert "Fourier Neural Operator" in task.files[0].origin and "none stated" in task.files[0].licence
    splits: Any = task.load(task.fetch())
    parts = {name: getattr(splits, name).tensors for name in ("train", "valid", "test")}
    assert [len(y) for _, y in parts.values()] == [9, 1, 4] and splits.remarks == ()
    trained, tested = fields(10, 0), fields(4, 1)
    for name, raw in (("train", trained["sol"][:9]), ("valid", trained["sol"][9:]), ("test", tested["sol"])):
        inputs, targets = parts[name]
        assert inputs.shape[1:] == (3, 85, 85) and inputs.dtype == targets.dtype == torch.float32
        assert np.array_equal(targets.numpy(), raw[:, ::5, ::5].astype(np.float32))
    known = trained["coeff"][:9, ::5, ::5]
    normalised = (tested["coeff"][:, ::5, ::5] - known.mean(axis=0)) / (known.std(axis=0, ddof=1) + 1e-5)
    np.testing.assert_allclose(parts["test"][0][:, 0].numpy(), normalised, rtol=1e-3, atol=1e-4)


def test_a_thousand_flows_are_used_and_a_hundred(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(darcy, "TRAIN", 7)
    monkeypatch.setattr(darcy, "TEST", 3)
    for newest in (False, True):
        write(newest=newest)
        splits: Any = TASKS["darcy"].under("paper").load(TASKS["darcy"].fetch())
        assert len(splits.train) == 7 and len(splits.test) == 3
        assert all(map(torch.equal, splits.valid.tensors, splits.test.tensors))
        assert np.array_equal(splits.train.tensors[1].numpy(), fields(10, 0)["sol"][:7, ::5, ::5].astype(np.float32))


def test_a_run_from_the_files_to_the_test(data: Path, run_tiny: Callable[..., Result]) -> None:
    write()
    result = run_tiny("darcy")
    assert len(result.architecture) == 13 and set(result.scores["searched"]) == {"valid", "test"}
    assert json.loads((result.run_dir / "result.json").read_text())["remarks"] == []


SMALL = GeneratedFlows("darcy", Grids(drawn=22, solved=22, kept=8), {"train": range(10), "test": range(50, 54)})


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tasks generate 14 flows on 8x8 points, of which darcy85-100 has the first 6 and those of the test."""
    flows = darcy.Flows(generated=SMALL)
    monkeypatch.setattr(darcy, "FLOWS", flows)
    task = TASKS["darcy"]
    assert task.paper is not None
    paper = dataclasses.replace(task.paper, files=(flows,))
    monkeypatch.setitem(TASKS, "darcy", dataclasses.replace(task, files=(flows,), paper=paper))
    direct = GeneratedFlows("darcy85", Grids(drawn=22, solved=8, kept=8), SMALL.seeds)
    few = dataclasses.replace(direct, seeds={**SMALL.seeds, "train": range(6)})
    for name, constant, flows85 in (("darcy85", "FLOWS", direct), ("darcy85-100", "FLOWS_100", few)):
        monkeypatch.setattr(darcy85, constant, flows85)
        monkeypatch.setitem(TASKS, name, dataclasses.replace(TASKS[name], files=(flows85,)))


def test_without_files_flows_are_generated_and_the_result_says_so(
    data: Path,
    small: None,
    run_tiny: Callable[..., Result],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert main(["data", "darcy"]) == 0
    said = capsys.readouterr().out
    for part in ("data: generated here", "generating 14 flows", "train: 9 samples of (3, 8, 8) to (8, 8)", "test: 4 "):
        assert part in said
    assert f"note: {darcy.REMARK}" in said
    result = run_tiny("darcy")
    assert json.loads((result.run_dir / "result.json").read_text())["remarks"] == [darcy.REMARK]
    assert main(["report", str(result.run_dir)]) == 0
    assert f"Note: {darcy.REMARK}" in capsys.readouterr().out
    monkeypatch.setattr(darcy, "REMARK", "now of other data")
    config = json.loads((result.run_dir / "config.json").read_text())
    task = TASKS["darcy"]
    with pytest.raises(RunFolderError, match="other data or networks: remarks was"):
        run_task(task, task.defaults.changed(config), result.run_dir, resume=True, console=Console(quiet=True))


def test_the_paper_validates_on_the_test_part_and_says_so(
    data: Path, small: None, run_tiny: Callable[..., Result]
) -> None:
    result = run_tiny("darcy", "paper")
    assert result.scores["searched"]["valid"] == result.scores["searched"]["test"]
    leaks = TASKS["darcy"].under("paper").leaks
    assert json.loads((result.run_dir / "result.json").read_text())["remarks"] == [leaks, darcy.REMARK]


def test_darcy85_is_generated_on_the_coarse_grid(data: Path, small: None, run_tiny: Callable[..., Result]) -> None:
    assert TASKS["darcy85"].files[0].origin == "generated here, flows through random media solved on 8x8 points"
    result = run_tiny("darcy85")
    assert len(result.architecture) == 13
    parts: Any = [TASKS[name].load(TASKS[name].fetch(lambda _: None)) for name in ("darcy", "darcy85")]
    (inputs, fine), (same_inputs, coarse) = (part.train.tensors for part in parts)
    assert torch.equal(inputs, same_inputs)
    assert 0 < float((fine - coarse).norm() / fine.norm()) < 0.2


def test_darcy85_100_knows_of_the_first_flows_alone(data: Path, small: None, run_tiny: Callable[..., Result]) -> None:
    assert len(run_tiny("darcy85-100").architecture) == 13
    few, full = (TASKS[name].load(TASKS[name].fetch(lambda _: None)) for name in ("darcy85-100", "darcy85"))
    parts: Any = {name: getattr(few, name).tensors for name in ("train", "valid", "test")}
    all_parts: Any = {name: getattr(full, name).tensors for name in parts}
    assert [len(targets) for _, targets in parts.values()] == [5, 1, 4]
    pressures = all_parts["train"][1]
    assert torch.equal(parts["train"][1], pressures[:5]) and torch.equal(parts["valid"][1], pressures[5:6])
    assert torch.equal(parts["test"][1], all_parts["test"][1])
    coefficients, same_seen_by_all = parts["train"][0][:, 0], all_parts["train"][0][:5, 0]
    assert coefficients.mean(dim=0).abs().max() < 1e-6 < same_seen_by_all.mean(dim=0).abs().max()
    decoder: Any = few.decoder
    assert torch.equal(decoder.mean, pressures[:5].mean(dim=0))
    assert torch.equal(decoder.deviation, pressures[:5].std(dim=0) + 1e-5)


def test_missing_and_damaged_files(data: Path) -> None:
    task = TASKS["darcy"]
    write()
    darcy.TEST_FILE.path().unlink()
    with pytest.raises(DataError, match=r"smooth2.mat is missing: it should hold MATLAB's variables coeff and sol"):
        task.fetch()
    darcy.TRAIN_FILE.path().unlink()
    darcy.TEST_FILE.path().touch()
    with pytest.raises(DataError, match=r"smooth1.mat is missing"):  # nothing is generated beside an official file
        task.fetch()
    darcy.TRAIN_FILE.path().write_bytes(b"MATLAB 5.0 MAT-file, but no more of it")
    with pytest.raises(DataError, match=r"smooth1.mat cannot be read: it should hold MATLAB's variables"):
        task.load(task.fetch())
    scipy.io.savemat(darcy.TRAIN_FILE.path(), {"coeff": np.ones((2, 421, 421))})
    with pytest.raises(DataError, match="KeyError: 'sol'"):
        task.load(task.fetch())
    for newest in (False, True):
        write(newest=newest, sol=fields(3, 0, side=85)["sol"])
        with pytest.raises(DataError, match=r"sol has shape \(3, 85, 85\), expected \(N, 421, 421\)"):
            task.load(task.fetch())
        write(newest=newest, sol=fields(3, 0)["sol"])
        with pytest.raises(DataError, match=r"coeff has 10 samples, sol 3"):
            task.load(task.fetch())
        write(newest=newest, coeff=np.full((10, 421, 421), np.nan))
        with pytest.raises(DataError, match="coeff holds numbers that are not finite"):
            task.load(task.fetch())
