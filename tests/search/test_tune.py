# SPDX-License-Identifier: BSD-3-Clause
"""Hyper-parameters chosen by trials: alike but for their values, judged by the validation part, resumed one by one."""

import importlib
import itertools
import json
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from dash_search import ACCURACY, Metric, Result, SettingsError, TrainingError, preflight
from dash_search.backbones import WideResNet
from dash_search.stages import Tuning
from dash_search.tasks.networks import set_dropout

from .conftest import Problem
from .test_search import PREFLIGHT, TINY, Interrupted, interrupting_metric, run

stage = importlib.import_module("dash_search.stages.tune")  # the package has the function under that name
retraining = importlib.import_module("dash_search.stages.retrain")

TUNED = TINY.model_copy(update={"search_epochs": 1, "epochs": 2, "tune": "short", "tune_epochs": 2})


def trials_of(result: Result, network: str) -> list[dict[str, Any]]:
    return [r for r in result.history if (r["stage"], r["network"]) == ("tune", network)]


def test_best_trial_by_the_validation_part_is_what_is_trained_with(problem: Problem, tmp_path: Path) -> None:
    result = run(problem, tmp_path / "run", TUNED)
    assert list(result.hyperparameters) == ["searched", "plain"]
    for network, values in result.hyperparameters.items():
        trials = trials_of(result, network)
        assert {trial["lr"] for trial in trials} == {0.01, 0.001, 0.0001} and len(trials) == 3
        best = max(trials, key=lambda trial: trial["valid_score"])  # the first of equals
        assert values == {"lr": best["lr"], "weight_decay": 5e-5, "momentum": 0.99}
    stored = json.loads((result.run_dir / "result.json").read_text())
    assert stored["hyperparameters"] == result.hyperparameters and "tune searched" in stored["seconds"]

    plain = TUNED.model_copy(update={"tune": "none", **result.hyperparameters["plain"]})
    untuned = run(problem, tmp_path / "untuned", plain)
    assert untuned.scores["plain"] == result.scores["plain"] and not trials_of(untuned, "plain")
    assert untuned.hyperparameters["plain"] == result.hyperparameters["plain"]


def test_test_part_chooses_nothing(problem: Problem, tmp_path: Path) -> None:
    noise = DataLoader(TensorDataset(torch.randn(16, 1, 8, 8), torch.zeros(16, dtype=torch.int64)), 16)
    results = [run(problem, tmp_path / str(i), TUNED, test=test) for i, test in enumerate((problem.test, noise, None))]
    assert results[0].hyperparameters == results[1].hyperparameters == results[2].hyperparameters


