# SPDX-License-Identifier: BSD-3-Clause
"""The verbs that are a part of a run: what one finds feeds the next, and together they do what a run does."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import dash_kernels as dk
from dash_search import SettingsError, search, search_architecture
from dash_search.cli import main
from dash_search.config import Config
from dash_search.given import Given
from dash_search.metrics import ACCURACY
from dash_search.run_folder import RunFolder, read_json

from .conftest import FLOWS_BUDGET, Problem
from .test_search import TINY, run

GRIDS = importlib.import_module("dash_search.stages.tune").GRIDS


@pytest.fixture
def budget(flows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of settings, in the folder that is current."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(GRIDS, "grid", {"lr": (0.1, 0.01), "momentum": (0.5,)})
    path = tmp_path / "budget.json"
    path.write_text(json.dumps({**FLOWS_BUDGET, "plain": False}))
    return path


def call(words: str) -> None:
    assert main(words.split()) == 0


def outcome(folder: str) -> dict[str, Any]:
    result: dict[str, Any] = read_json(Path(folder) / "result.json")
    return {name: result[name] for name in ("scores", "hyperparameters", "parameters")}


def stages(folder: str) -> list[str]:
    records = map(json.loads, (Path(folder) / "log.jsonl").read_text().splitlines())
    return list(dict.fromkeys(f"{record['stage']} {record['network']}" for record in records))


def test_search_alone_finds_what_a_run_finds_and_a_run_goes_on_from_it(
    budget: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("search darcy16 --config budget.json --run-dir found")
    assert stages("found") == ["search supernet"] and not list(Path("found").glob("*.pt"))
    shown = capsys.readouterr().out
    assert "Kernels chosen" in shown and "nothing is tested yet" in shown
    assert "dash-search retrain --config found/config.json --architecture found/architecture.json" in shown
    assert list(read_json(Path("found/engines.json"))) == ["supernet"]
    call("report found")
    assert "Kernels chosen" in capsys.readouterr().out

    call("run darcy16 --config budget.json --run-dir whole")
    architecture = read_json(Path("found/architecture.json"))
    assert architecture == read_json(Path("whole/architecture.json")) and len(architecture) == 4
    call("run --resume found")
    assert outcome("found") == outcome("whole") and stages("found") == stages("whole")


def test_search_that_was_stopped_is_resumed(budget: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    call("search darcy16 --config budget.json --run-dir whole")
    save = RunFolder.save

    def stop(folder: RunFolder, *arguments: Any) -> None:
        save(folder, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "save", stop)
        assert main("search darcy16 --config budget.json --run-dir found".split()) == 130
    assert "Go on with: dash-search search --resume found" in capsys.readouterr().err
    assert not Path("found/architecture.json").exists()
    assert main(["report", "found"]) == 1
    call("search --resume found")
    assert read_json(Path("found/architecture.json")) == read_json(Path("whole/architecture.json"))


def test_what_tuning_chose_is_what_is_trained_with(budget: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("search darcy16 --config budget.json --run-dir found --backbone wrn")
    # the settings of the search tune nothing: whoever asks for tuning alone means the grid
    call("tune --config found/config.json --architecture found/architecture.json --run-dir tuned --plain")
    assert stages("tuned") == ["tune given", "tune plain"] and not Path("tuned/result.json").exists()
    values = read_json(Path("tuned/hyperparameters.json"))
    trials = [record for line in Path("tuned/log.jsonl").read_text().splitlines() if (record := json.loads(line))]
    for network in ("given", "plain"):
        best = min((one for one in trials if one["network"] == network), key=lambda one: one["valid_score"])
        assert values[network]["lr"] == best["lr"] and values[network]["momentum"] == 0.5
    said = capsys.readouterr().out
    assert "To be trained with" in said
    following = said.split("Train it with: dash-search ")[-1].strip()

    call(f"{following} --run-dir trained")
    assert stages("trained") == ["retrain given", "retrain plain", "test given", "test plain"]
    # the trials had two hyper-parameters, the rest is as the settings have it
    for network, chosen in outcome("trained")["hyperparameters"].items():
        assert chosen == {"weight_decay": 5e-4, **values[network]}
    call("retrain --resume tuned")  # goes on where the tuning ended
    assert outcome("tuned")["scores"] == outcome("trained")["scores"]
    assert stages("tuned") == ["tune given", "tune plain", *stages("trained")]


def test_a_retraining_stopped_at_its_beginning_is_resumed(
    budget: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.json").write_text(json.dumps({"0.layers.1.conv": {"kernel_size": [3, 5], "dilation": [1, 1]}}))
    Path("h.json").write_text(json.dumps({"given": {"lr": 0.02}}))
    write = RunFolder.write_json

    def stop(folder: RunFolder, name: str, value: object) -> None:
        if name == "architecture.json":
            raise KeyboardInterrupt
        write(folder, name, value)

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "write_json", stop)
        words = "retrain darcy16 --config budget.json --architecture a.json --hyperparameters h.json --run-dir run"
        assert main(words.split()) == 130
    assert not Path("run/architecture.json").exists()
    for name in ("a.json", "h.json"):
        Path(name).unlink()  # the folder knows them
    for verb in ("run", "search"):
        assert main([verb, "--resume", "run"]) == 1
        assert "the run in run was given its architecture: dash-search retrain --resume run." in capsys.readouterr().err
    call("retrain --resume run")
    assert read_json(Path("run/architecture.json")) == {"0.layers.1.conv": {"kernel_size": [3, 5], "dilation": [1, 1]}}
    assert outcome("run")["hyperparameters"] == {"given": {"lr": 0.02, "weight_decay": 5e-4, "momentum": 0.9}}


def test_help_shows_the_defaults_of_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    for verb, shown in (("search", "100 [6]"), ("tune", "[grid]"), ("retrain", "--hyperparameters FILE")):
        assert main([verb, "darcy16", "--help"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert f"dash-search {verb} TASK" in text and "--resume DIR" in text
        assert shown.removeprefix("100 ") in text
        assert ("--architecture FILE" in text) == (verb != "search")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("tune darcy16 --architecture a.json --tune none", "tune is none, so nothing would be tuned"),
        ("tune darcy16", "name the architecture: dash-search tune TASK --architecture FILE"),
        ("tune darcy16 --architecture list.json", "cannot read an architecture from list.json: it holds no names"),
        ("tune darcy16 --architecture wrong.json", "the model has no modules 'stem'"),
        ("retrain darcy16 --architecture a.json --hyperparameters absent", "cannot read hyper-parameters from absent"),
        ("retrain darcy16 --architecture a.json --hyperparameters a.json", "has no values for the network 'given'"),
        ("retrain --resume found", "the run in found searches its architecture: dash-search run --resume found"),
        ("tune --resume found", "the run in found searches its architecture"),
        ("search --resume absent", "cannot read settings from absent"),
        ("search darcy16 --run-dir found", "found is not empty"),
    ],
)
def test_errors(budget: Path, words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.json").write_text("{}")
    Path("list.json").write_text("[]")
    Path("wrong.json").write_text(json.dumps({"stem": {"kernel_size": [3, 3], "dilation": [1, 1]}}))
    if "found" in words:
        call("search darcy16 --config budget.json --run-dir found --search-epochs 1")
    more = [] if "--resume" in words else ["--backbone", "fno-conv"]
    assert main([*words.split(), *more]) == 1
    assert message in capsys.readouterr().err


GRID = {"lr": 0.2, "momentum": 0.5, "dropout": 0.25}


def test_given_values_are_completed_and_found_ones_serve_a_given_architecture() -> None:
    config = Config(lr=0.1, weight_decay=0.01)
    whole = {"lr": 0.2, "weight_decay": 0.01, "momentum": 0.5, "dropout": 0.25}
    plain = {"lr": 0.1, "weight_decay": 0.0, "momentum": 0.9}
    given = {"searched": GRID, "plain": {"weight_decay": 0}}
    for architecture, name in (({}, "given"), (None, "searched")):
        assert Given(architecture, given).values(config, with_dropout=True) == {name: whole, "plain": plain}
    both = {**given, "given": {}}
    (first, _) = (Given({}, both).values(config, with_dropout=True) or {}).values()
    assert first == {"lr": 0.1, "weight_decay": 0.01, "momentum": 0.9}
    assert Given({}, None).values(config, with_dropout=True) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"given": GRID}, "no values for the network 'plain': give them, or do not train it .plain.. It has given"),
        ({"plain": {}}, "no values for the network 'given'"),
        ({"given": {"lr": "0.1"}, "plain": {}}, "hyperparameters of given: lr is '0.1'"),
        ({"given": {"lr": 0.0}, "plain": {}}, "hyperparameters of given: lr is 0.0: input should be greater than 0"),
        ({"given": {}, "plain": {"epochs": 3}}, "hyperparameters of plain has 'epochs': it may have lr, weight_decay"),
        ({"given": {"dropout": 1.0}, "plain": {}}, "dropout is 1.0: it must be at least 0 and below 1"),
        ({"given": {"dropout": True}, "plain": {}}, "dropout is True"),
        ({"given": 0.1, "plain": {}}, "must be numbers by network"),
        ([], "must be numbers by network"),
    ],
)
def test_values_that_are_refused(given: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Given({}, given).values(Config(), with_dropout=True)


def test_dropout_that_cannot_be_set_is_refused() -> None:
    with pytest.raises(SettingsError, match="hyperparameters of given has dropout: the network has none"):
        Given({}, {"given": GRID, "plain": {}}).values(Config(), with_dropout=False)


def test_the_same_in_python(problem: Problem, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"loss": nn.functional.cross_entropy, "metric": ACCURACY, "run_dir": tmp_path / "found"}
    architecture = search_architecture(problem.model, problem.train, problem.valid, TINY, **arguments)
    whole = run(problem, tmp_path / "whole")
    assert architecture == whole.architecture
    assert set(dict(dk.apply_architecture(Problem.small().model, architecture).named_modules())) > set(architecture)
    went_on = search(problem.model, problem.train, problem.valid, TINY, resume=True, test=problem.test, **arguments)
    assert went_on.scores == whole.scores
    arguments |= {"run_dir": tmp_path / "noted", "final_model": Problem.small().model, "remarks": ["noted"]}
    search_architecture(problem.model, problem.train, problem.valid, TINY, **arguments)
    search(problem.model, problem.train, problem.valid, TINY, resume=True, **arguments)
    values = {"searched": {"lr": 0.05}, "plain": {"lr": 0.05}}
    given = run(problem, tmp_path / "given", architecture=architecture, hyperparameters=values)
    same = run(problem, tmp_path / "same", TINY.model_copy(update={"lr": 0.05}), architecture=architecture)
    assert given.scores == same.scores and given.hyperparameters == same.hyperparameters
