# SPDX-License-Identifier: BSD-3-Clause
"""The benchmarks: layers are those of the networks, nobody is timed who is wrong, work follows from formulas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import dash_kernels as dk
from bench import bound_tables, engine_times, gate, tables, timing, work
from bench.layers import Layer, all_layers, searched_layers
from bench.measure_layers import measure_layer
from bench.measure_steps import StepContestant, columns
from bench.memory import measure_memory
from bench.memory_parts import Kept, address
from bench.results import Run
from bench.rivals import MIXED_CONV, LayerContestant
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
    direct = work.work(problem(), "direct")
    assert (
        direct.products == 2 * 2 * 15 * (7 + 8 + 7) and not direct.transforms
    )  # taps at the edges read one pixel less
    assert work.work(problem(circular=True), "direct").products == 2 * 2 * 15 * 24
    points = 10  # 8 pixels and one on either side, shared: 9, and even
    fourier = work.work(problem(), "fourier")
    assert fourier.transforms == pytest.approx(2 * (3 + 5) * work.real_transform(points))
    assert fourier.products == pytest.approx(15 * points * 3 + 6 * 2 * 15 * points / 2)
    assert direct.bytes == fourier.bytes == 4 * (2 * 3 * 8 + 2 * 5 * 8 + 15 * 3)


def test_transforms_are_counted_as_published() -> None:
    assert [work.complex_transform(n) for n in (1, 2, 4, 8, 64)] == [0, 4, 16, 56, 1160]
    assert [work.real_transform(n) for n in (1, 2, 4, 8)] == [0, 2, 6, 22]
    two_axes = work.map_transform((3, 5), (8, 16))  # three rows hold something; all columns, of one half
    assert two_axes == 3 * work.real_transform(16) + 8 * work.complex_transform(8)


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
    names = [stage.name for stage in row.stages[MIXED_CONV]]
    assert {"mix_taps", "tap_conv", "tap_conv_input_grad", "tap_conv_weight_grad", "gather_taps"} <= set(names)
    assert row.ratio(MIXED_CONV, row.faster_plain()) is not None
    run = Run("make bench-layers", True, {}, {"flops": 1e11, "bytes": 1e10}, (row,))
    assert row.name in tables.markdown(run) and row.name in bound_tables.markdown(run)


def test_a_step_trains(strict: None) -> None:
    task = replace(CIFAR, shape=(3, 8, 8))
    for column in columns(task):
        contestant = StepContestant(column, task, 2)
        before = [p.detach().clone() for p in contestant.model.parameters()]
        assert sum(timing.step(contestant)) > 0
        pairs = zip(before, contestant.model.parameters(), strict=True)
        assert all(not torch.equal(old, new) for old, new in pairs if old.dim() > 1)


def test_kept_counts_what_autograd_holds_once() -> None:
    x, weight = torch.randn(4, 3, 8), torch.randn(5, 3, 3, requires_grad=True)
    kept = Kept(x, {address(x), address(weight)})
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, kept.unpack):
        y = torch.conv1d(x, weight).relu()  # its result is kept, and again by the next one
        z = (y * y).sum()
    del y
    assert kept.bytes["activations"] == 4 * 4 * 5 * 6 and not kept.bytes["taps"]
    z.backward()
    assert not any(kept.bytes.values())


@pytest.mark.slow
def test_memory_of_a_step_grows_with_the_batch() -> None:
    small, large = (measure_memory("Satellite", "plain, contiguous", batch) for batch in (64, 256))
    assert small is not None and large is not None
    assert 2 < large.peak / small.peak < 5
    assert 0 < large.activations < large.peak


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