def test_trials_and_training_start_from_the_same_weights_and_see_the_same_batches(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[dict[str, Tensor]] = []

    class Noted(stage.TrainingSteps):  # type: ignore[misc, name-defined]
        def __init__(self, model: nn.Module, *arguments: Any) -> None:
            begun.append({name: value.clone() for name, value in model.state_dict().items()})
            super().__init__(model, *arguments)

    for module in (stage, retraining):
        monkeypatch.setattr(module, "TrainingSteps", Noted)
    seen: list[int] = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        seen.append(int((targets * 2 ** torch.arange(len(targets))).sum()))
        return nn.functional.cross_entropy(outputs, targets)

    run(problem, tmp_path / "run", TUNED.model_copy(update={"plain": False}), loss=loss)
    assert len(begun) == 4  # three trials, and the training
    assert all(torch.equal(value, other[name]) for other in begun[1:] for name, value in begun[0].items())
    # a supernet and a network are tried out and four steps searched; a trial takes a fifth of six batches, and one more
    trials = seen[6:18]
    assert trials[:4] == trials[4:8] == trials[8:] and len(set(trials[:4])) > 1


@pytest.mark.parametrize(("samples", "share"), [(1, 0.2), (3199, 0.2), (3200, 0.1), (6400, 0.05), (32_000, 0.01)])
def test_share_of_a_trial_follows_the_size_of_the_data(samples: int, share: float) -> None:
    assert stage.trial_share(samples) == share


@pytest.mark.parametrize(("batch", "steps"), [(2, 5), (8, 2), (48, 1)])
def test_steps_of_a_trial(problem: Problem, tmp_path: Path, batch: int, steps: int) -> None:
    """A fifth of 24, 6 and 1 batches, and one more; never more than there are."""
    calls = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        calls.append(len(targets))
        return nn.functional.cross_entropy(outputs, targets)

    train = DataLoader(problem.train.dataset, batch, shuffle=True)
    one = TUNED.model_copy(update={"plain": False, "epochs": 1, "search_fraction": 0.001})
    result = run(Problem(problem.model, train, problem.valid, problem.test), tmp_path / "run", one, loss=loss)
    assert len(trials_of(result, "searched")) == 3
    tried_out, search = 2, 1
    assert len(calls) == tried_out + search + 3 * 2 * steps + len(train)


def test_trial_that_diverges_loses(problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = {"lr": (1e30, 0.01), "momentum": (0.9,)}
    monkeypatch.setitem(stage.GRIDS, "short", grid)
    result = run(problem, tmp_path / "run", TUNED)
    for network, values in result.hyperparameters.items():
        scores = {trial["lr"]: trial["valid_score"] for trial in trials_of(result, network)}
        assert scores[1e30] is None and scores[0.01] is not None and values["lr"] == 0.01
    monkeypatch.setitem(stage.GRIDS, "short", {"lr": (1e30, 1e31)})
    with pytest.raises(TrainingError, match="all trials of the searched network diverged"):
        run(problem, tmp_path / "other", TUNED)


@pytest.mark.parametrize("scored_before", [1, 2, 5, 8])
def test_resumed_trials_equal_uninterrupted_ones(problem: Problem, tmp_path: Path, scored_before: int) -> None:
    """A score of the search, three of each network's trials, two of each training, two tests."""
    whole = run(problem, tmp_path / "whole", TUNED)
    with pytest.raises(Interrupted):
        run(problem, tmp_path / "run", TUNED, metric=interrupting_metric(scored_before))
    seen: list[int] = []

    def counting(outputs: Tensor, targets: Tensor) -> float:
        seen.append(len(outputs))
        return ACCURACY.score(outputs, targets)

    resumed = run(problem, tmp_path / "run", TUNED, metric=Metric(ACCURACY.name, counting, True), resume=True)
    assert len(seen) == PREFLIGHT + 1 + 3 + 3 + 2 + 2 + 2 - scored_before  # nothing is done twice
    assert (resumed.scores, resumed.hyperparameters) == (whole.scores, whole.hyperparameters)
    both = [[{**record, "seconds": 0} for record in result.history] for result in (whole, resumed)]
    assert both[0] == both[1]


def test_all_points_of_a_grid_are_tried_once_and_the_first_of_equals_wins() -> None:
    level = optuna.logging.get_verbosity()
    grid = stage.GRIDS["grid"]
    for metric in (ACCURACY, Metric("error", ACCURACY.compute, higher_is_better=False)):
        trials = stage.Trials(grid, metric, seed=7)
        sign = 1 if metric.higher_is_better else -1
        scores = [None, *(sign * score for score in (1.0, 3.0, 2.0, 3.0)), *[None] * 19]
        values = [trials.run(lambda chosen, score=score: score)[0] for score in scores]  # type: ignore[misc]
        assert {tuple(v[name] for name in grid) for v in values} == set(itertools.product(*grid.values()))
        assert len(values) == 24 and trials.best() == values[2]
        again = stage.Trials(grid, metric, seed=7)
        again.load_state_dict({"scores": scores[:20]})
        better = 5.0 * sign
        assert again.best() == values[2]
        assert again.run(lambda chosen, score=better: score)[0] == values[20] == again.best()  # type: ignore[misc]
    assert optuna.logging.get_verbosity() == level


def test_dropout_is_tuned_where_it_can_be_set(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []

    def note(network: nn.Module, share: float) -> None:
        shares.append(share)
        set_dropout(network, share)

    problem.model.insert(2, nn.Dropout(0.5))  # type: ignore[operator]
    monkeypatch.setitem(stage.GRIDS, "short", {"lr": (0.01,), "dropout": (0.0, 0.25)})
    quick = TUNED.model_copy(update={"plain": False, "tune_epochs": 1})
    result = run(problem, tmp_path / "run", quick, set_dropout=note)
    assert sorted(shares[:2]) == [0.0, 0.25] and shares[2:] == [result.hyperparameters["searched"]["dropout"]]
    assert result.model[2].p == shares[-1]  # type: ignore[index, union-attr]
    result = run(problem, tmp_path / "without", quick)
    assert len(trials_of(result, "searched")) == 1 and result.model[2].p == 0.5  # type: ignore[index, union-attr]


def test_networks_get_a_share_of_dropout() -> None:
    network = WideResNet(1, 2)
    set_dropout(network, 0.25)
    assert {module.p for module in network.modules() if isinstance(module, nn.Dropout)} == {0.25}


def test_trials_have_data_of_their_own_where_the_validation_part_may_not_choose(
    problem: Problem, tmp_path: Path
) -> None:
    seen: list[int] = []

    def count(outputs: Tensor, targets: Tensor) -> float:
        seen.append(len(targets))
        return float(len(targets))

    train = DataLoader(Subset(problem.train.dataset, range(40)), 8)
    valid = DataLoader(Subset(problem.train.dataset, range(40, 48)), 8)
    tuning = Tuning(train, valid, Metric("samples", count, True), problem.model)
    result = run(problem, tmp_path / "run", TUNED, tuning=tuning)
    assert seen[-6:] == [8] * 6
    assert {trial["valid_score"] for name in ("searched", "plain") for trial in trials_of(result, name)} == {8.0}


def test_missing_package_is_told_before_anything_is_computed(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"tune='short' needs the package optuna: run pip install"):
        run(problem, tmp_path / "run", TUNED)
    assert not (tmp_path / "run").exists()
    run(problem, tmp_path / "run", TUNED.model_copy(update={"tune": "none"}))
