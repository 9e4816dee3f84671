# SPDX-License-Identifier: BSD-3-Clause
"""Results of the benchmarks: verdicts follow from figures, bounds from work, what is cut off can be taken up again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bench import bound_tables, bounds, gate, runs, stages, tables, timing
from bench.layers import all_layers
from bench.measure_steps import AUTO, NEVER, STEP
from bench.results import Memory, Row, Run, Stage
from bench.rivals import MIXED_CONV
from bench.runs import Measurement, Order, OtherRun, take
from bench.targets import TARGETS, Verdict, verdicts
from bench.work import Work


def seconds(value: float, batch: int = 8) -> timing.Timed:
    return timing.Timed(batch, "contiguous", (value / 4,) * 15, (3 * value / 4,) * 15)


def layer_row(kind: str, task: str, mixed: float, contiguous: float, channels_last: float, results: float) -> Row:
    timed = {
        MIXED_CONV: seconds(mixed),
        "plain, contiguous": seconds(contiguous),
        "plain, channels last": seconds(channels_last),
        "mixed results": seconds(results),
    }
    stage = Stage("tap_conv", "fourier", mixed / 2, Work(products=6e8, transforms=4e8, bytes=1e6))
    return Row(kind, task, f"{task} {kind}", 8, timed, {"mixed weights": "not run"}, {MIXED_CONV: (stage,)})


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
    run = layers_run(layer_row("dense", "A", 2.8, 2.0, 1.0, 100))
    verdict = found(run, MEAN)
    assert verdict.met is False and verdict.word() == "missed"
    assert verdict.far == "2 times the target"
    # half of 2.8 s outside; 10 ms of arithmetic, 6 of them products, beside 0.1 ms of memory; plain 1 s
    assert verdict.parts["operators"] == verdict.parts["outside"] == "50 %"
    assert verdict.parts["bound"] == "products 1"
    assert (verdict.parts["at peak ÷ plain"], verdict.parts["outside ÷ plain"]) == ("0.01", "1.40")
    text = bound_tables.markdown(run)
    assert "products, 1 % of the peak" in text
    assert "1400: 0.1 / 6 / 4" in text
    assert "1 contiguous, 1.4, 2" in text


def test_memory_bounds_what_moves_more_than_it_computes() -> None:
    peaks = {"flops": 1e9, "bytes": 1e9}
    stages_ = [Stage("a", "direct", 9.0, Work(1e9, 1e9, 3e9)), Stage("b", "direct", 1.0, Work(0, 1e9, 0))]
    whole = bounds.bound(stages_, peaks)
    assert (whole.operators, whole.memory, whole.products, whole.transforms) == (10, 3, 1, 2)
    assert whole.floor == 3 + 1  # operator by operator
    assert bounds.bound(stages_[:1], peaks).by == "memory" and whole.by == "transforms"
    assert stages.together([*stages_, stages_[1]])[1] == Stage("b", "direct", 2.0, Work(0, 2e9, 0))


def test_49_candidates_are_compared_operator_by_operator() -> None:
    timed = {"49 candidates": seconds(0.2), "widest alone": seconds(0.1)}
    inside = {
        column: (Stage("tap_conv", "fourier", taken, Work(1e6, 1e6, 1e6)),)
        for column, taken in (("49 candidates", 0.14), ("widest alone", 0.08))
    }
    run = layers_run(Row("many candidates", "1-D", "1-D", 8, timed, stages=inside))
    verdict = next(v for v in verdicts(run, None) if v.name == "P5")
    assert verdict.notes == ("1-D: +100.00 ms, of which tap_conv +60.00",)
    assert "1-D, widest alone" in bound_tables.markdown(run)


def test_each_row_has_its_limit() -> None:
    run = layers_run(layer_row("dense", "Satellite", 2.4, 1.0, 1.0, 100), layer_row("dense", "ECG", 2.1, 1.0, 1.0, 100))
    verdict = found(run, EACH)
    assert verdict.met is False
    assert verdict.far == "1 of 2 rows miss it"
    assert verdict.missed == (("ECG dense", "2.1", "2"),)
    assert "| ECG dense | 2.1      | 2     |" in tables.targets_markdown(verdicts(run, None))
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
    assert verdict.met is None and verdict.word() == f"no verdict: {verdict.why}"
    assert why in verdict.why
    if run is not None and not run.whole:
        assert '"whole": false' in tables.markdown(run) and '"whole": false' in bound_tables.markdown(run)


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
    peaks = {AUTO: 120, NEVER: 500, "plain, contiguous": 110, "plain, channels last": 100}
    memory = {column: Memory(peak << 20, 80 << 20, 1 << 20, 9 << 20) for column, peak in peaks.items()}
    row = Row(STEP, "A", "A", 8, timed, memory=memory)
    run = replace(layers_run(row), command="make bench-steps")
    memory_verdict = next(v for v in verdicts(None, run) if v.name == "P6")
    assert memory_verdict.met is True and memory_verdict.value.startswith("1.2 to 1.2")
    worse = replace(run, rows=(replace(row, memory=memory | {AUTO: replace(memory[AUTO], peak=126 << 20)}),))
    missed = next(v for v in verdicts(None, worse) if v.name == "P6")
    assert missed.met is False
    assert "search step 126 MiB = activations 80 + taps 1 + workspace 9 + gradients" in missed.notes[0]
    assert next(v for v in verdicts(None, run) if v.name == "P3").met is True


def test_targets_name_columns_and_kinds_that_exist() -> None:
    kinds = {layer.kind for layer in all_layers()} | {STEP, *tables.TITLES}
    assert {target.kind for target in TARGETS} <= kinds
    assert [v.name for v in verdicts(None, None)] == ["P1"] * 4 + ["P2"] * 2 + [f"P{i}" for i in range(3, 8)] + [""] * 2


def test_a_run_comes_back_from_its_file(tmp_path: Path) -> None:
    dense = replace(layer_row("dense", "A", 1, 2, 3, 4), memory={MIXED_CONV: Memory(5, 1, 1, 1)})
    run = layers_run(dense, layer_row("depthwise", "A→B", 1, 2, 3, 4), failed=("C",))
    run.save(tmp_path / "run.json")
    again = Run.load(tmp_path / "run.json")
    assert again == run
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert tables.markdown(again) == tables.markdown(run)
    lines = sum(len(row.timed) + sum(map(len, row.stages.values())) for row in run.rows)
    assert len(tables.csv_text(run).splitlines()) == 1 + lines


@pytest.fixture
def three_rows(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A run of three rows: what is tried goes into the list. B is cut off, C gives a wrong result, the first time."""
    tried: list[str] = []

    def measure(task: str, laps: int) -> Row:
        tried.append(task)
        if tried.count(task) == 1 and task != "A":
            raise KeyboardInterrupt if task == "B" else gate.WrongResult("off")
        return layer_row("dense", task, 1, 1, 1, 100)

    plan = [Measurement(task, "dense", f"{task} dense", partial(measure, task)) for task in "ABC"]
    monkeypatch.setattr(Order, "measurements", lambda order: plan)
    monkeypatch.setattr(runs, "facts", lambda: {"cores": "2", "commit": "abc", "date": "today"})
    monkeypatch.setattr(runs, "peaks", lambda: {"flops": 1e11 + len(tried), "bytes": 1e10})
    return tried


