# SPDX-License-Identifier: BSD-3-Clause
"""The search as a function, on a problem of milliseconds."""

import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import dash_kernels as dk
from dash_search import ACCURACY, Config, Metric, Result, RunFolderError, SettingsError, TrainingError, search
from dash_search.backbones import ResNet1D

from .conftest import Problem

TINY = Config(kernel_sizes=(3, 5), dilations=(1, 2), search_epochs=3, search_fraction=0.5, epochs=4)


def run(problem: Problem, run_dir: Path, config: Config = TINY, **changes: Any) -> Result:
    arguments: dict[str, Any] = {"loss": nn.functional.cross_entropy, "metric": ACCURACY, "test": problem.test}
    arguments |= {"run_dir": run_dir, **changes}
    return search(problem.model, problem.train, problem.valid, config, **arguments)


def test_result_and_folder(problem: Problem, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in problem.model.state_dict().items()}
    result = run(problem, tmp_path / "run")

    assert set(result.architecture) == {"0", "2"}
    for name, choice in result.architecture.items():
        conv = result.model.get_submodule(name)
        assert isinstance(conv, nn.Conv2d) and conv.groups == 1
        assert (list(conv.kernel_size), list(conv.dilation)) == (choice["kernel_size"], choice["dilation"])
        assert choice["kernel_size"][0] in (3, 5) and choice["dilation"][0] in (1, 2)
    assert result.scores["searched"]["test"] > 70 and result.scores["plain"]["test"] > 70
    assert all(torch.equal(before[name], value) for name, value in problem.model.state_dict().items())

    folder = result.run_dir
    assert json.loads((folder / "architecture.json").read_text()) == result.architecture
    stored = json.loads((folder / "result.json").read_text())
    assert stored["scores"] == result.scores and stored["metric"] == "accuracy %"
    assert list(stored["seconds"]) == [
        *("search supernet", "retrain searched", "retrain plain", "test searched", "test plain")
    ]
    assert not result.model.training
    assert Config().with_file(folder / "config.json") == TINY
    (environment,) = json.loads((folder / "environment.json").read_text())
    assert environment["engine reference"] == "works" and environment["torch"].startswith(torch.__version__)
    engines = json.loads((folder / "engines.json").read_text())
    assert list(engines) == ["supernet", "searched", "plain"] and not engines["plain"]
    assert set(engines["searched"]) <= set(result.architecture)
    assert list(engines["supernet"]) == ["0", "2"]
    for passes in engines["supernet"].values():
        assert {"mix_taps", "forward", "weight_grad", "gather_taps", "mixture_grad"} <= set(passes)
        assert set(passes.values()) <= set(dk.engines())
    assert [(r["stage"], r["network"], r.get("epoch")) for r in result.history] == [
        *(("search", "supernet", epoch) for epoch in (1, 2, 3)),
        *(("retrain", "searched", epoch) for epoch in (1, 2, 3, 4)),
        *(("retrain", "plain", epoch) for epoch in (1, 2, 3, 4)),
        *(("test", "searched", None), ("test", "plain", None)),
    ]
    for name, logits in result.history[2]["alphas"].items():  # what was read off is the last argmax
        best = dk.SearchSpace((3, 5), (1, 2)).candidates(2)[logits.index(max(logits))]
        assert result.architecture[name] == {"kernel_size": [*best.kernel_size], "dilation": [*best.dilation]}
    weights = torch.load(folder / "searched.pt", weights_only=True)
    assert all(torch.equal(weights[name], value) for name, value in result.model.state_dict().items())
    assert not list(folder.rglob("*.tmp"))


