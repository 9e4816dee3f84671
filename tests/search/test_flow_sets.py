# SPDX-License-Identifier: BSD-3-Clause
"""Generated sets of flows: the same whoever makes them, and whole whenever the generation is stopped."""

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from dash_search import DataError
from dash_search.data.flow_physics import medium, pressure
from dash_search.data.flow_sets import GeneratedFlows, Grids
from dash_search.data.folder import DATA_VARIABLE
from dash_search.tasks import darcy, darcy85

FLOWS = GeneratedFlows("small", Grids(drawn=22, solved=22, kept=8), {"train": range(45), "test": range(1000, 1003)})
FILES = ["test-1000-1002.npz", "train-0-19.npz", "train-20-39.npz", "train-40-44.npz"]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the flows that were solved, in order."""
    seeds: list[int] = []
    original = Grids.flow

    def flow(grids: Grids, seed: int) -> tuple[np.ndarray, np.ndarray]:
        seeds.append(seed)
        return original(grids, seed)

    monkeypatch.setattr(Grids, "flow", flow)
    return seeds


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_flows_are_those_of_their_seeds_whatever_the_number_of_threads(threads: None) -> None:
    found = []
    for count in (1, 3):
        torch.set_num_threads(count)
        folder = FLOWS.fetch(lambda _: None)
        found.append([FLOWS.read(folder, name) for name in ("train", "test")])
        assert names(folder) == FILES
        for name in FILES:
            (folder / name).unlink()
    for one, other in zip(*found, strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
    (coefficient, flow), (_, tested) = found[0]
    assert coefficient.shape == flow.shape == (45, 8, 8) and coefficient.dtype == flow.dtype == torch.float32
    for seed, one in ((0, flow[0]), (44, flow[44]), (1002, tested[2])):
        np.testing.assert_allclose(one.numpy(), pressure(medium(seed, 22))[::3, ::3], rtol=1e-6)
    assert np.array_equal(coefficient[21].numpy(), medium(21, 22)[::3, ::3])


def test_stopped_generation_goes_on(solved: list[int], monkeypatch: pytest.MonkeyPatch, threads: None) -> None:
    torch.set_num_threads(1)
    counted = Grids.flow

    def stopping(grids: Grids, seed: int) -> tuple[np.ndarray, np.ndarray]:
        if seed == 30:
            raise KeyboardInterrupt
        if seed > 30:
            time.sleep(0.5)
        return counted(grids, seed)

    with monkeypatch.context() as patch:
        patch.setattr(Grids, "flow", stopping)
        with pytest.raises(KeyboardInterrupt):
            FLOWS.fetch(lambda _: None)
    assert names(FLOWS.path()) == ["train-0-19.npz"]
    assert len(solved) < 40  # what was not begun is given up
    solved.clear()
    said: list[object] = []
    assert FLOWS.fetch(said.append) == FLOWS.path()
    assert set(solved) == {*range(20, 45), *range(1000, 1003)} and len(said) == 1
    assert str(said[0]).startswith("generating 28 flows with 1 threads, about 0:0")
    solved.clear()
    FLOWS.fetch(said.append)
    assert not solved and len(said) == 1 and names(FLOWS.path()) == FILES


def test_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(step=20)
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))
    said: list[str] = []
    FLOWS.fetch(said.append)
    assert [line.split(" flows")[0].strip() for line in said] == ["generating 48", "20 of 48", "45 of 48"]
    assert said[1].endswith("about 0:00:56 left")  # 20 flows in 40 seconds


def test_damaged_parts_are_generated_anew(solved: list[int]) -> None:
    folder = FLOWS.fetch(lambda _: None)
    before = FLOWS.read(folder, "train")
    content = bytearray((folder / "train-20-39.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "train-20-39.npz").write_bytes(content)
    (folder / "train-40-44.npz").write_bytes(b"")
    (folder / "train-0-19.npz").write_bytes((folder / "test-1000-1002.npz").read_bytes())  # other flows
    with pytest.raises(
        DataError, match="train-0-19.npz cannot be read: it should hold flows 0 to 19 of dash-search data small"
    ):
        FLOWS.read(folder, "train")
    solved.clear()
    said: list[str] = []
    FLOWS.fetch(said.append)
    assert sorted({*solved}) == [*range(45)] and len(said) == 4
    for line, name in zip(said, ("train-0-19", "train-20-39", "train-40-44"), strict=False):
        assert f"{name}.npz cannot be read" in line and line.endswith("It is generated anew.")
    assert all(map(torch.equal, before, FLOWS.read(folder, "train")))


def test_flows_on_another_grid_are_not_taken() -> None:
    finer = GeneratedFlows("small", Grids(22, 22, 22), FLOWS.seeds)
    finer.fetch(lambda _: None)
    said: list[str] = []
    FLOWS.fetch(said.append)
    assert sum("its flows lie on another grid" in line for line in said) == 4


def test_two_at_once_share_the_work(solved: list[int]) -> None:
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(FLOWS.fetch, [lambda _: None] * 2):
            pass
    assert len(solved) == 48 + 2  # one of the two solved a flow twice beforehand to tell the time


def test_folder_that_cannot_be_used(data: Path) -> None:
    (data / "small").write_text("a file where a folder has to be")
    with pytest.raises(DataError, match=f"cannot keep data in .*set {DATA_VARIABLE}"):
        FLOWS.fetch(lambda _: None)


def test_grids_lie_in_each_other() -> None:
    for wrong in ((22, 10, 10), (22, 22, 9)):
        with pytest.raises(ValueError, match="the intervals of each grid"):
            Grids(*wrong)


def test_the_tasks_have_the_same_media() -> None:
    coefficient, flow = darcy.GENERATED.grids.flow(3)
    coarse_coefficient, coarse_flow = darcy85.FLOWS.grids.flow(3)
    assert coefficient.shape == (85, 85) and set(np.unique(coefficient)) == {3, 12}
    assert np.array_equal(coefficient, coarse_coefficient)
    difference = np.linalg.norm(flow - coarse_flow) / np.linalg.norm(flow)
    assert 0 < difference < 0.01
    few = darcy85.FLOWS_100
    assert few.path() == darcy85.FLOWS.path() and few.grids == darcy85.FLOWS.grids
    assert few.seeds == {"train": range(100), "test": darcy85.FLOWS.seeds["test"]}
    for flows in (darcy.GENERATED, darcy85.FLOWS):
        assert [len(seeds) for seeds in flows.seeds.values()] == [1000, 100]
        assert not {*flows.seeds["train"]} & {*flows.seeds["test"]}