def test_a_run_that_was_cut_off_is_taken_up_again(three_rows: list[str]) -> None:
    order = Order("layers")
    run = None
    with pytest.raises(KeyboardInterrupt):
        for run in take(order):
            assert not run.whole
    assert run is not None and [row.task for row in run.rows] == ["A"]
    *under_way, last = take(order, replace(run, machine={**run.machine, "date": "yesterday"}))
    assert three_rows == ["A", "B", "B", "C"]  # A was kept
    assert not any(part.whole for part in under_way)
    assert last.whole and last.sittings == 2 and last.failed == ("C dense: off",)
    assert last.peaks["flops"] == 1e11 + 4
    final = list(take(order, last))[-1]  # what failed is tried again
    assert [row.task for row in final.rows] == ["A", "B", "C"] and not final.failed
    assert "In 3 sittings." in tables.origin(final)


def test_a_selection_is_never_whole(three_rows: list[str]) -> None:
    three_rows.append("B")
    order = Order("layers", quick=True, only=("A",))
    assert not any(run.whole for run in take(order))
    assert order.command == 'make bench-layers BENCH="--quick --task A"'
    assert order.stem == "quick-layers" and Order("layers").stem == "partial-layers"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda run: replace(run, command="make bench-steps"), "command make bench-steps, now make bench-layers"),
        (lambda run: replace(run, machine={**run.machine, "commit": "abd"}), "commit abd, now abc"),
        (lambda run: replace(run, machine={**run.machine, "cores": "4"}), "cores 4, now 2"),
    ],
)
def test_rows_of_another_run_are_not_taken(change: Callable[[Run], Run], why: str, three_rows: list[str]) -> None:
    run = next(take(Order("layers")))
    with pytest.raises(OtherRun, match=why):
        next(take(Order("layers"), change(run)))


def test_rows_of_changed_files_are_not_taken(three_rows: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "facts", lambda: {"commit": "abc with changes"})
    run = next(take(Order("layers")))
    with pytest.raises(OtherRun, match="working tree"):
        next(take(Order("layers"), run))


def test_every_row_that_is_planned_has_a_key_of_its_own() -> None:
    for order in (Order("layers"), Order("steps"), Order("layers", quick=True), Order("steps", only=("ECG",))):
        keys = [(m.kind, m.name) for m in order.measurements()]
        assert len(set(keys)) == len(keys) > 0