def test_given_architecture_is_trained_in_place_of_a_search(problem: Problem, tmp_path: Path) -> None:
    given = {"0": {"kernel_size": [5, 5], "dilation": [1, 1]}, "2": {"kernel_size": [3, 3], "dilation": [2, 2]}}
    result = run(problem, tmp_path / "run", architecture=given)
    assert result.architecture == given == json.loads((result.run_dir / "architecture.json").read_text())
    for name, choice in given.items():
        conv = result.model.get_submodule(name)
        assert (conv.kernel_size, conv.dilation) == tuple(map(tuple, choice.values()))
    assert list(result.scores) == ["given", "plain"] and {r["stage"] for r in result.history} == {"retrain", "test"}
    stored = json.loads((result.run_dir / "result.json").read_text())
    assert stored["parameters"]["given"] == 4 * 25 + 4 + 4 * 4 * 9 + 4 + 256 * 2 + 2
    searched = run(problem, tmp_path / "searched")
    assert result.scores["plain"] == searched.scores["plain"]  # the same network, whatever stands beside it
    assert run(problem, tmp_path / "run", architecture=given, resume=True).scores == result.scores
    with pytest.raises(RunFolderError, match="given architecture was .* now None"):
        run(problem, tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"absent": {"kernel_size": [3, 3], "dilation": [1, 1]}}, "the given network cannot have its .*'absent'"),
        ({"0": {"kernel_size": [3, 3]}}, "the given network cannot have its architecture: 0: the choice is"),
        ({"1": {"kernel_size": [3, 3], "dilation": [1, 1]}}, "the given network cannot have its architecture: 1: "),
        ([], "the given network cannot have its architecture: architecture is a list"),
    ],
)
def test_bad_architectures(problem: Problem, tmp_path: Path, given: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        run(problem, tmp_path / "run", architecture=given)
    assert not (tmp_path / "run").exists()


def test_best_validated_weights_are_kept(problem: Problem, tmp_path: Path) -> None:
    result = run(problem, tmp_path / "run")
    for name, score in result.scores.items():
        assert score["valid"] == max(
            r["valid_score"] for r in result.history if (r["stage"], r["network"]) == ("retrain", name)
        )
    images, classes = (torch.cat(parts) for parts in zip(*problem.valid, strict=True))
    assert ACCURACY.compute(result.model.eval()(images), classes) == result.scores["searched"]["valid"]


def test_nothing_is_chosen_on_test_data(problem: Problem, tmp_path: Path) -> None:
    noise = DataLoader(TensorDataset(torch.randn(16, 1, 8, 8), torch.zeros(16, dtype=torch.int64)), 16)
    with_test, with_noise = run(problem, tmp_path / "a"), run(problem, tmp_path / "b", test=noise)
    without = run(problem, tmp_path / "c", test=None)
    assert with_test.architecture == with_noise.architecture == without.architecture
    for other in (with_noise, without):
        for name, value in with_test.model.state_dict().items():
            assert torch.equal(value, other.model.state_dict()[name])
    assert set(without.scores["searched"]) == {"valid"}


def test_metric_sees_whole_splits(problem: Problem, tmp_path: Path) -> None:
    seen = []

    def count(outputs: Tensor, targets: Tensor) -> float:
        seen.append(len(outputs))
        return float(len(targets))

    run(problem, tmp_path / "run", metric=Metric("samples", count, higher_is_better=False))
    assert seen[:PREFLIGHT] == [8] * PREFLIGHT  # a batch of two parts through each network
    assert seen[PREFLIGHT:] == [24] * (3 + 4 + 4 + 2)  # three epochs of search, four of each network, two tests


PREFLIGHT = 6  # calls of the metric before a run begins: three networks, the validation and the test part


class Interrupted(Exception):
    pass


def interrupting_metric(after: int) -> Metric:
    calls = 0

    def compute(outputs: Tensor, targets: Tensor) -> float:
        nonlocal calls
        calls += 1
        if calls > PREFLIGHT + after:
            raise Interrupted
        return ACCURACY.compute(outputs, targets)

    return Metric(ACCURACY.name, compute, ACCURACY.higher_is_better)


@pytest.mark.parametrize("epochs_before", [0, 2, 4, 9, 11])
def test_resumed_run_equals_an_uninterrupted_one(problem: Problem, tmp_path: Path, epochs_before: int) -> None:
    whole = run(problem, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(problem, tmp_path / "run", metric=interrupting_metric(epochs_before))
    with (tmp_path / "run" / "log.jsonl").open("a") as log:
        log.write('{"stage": "sea')  # what a cut of power leaves
    torch.manual_seed(epochs_before)  # the caller's generators do not matter
    resumed = run(problem, tmp_path / "run", resume=True)
    assert len(json.loads((tmp_path / "run" / "environment.json").read_text())) == 2
    assert resumed.scores == whole.scores and resumed.architecture == whole.architecture

    def timeless(result: Result) -> list[dict[str, Any]]:
        return [{name: value for name, value in record.items() if name != "seconds"} for record in result.history]

    assert timeless(resumed) == timeless(whole)


def test_folders_are_never_mixed(problem: Problem, tmp_path: Path) -> None:
    run(problem, tmp_path / "run")
    with pytest.raises(RunFolderError, match="not empty"):
        run(problem, tmp_path / "run")
    with pytest.raises(RunFolderError, match="seed was 0, now 1"):
        run(problem, tmp_path / "run", TINY.model_copy(update={"seed": 1}), resume=True)
    settings = tmp_path / "run" / "config.json"
    older = {name: value for name, value in json.loads(settings.read_text()).items() if name != "mixture"}
    settings.write_text(json.dumps(older))  # begun before there was this setting
    run(problem, tmp_path / "run", resume=True)
    with pytest.raises(RunFolderError, match="holds no run"):
        run(problem, tmp_path / "other", resume=True)


def test_checkpoint_of_another_network_is_refused(problem: Problem, tmp_path: Path) -> None:
    run(problem, tmp_path / "run")
    problem.model[0] = nn.Conv2d(1, 5, 3, padding=1)
    problem.model[2] = nn.Conv2d(5, 4, 3, padding=1)
    with pytest.raises(RunFolderError, match="other data or networks: shapes of final_model was"):
        run(problem, tmp_path / "run", resume=True)


def test_another_final_model_is_initialised_and_trained(problem: Problem, tmp_path: Path) -> None:
    wide = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), nn.Flatten(), nn.Linear(384, 2)
    )
    initialised: list[nn.Module] = []
    result = run(problem, tmp_path / "run", final_model=wide, initialise=initialised.append)
    assert result.model[0].out_channels == 6  # type: ignore[index]
    assert initialised[-2] is result.model and len(initialised) == 4  # two were tried out before


