# SPDX-License-Identifier: BSD-3-Clause
"""The benchmarks: layers are those of the networks, verdicts follow from figures, what is written can be read again."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import dash_kernels as dk
from bench import engine_times, gate, tables, timing, work
from bench.layers import Layer, all_layers, searched_layers
from bench.measure_layers import measure_layer
from bench.measure_steps import AUTO, NEVER, STEP, StepContestant, columns
from bench.memory import peak
from bench.results import Row, Run, Stage
from bench.rivals import MIXED_CONV, LayerContestant
from bench.targets import TARGETS, Verdict, verdicts
from bench.tasks import TASKS, Task
from dash_kernels.engines import Problem
from dash_kernels.engines.calibration import SHIPPED
from dash_search.alpha import mixed_layers

CIFAR = TASKS[0]
TINY = Layer("CIFAR-100", 3, (4, 4), (9, 8), (3, 5), (1, 3))


@pytest.mark.parametrize("depthwise", ["auto", "never"])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_layers_are_those_of_the_network(task: Task, depthwise: str) -> None:
    model = task.backbone()
    config = task.config(depthwise)
    space = dk.SearchSpace(kernel_sizes=config.kernel_sizes, dilations=config.dilations)
    dk.convert(model, space, depthwise=depthwise)
    searched = mixed_layers(model).values()
    listed = searched_layers(task, depthwise)
    shapes = {(m.in_channels, m.out_channels, m.stride[0], m.groups, len(m.candidates)) for m in searched}
    assert {(*x.channels, x.stride, x.groups, len(x.candidates)) for x in listed} == shapes
    assert len(searched) == (13 if len(task.shape) == 3 else 9)
    assert len(set(listed)) == len(listed)
    assert all(layer.batch == task.batch and len(layer.size) == len(task.shape) - 1 for layer in listed)
    assert all((layer.groups > 1) == (depthwise == "auto" and len(set(layer.channels)) == 1) for layer in listed)


def test_layers_of_a_strided_network_shrink() -> None:
    sizes = [(layer.channels, layer.size, layer.stride) for layer in searched_layers(CIFAR, "never")]
    assert sizes == [
        ((3, 16), (32, 32), 1),
        ((16, 16), (32, 32), 1),
        ((16, 32), (32, 32), 1),
        ((32, 32), (32, 32), 2),
        ((32, 32), (16, 16), 1),
        ((32, 64), (16, 16), 1),
        ((64, 64), (16, 16), 2),
        ((64, 64), (8, 8), 1),
    ]


def test_every_layer_is_listed_once() -> None:
    layers = all_layers()
    assert len({layer.name for layer in layers}) == len(layers)
    assert {layer.task for layer in layers} == {task.name for task in TASKS}
    assert {layer.kind for layer in layers} == {"dense", "dense, strided", "depthwise", "depthwise, strided"}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_loss_takes_what_the_network_gives(task: Task) -> None:
    few = replace(task, shape=(task.shape[0], *(16 for _ in task.shape[1:])))
    outputs = few.backbone()(torch.randn(2, *few.shape))
    assert outputs.shape == few.output_shape(2)
    assert few.objective.loss(outputs, few.objective.targets(few.output_shape(2))).isfinite()


def seconds(value: float, batch: int = 8) -> timing.Timed:
    return timing.Timed(batch, "contiguous", (value / 4,) * 15, (3 * value / 4,) * 15)


def layer_row(kind: str, task: str, mixed: float, contiguous: float, channels_last: float, results: float) -> Row:
    timed = {
        MIXED_CONV: seconds(mixed),
        "plain, contiguous": seconds(contiguous),
        "plain, channels last": seconds(channels_last),
        "mixed results": seconds(results),
    }
    stage = Stage("tap_conv", "fourier", mixed / 2, flops=1e9, bytes=1e6)
    return Row(kind, task, f"{task} {kind}", 8, timed, {"mixed weights": "not run"}, (stage,))


def layers_run(*rows: Row, whole: bool = True, failed: tuple[str, ...] = ()) -> Run:
    return Run("make bench-layers", whole, {"cores": "2"}, {"flops": 1e11, "bytes": 1e10}, rows, failed)


def found(run: Run | None, what: str) -> Verdict:
    return next(verdict for verdict in verdicts(run, None) if verdict.what == what)


MEAN, EACH = "dense MixedConv ÷ faster plain, mean", "dense MixedConv ÷ faster plain, each"


def test_a_mean_decides_over_all_rows() -> None:
    run = layers_run(layer_row("dense", "A", 1.0, 2.0, 1.0, 100), layer_row("dense", "B", 1.9, 1.0, 1.5, 100))
    assert found(run, MEAN).met is True
    assert found(run, MEAN).value.startswith("1.38")
    assert found(run, "dense MixedConv ÷ plain contiguous, mean").met is True
    results = found(run, "mixed results ÷ MixedConv, dense, mean")
    assert results.met is True and results.target == "≥ 60"


def test_a_missed_target_says_by_how_much_and_what_bounds_it() -> None:
    verdict = found(layers_run(layer_row("dense", "A", 2.8, 2.0, 1.0, 100)), MEAN)
    assert verdict.met is False and verdict.word() == "missed"
    assert "2 times the target" in verdict.note
    assert "arithmetic bounds 100 %" in verdict.note  # 10 ms of it beside 0.1 ms of memory


def test_each_row_has_its_limit() -> None:
    run = layers_run(layer_row("dense", "Satellite", 2.4, 1.0, 1.0, 100), layer_row("dense", "ECG", 2.1, 1.0, 1.0, 100))
    verdict = found(run, EACH)
    assert verdict.met is False
    assert "1 of 2 miss it: ECG dense 2.1" in verdict.note
    assert found(layers_run(run.rows[0]), EACH).met is True


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (None, "not measured"),
        (layers_run(layer_row("dense", "A", 1, 1, 1, 100), whole=False), "a selection"),
        (layers_run(layer_row("dense", "A", 1, 1, 1, 100), failed=("B",)), "1 did not pass"),
    ],
)
def test_part_of_a_run_gives_no_verdict(run: Run | None, why: str) -> None:
    verdict = found(run, MEAN)
    assert verdict.met is None and verdict.word() == "no verdict"
    assert why in verdict.note


def test_a_cut_batch_gives_no_verdict() -> None:
    row = layer_row("dense", "A", 1, 1, 1, 100)
    cut = replace(row, timed={**row.timed, "mixed results": seconds(100, batch=4)})
    assert row.ratio("mixed results", MIXED_CONV) is not None
    assert cut.ratio("mixed results", MIXED_CONV) is None
    run = layers_run(row, cut)
    assert found(run, "mixed results ÷ MixedConv, dense, mean").met is None
    assert found(run, MEAN).met is True
    assert "batch 4" in tables.markdown(run)


def test_memory_is_weighed_against_the_plain_step_that_takes_less() -> None:
    timed = {AUTO: seconds(1), NEVER: seconds(2), "plain, contiguous": seconds(1), "plain, channels last": seconds(1)}
    memory = {AUTO: 120, NEVER: 500, "plain, contiguous": 110, "plain, channels last": 100}
    row = Row(STEP, "A", "A", 8, timed, memory=memory)
    run = replace(layers_run(row), command="make bench-steps")
    memory_verdict = next(v for v in verdicts(None, run) if v.name == "P6")
    assert memory_verdict.met is True and memory_verdict.value.startswith("1.2 to 1.2")
    worse = replace(run, rows=(replace(row, memory=memory | {AUTO: 126}),))
    assert next(v for v in verdicts(None, worse) if v.name == "P6").met is False
    assert next(v for v in verdicts(None, run) if v.name == "P3").met is True


def test_targets_name_columns_and_kinds_that_exist() -> None:
    kinds = {layer.kind for layer in all_layers()} | {STEP, *tables.TITLES}
    assert {target.kind for target in TARGETS} <= kinds
    assert [v.name for v in verdicts(None, None)] == ["P1"] * 4 + ["P2"] * 2 + [f"P{i}" for i in range(3, 8)] + [""] * 2


def test_a_run_comes_back_from_its_file(tmp_path: Path) -> None:
    run = layers_run(layer_row("dense", "A", 1, 2, 3, 4), layer_row("depthwise", "A→B", 1, 2, 3, 4), failed=("C",))
    run.save(tmp_path / "run.json")
    again = Run.load(tmp_path / "run.json")
    assert again == run
    assert tables.markdown(again) == tables.markdown(run)
    assert len(tables.csv_text(run).splitlines()) == 1 + sum(len(row.timed) + len(row.stages) for row in run.rows)


def test_interval_holds_the_ratio_and_means_multiply() -> None:
    above, below = [2.0, 2.1, 1.9, 2.0, 5.0], [1.0, 1.1, 0.9, 1.0, 1.0]
    found = timing.ratio(above, below)
    assert found.value == pytest.approx(2.0)
    assert found.low <= found.value <= found.high
    assert timing.mean_ratio([(above, below), (below, above)]).value == pytest.approx(1.0)


def problem(**changed: object) -> Problem:
    fields: dict[str, object] = dict(
        operator="tap_conv", device="cpu", dtype=torch.float32, batch=2, in_channels=3, out_channels=5, groups=1,
        input_size=(8,), out_size=(8,), stride=(1,), offsets=(-1, 0, 1), circular=False,
    )  # fmt: skip
    return Problem(**{**fields, **changed})  # type: ignore[arg-type]


def test_work_by_formula() -> None:
    assert work.flops(problem(), "direct") == 2 * 2 * 15 * (7 + 8 + 7)  # taps at the edges read one pixel less
    assert work.flops(problem(circular=True), "direct") == 2 * 2 * 15 * 24
    points = 10  # 8 pixels and one on either side, shared: 9, and even
    transforms = 2.5 * (2 * 3 + 15 + 2 * 5) * points * math.log2(points)
    assert work.flops(problem(), "fourier") == pytest.approx(transforms + 6 * 2 * 15 * points / 2)
    assert problem().moved_bytes == 4 * (2 * 3 * 8 + 2 * 5 * 8 + 15 * 3)


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    if dk.engines()["fourier"] is not None:
        pytest.skip("a benchmark times compiled kernels, and they are not built here")
    monkeypatch.setenv("DASH_KERNELS_STRICT", "1")


@pytest.mark.parametrize("layer", [TINY, replace(TINY, groups=4, stride=2), replace(TINY, size=(11,))])
def test_gate_sees_the_whole_batch(layer: Layer, strict: None) -> None:
    contestant = LayerContestant(MIXED_CONV, layer, layer.batch)
    gate.check_engine(layer, contestant)
    gate.check(layer, contestant)
    right = contestant.compute

    def wrong_in_the_last_sample(x: torch.Tensor, mixture: torch.Tensor | None) -> torch.Tensor:
        y = right(x, mixture)
        return torch.cat([y[:-1], 1.001 * y[-1:]])

    contestant.compute = wrong_in_the_last_sample
    with pytest.raises(gate.WrongResult, match="output of MixedConv is off"):
        gate.check(layer, contestant)


def test_the_reference_is_not_timed(strict: None) -> None:
    contestant = LayerContestant(MIXED_CONV, TINY, 1)
    with dk.use_engine("reference"), pytest.raises(gate.WrongResult, match="would run on the reference"):
        gate.check_engine(TINY, contestant)


def test_a_layer_is_measured(strict: None) -> None:
    row = measure_layer(TINY, laps=2)
    assert set(row.timed) == {
        MIXED_CONV, "plain, contiguous", "plain, channels last", "mixed results", "mixed weights", "torch.fft",
    }  # fmt: skip
    assert all(len(row.timed[name].both) == 2 for name in (MIXED_CONV, "plain, contiguous"))
    names = [stage.name for stage in row.stages]
    assert {"mix_taps", "tap_conv", "tap_conv_input_grad", "tap_conv_weight_grad", "gather_taps"} <= set(names)
    assert row.ratio(MIXED_CONV, row.faster_plain()) is not None
    assert "CIFAR-100: 3, 4→4, 9×8" in tables.markdown(layers_run(row))


def test_a_step_trains(strict: None) -> None:
    task = replace(CIFAR, shape=(3, 8, 8))
    for column in columns(task):
        contestant = StepContestant(column, task, 2)
        before = [p.detach().clone() for p in contestant.model.parameters()]
        assert sum(timing.step(contestant)) > 0
        pairs = zip(before, contestant.model.parameters(), strict=True)
        assert all(not torch.equal(old, new) for old, new in pairs if old.dim() > 1)


@pytest.mark.slow
def test_memory_of_a_step_grows_with_the_batch() -> None:
    small, large = (peak("Satellite", "plain, contiguous", batch) for batch in (64, 256))
    assert small is not None and large is not None
    assert 2 < large / small < 5


def test_engine_times_are_read_as_they_were_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine_times, "FILE", tmp_path / "times.csv")
    monkeypatch.setattr(
        engine_times, "LAYERS", ((2, 4, 6, 2, (5, 6), 2), (1, 1, 1, 1, (8,), 1), (1, 1, 1, 1, (4, 5, 6), 1))
    )
    monkeypatch.setattr(engine_times.torch, "set_num_threads", lambda count: None)
    rows = list(engine_times.measure())
    engine_times.write(rows)
    assert engine_times.read() == rows and len(rows) == 3 * sum(
        len(engine_times.SPACES[ndim]) + len(engine_times.SINGLE[ndim]) for ndim in (1, 2, 3)
    )
    assert all((row.fourier > 0) == (len(row.size) < 3) and row.direct > 0 for row in rows)
    assert all((row.torch > 0) == row.regular for row in rows)
    assert rows[0].problem.out_size == (3, 3)


def test_the_cost_model_has_the_constants_that_fit_the_record() -> None:
    found = engine_times.fit(engine_times.read())
    for name, times in SHIPPED.items():
        assert found[name] == pytest.approx(times, rel=0.02)
