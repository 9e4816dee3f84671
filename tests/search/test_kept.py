# SPDX-License-Identifier: BSD-3-Clause
"""The verbs that take a finished run: its networks are scored again and exported, and damage is told."""

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch.utils.data import Subset

from dash_search.cli import main
from dash_search.kept import read_kept
from dash_search.run_folder import read_json
from dash_search.tasks import TASKS

from .conftest import FLOWS_BUDGET, Problem, lay_out_flows
from .test_run_folder import SHORT, shortened
from .test_search import run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a finished run of darcy16, whose data stay there."""
    root = tmp_path_factory.mktemp("finished")
    settings = root / "budget.json"
    settings.write_text(json.dumps({**FLOWS_BUDGET, "search_epochs": 1}))
    with pytest.MonkeyPatch.context() as patched:
        lay_out_flows(root / "data", patched)
        assert main(["run", "darcy16", "--config", str(settings), "--run-dir", str(root / "run")]) == 0
        yield root / "run"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_scores_are_those_of_the_result(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(finished)
    assert main(["test", str(finished), "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    for name, scores in read_json(finished / "result.json")["scores"].items():
        assert name in shown and shown.count(f"{scores['test']:.6g}") == 2
    assert "These are the scores of result.json." in shown and content(finished) == before


def test_other_scores_are_told(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    weights = torch.load(folder / "plain.pt", weights_only=True)
    torch.save({name: 1.5 * value for name, value in weights.items()}, folder / "plain.pt")
    assert main(["test", str(folder)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    before = read_json(folder / "result.json")["scores"]["plain"]["test"]
    assert f", was {before:.6g}." in shown and "Note: test relative L2 of plain is " in shown
    assert "of searched is" not in shown


def edited(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / name).write_text(json.dumps(change(read_json(folder / name))))

    return edit


def with_kernels_of(size: int) -> Callable[[Any], Any]:
    return lambda found: {name: {**its, "kernel_size": [size, size]} for name, its in found.items()}


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no result": (lambda folder: (folder / "result.json").unlink(), "holds no finished run: it has no result.json"),
    "no folder": (shutil.rmtree, "holds no finished run: it has no result.json"),
    "result no JSON": (lambda folder: (folder / "result.json").write_text("{"), "result.json is missing or damaged"),
    "result without scores": (edited("result.json", lambda result: {**result, "scores": 3}), "it holds no scores"),
    "result of no network": (edited("result.json", lambda result: {**result, "scores": {}}), "it holds no scores"),
    "no weights": (
        lambda folder: (folder / "searched.pt").unlink(),
        "searched.pt is missing, damaged, or does not fit",
    ),
    "weights cut short": (lambda folder: shortened(folder / "plain.pt"), "plain.pt is missing, damaged, or does not"),
    "other architecture": (edited("architecture.json", with_kernels_of(9)), "searched.pt is missing, damaged, or does"),
    "no kernels": (
        edited("architecture.json", with_kernels_of(0)),
        "the searched network cannot have its architecture",
    ),
    "no architecture": (lambda folder: (folder / "architecture.json").unlink(), "architecture.json is missing"),
    "no settings": (lambda folder: (folder / "config.json").unlink(), "cannot read settings from"),
    "other width": (edited("config.json", lambda config: {**config, "width": 2}), "shapes of final_model was"),
    "other task": (edited("config.json", lambda config: {**config, "task": "chess"}), "there is no task 'chess'"),
    "no task": (edited("config.json", lambda config: {**config, "task": ""}), "is of no built-in task"),
    "no identity": (lambda folder: (folder / "identity.json").unlink(), "identity.json is missing or damaged"),
    "other device": (edited("config.json", lambda config: {**config, "device": "tape"}), "device='tape'"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_in_a_sentence(
    finished: Path, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    harm, message = DAMAGE[damage]
    harm(folder)
    assert main(["test", str(folder)]) == 1
    said = capsys.readouterr().err
    assert message in said and said.startswith("dash-search: ") and said.count("\n") == 1


@pytest.mark.parametrize("verb", ["test", "export --out network.pt2"])
def test_an_engine_that_cannot_run_here_is_told(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DASH_KERNELS_ENGINE", "cuda")
    assert main([*verb.split(), str(finished)]) == 1
    said = capsys.readouterr().err
    assert 'engine "cuda" cannot run' in said and said.startswith("dash-search: ") and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_other_device_takes_no_engine_of_the_run(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    edited("config.json", lambda config: {**config, "engine": "cuda"})(folder)
    assert main(["test", str(folder), "--device", "cpu"]) == 0


def test_remarks_that_are_none_are_told(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    edited("result.json", lambda result: {**result, "remarks": None})(folder)
    assert main(["report", str(folder)]) == 1
    assert "is damaged" in capsys.readouterr().err


def test_other_data_are_told(finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    task = TASKS["darcy16"]

    def fewer(paths: Any) -> Any:
        splits = task.load(paths)
        return dataclasses.replace(splits, train=Subset(splits.train, range(7)))

    monkeypatch.setitem(TASKS, "darcy16", dataclasses.replace(task, load=fewer))
    assert main(["test", str(finished)]) == 1
    said = capsys.readouterr().err
    assert "the data or networks of darcy16 are not those of the run in" in said and "samples of train was" in said


def test_a_run_on_a_model_of_ones_own(problem: Problem, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(problem, tmp_path / "run", SHORT)
    assert main(["test", str(tmp_path / "run")]) == 1
    assert "is of no built-in task" in capsys.readouterr().err


# a process in which neither package can be imported
LOADED = """
import sys
sys.modules["dash_kernels"] = sys.modules["dash_search"] = None
import torch
inputs, networks = torch.load("examples.pt")
for name, outputs in networks.items():
    program = torch.export.load(name).module()
    for batch in (1, 3, len(inputs)):
        torch.testing.assert_close(program(inputs[:batch]), outputs[:batch], rtol=1e-4, atol=1e-4)
"""


def test_exported_networks_run_on_torch_alone_and_give_units_of_the_targets(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = content(finished)
    assert main(["export", str(finished), "--out", "searched.pt2"]) == 0
    assert main(["export", str(finished), "--out", "plain.pt2", "--network", "plain"]) == 0
    said = capsys.readouterr().out
    for name in ("searched", "plain"):
        assert f"the {name} network is in {name}.pt2" in said and "(batch, 3, 16, 16) of float32" in said
    assert content(finished) == before and {path.name for path in tmp_path.iterdir()} == {"searched.pt2", "plain.pt2"}

    kept = read_kept(finished, Console(quiet=True))
    assert kept.problem.test is not None
    inputs, targets = next(iter(kept.problem.test))
    networks = {}
    for name in ("searched", "plain"):
        with torch.no_grad():
            outputs = kept.network(name)(inputs)
        assert outputs.mean() == pytest.approx(float(targets.mean()), rel=0.3)  # pressures of 2 to 3, not normalised
        assert kept.problem.metric.score(outputs, targets) == pytest.approx(kept.scores[name]["test"])
        networks[f"{name}.pt2"] = outputs
    torch.save((inputs, networks), tmp_path / "examples.pt")
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "network.onnx"], "give a name that ends in .pt2"),
        (["--out", "absent/network.pt2"], "cannot write absent/network.pt2"),
        (["--out", "n.pt2", "--network", "given"], "trained no network 'given': it has searched, plain"),
    ],
)
def test_export_errors(
    finished: Path,
    tmp_path: Path,
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(finished), *words]) == 1
    assert message in capsys.readouterr().err and not list(tmp_path.iterdir())