def first_alphas(problem: Problem, run_dir: Path, config: Config = TINY, scale: float = 1.0) -> list[list[float]]:
    """The logits after one step of the search."""
    one_step = config.model_copy(
        update={"search_epochs": 1, "search_fraction": 0.01, "epochs": 1, "plain": False, "lr": 1e-20}
    )
    result = run(
        problem, run_dir, one_step, loss=lambda output, target: scale * nn.functional.cross_entropy(output, target)
    )
    return list(result.history[0]["alphas"].values())


@pytest.mark.parametrize("axes", [1, 2])
def test_compiled_engine_finds_the_alphas_of_the_reference(problem: Problem, tmp_path: Path, axes: int) -> None:
    if dk.engines()["fourier"] is not None:
        pytest.skip(f"fourier cannot run here: {dk.engines()['fourier']}")
    model = (ResNet1D(1, 2, channels=2) if axes == 1 else problem.model).double()

    def of_float64(batches: Any, shuffle: bool = False) -> DataLoader[Any]:
        images, classes = batches.dataset.tensors
        return DataLoader(
            TensorDataset((images.flatten(2) if axes == 1 else images).double(), classes), 8, shuffle=shuffle
        )

    alphas = {}
    for engine in ("reference", "fourier"):
        ten_steps = TINY.model_copy(update={"engine": engine, "search_epochs": 2, "search_fraction": 0.7, "epochs": 1})
        result = search(
            model,
            of_float64(problem.train, shuffle=True),
            of_float64(problem.valid),
            ten_steps,
            loss=nn.functional.cross_entropy,
            metric=ACCURACY,
            run_dir=tmp_path / engine,
        )
        used = json.loads((result.run_dir / "engines.json").read_text())["supernet"]
        assert {name for passes in used.values() for name in passes.values()} == {engine}
        alphas[engine] = [
            torch.tensor(list(r["alphas"].values()), dtype=torch.float64)
            for r in result.history
            if r["stage"] == "search"
        ]
    first, last = alphas["reference"]
    assert float((first - last).abs().min()) > 1e-6  # every logit moved
    for wanted, got in zip(alphas["reference"], alphas["fourier"], strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-12)


def test_logits_are_clipped_apart_from_the_weights(problem: Problem, tmp_path: Path) -> None:
    small, large = (first_alphas(problem, tmp_path / str(scale), scale=scale) for scale in (1e2, 1e8))
    for a, b in zip(small, large, strict=True):
        assert a == pytest.approx(b, rel=1e-4)


def test_logits_do_not_decay(problem: Problem, tmp_path: Path) -> None:
    decaying = TINY.model_copy(update={"weight_decay": 10.0})
    assert first_alphas(problem, tmp_path / "a") == first_alphas(problem, tmp_path / "b", decaying)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "abacus"}, "device='abacus'"),
        ({"engine": "steam"}, "engine='steam'.*reference"),
        ({"skip": ("0", "2")}, "no convolution of the model can be searched"),
        ({"skip": ("absent",)}, "absent"),
    ],
)
def test_bad_settings(problem: Problem, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=f"(?s){message}"):
        run(problem, tmp_path / "run", TINY.model_copy(update=changes))
    assert not (tmp_path / "run").exists()


def test_divergence_and_undefined_scores_stop_the_run(problem: Problem, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="training loss became inf"):
        run(problem, tmp_path / "a", loss=lambda output, target: output.sum() * float("inf"))
    for i, value in enumerate((float("nan"), float("inf"))):
        metric = Metric("nothing", lambda outputs, targets, value=value: value, True)  # type: ignore[misc]
        with pytest.raises(TrainingError, match=f"nothing is {value}, not a finite"):
            run(problem, tmp_path / f"b{i}", metric=metric)


def test_outputs_that_are_no_numbers_score_nothing(problem: Problem, tmp_path: Path) -> None:
    """argmax takes NaN for the largest output, so class 0 would be right."""
    images = torch.full((8, 1, 8, 8), float("nan"))
    broken = DataLoader(TensorDataset(images, torch.zeros(8, dtype=torch.int64)), 8)
    with pytest.raises(TrainingError, match="outputs are not finite"):
        run(Problem(problem.model, problem.train, broken, problem.test), tmp_path / "run")


def test_logits_that_diverge_stop_the_run(problem: Problem, tmp_path: Path) -> None:
    steep = TINY.model_copy(update={"alpha_lr": 1e30, "size_penalty": 1e30})
    with pytest.raises(TrainingError, match="not finite|became nan"):
        run(problem, tmp_path / "run", steep)


class WithSpare(nn.Module):
    """The model of the problem and a convolution that nothing uses."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.spare = nn.Conv2d(1, 1, 3, padding=1)
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)
        return out


def test_layer_without_use_is_not_read_off(problem: Problem, tmp_path: Path) -> None:
    console = Console(record=True, quiet=False, file=io.StringIO())
    extended = Problem(WithSpare(problem.model), problem.train, problem.valid, problem.test)
    result = run(extended, tmp_path / "run", console=console)
    assert set(result.architecture) == {"model.0", "model.2"}
    assert "spare took no part in the training" in console.export_text()


def test_callers_random_numbers_and_modes_are_left_alone(problem: Problem, tmp_path: Path) -> None:
    own = torch.Generator().manual_seed(5)
    loader = DataLoader(problem.train.dataset, 8, shuffle=True, generator=own)
    mine = Problem(problem.model, loader, problem.valid, problem.test)

    def numbers() -> tuple[object, ...]:
        return random.random(), float(np.random.rand()), float(torch.rand(())), float(torch.rand((), generator=own))

    def seeded() -> None:
        random.seed(1), np.random.seed(2), torch.manual_seed(3), own.manual_seed(4)

    seeded()
    expected = numbers()
    seeded()
    first = run(mine, tmp_path / "a")
    assert numbers() == expected
    with torch.inference_mode():
        second = run(mine, tmp_path / "b")  # another state of every generator, and no gradients
    assert first.scores == second.scores and first.architecture == second.architecture
