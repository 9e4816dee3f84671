# SPDX-License-Identifier: BSD-3-Clause
"""The quality benchmark: what it trains, in which order, that it goes on where it was stopped, and its verdicts."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import document, quality, quality_plan, quality_rows, quality_table
from bench.quality_plan import Planned, architectures, fixed_choices, plan
from bench.quality_rows import DASH, FIXED, MENDED, METHODS, PLAIN, RANDOM, SEARCHES, Row
from dash_kernels import SearchSpace
from dash_search import DataError, TrainingError
from dash_search.config import RunConfig
from dash_search.tasks import TASKS

SPACE = SearchSpace(kernel_sizes=(3, 5, 9), dilations=(1, 2, 4, 8))
LAYERS = {"one": SPACE.candidates(2), "two": SPACE.candidates(2)}
ROW = Row(
    *("darcy16", 0, PLAIN, "relative L2", False, 0.25, 0.3, 1000, 0.0, 8.0, 2.0),
    *("", "settings", "folder", "cores: 2; commit: abc"),
)
CONFIG = RunConfig(task="darcy16", kernel_sizes=(3, 5, 9), dilations=(1, 2, 4, 8))


@dataclasses.dataclass
class Bench:
    """The benchmark on one offline task with one seed and one epoch of four steps, in folders of its own."""

    table: Path
    trained: list[str] = dataclasses.field(default_factory=list)
    stop_before: int = 0

    def run(self, *words: str) -> int:
        """Calls the command; ``trained`` then holds the names of the runs that were begun."""
        self.trained.clear()
        return quality.main(["--task", "darcy16", *words])


@pytest.fixture
def bench(flows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    with_budget(monkeypatch, epochs=2)
    monkeypatch.setattr(quality_plan, "SEEDS", (0,))
    monkeypatch.setattr(quality, "RESULTS", tmp_path)
    monkeypatch.setattr(quality, "RUNS", tmp_path / "runs")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- quality -->\nnothing yet\n<!-- end of quality -->\nafter\n")
    monkeypatch.setattr(quality, "PAGES", (page,))
    found, real = Bench(tmp_path / "quality.csv"), quality.run_task

    def counted(task: Any, config: Any, run_dir: Path, **options: Any) -> Any:
        found.trained.append(run_dir.name.split("-", 1)[1].rsplit("-", 1)[0])
        if len(found.trained) == found.stop_before:
            raise KeyboardInterrupt
        return real(task, config, run_dir, **options)

    monkeypatch.setattr(quality, "run_task", counted)
    return found


def with_budget(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    changes = {"epochs": epochs, "search_epochs": 2, "kernel_sizes": (3, 5), "dilations": (1, 2, 4)}
    task = TASKS["darcy16"]
    monkeypatch.setitem(TASKS, "darcy16", dataclasses.replace(task, defaults=task.defaults.model_copy(update=changes)))


def test_offline_tasks_need_no_file_of_the_benchmark() -> None:
    names = quality_plan.offline_tasks()
    assert {"mnist5k", "smnist5k", "darcy16", "darcy"} <= set(names) and "cifar100" not in names
    assert set(names) - set(quality_plan.usual_tasks()) == {"darcy", "darcy85"}


def test_methods() -> None:
    assert architectures(PLAIN, LAYERS, CONFIG, 0) == {PLAIN: {}}
    assert [architectures(method, LAYERS, CONFIG, 0) for method in SEARCHES] == [{DASH: None}, {MENDED: None}]
    fixed = architectures(FIXED, LAYERS, CONFIG, 0)
    assert [*fixed] == ["3-1", "3-2", "9-1", "9-2"]
    assert fixed["9-2"] == dict.fromkeys(LAYERS, {"kernel_size": [9, 9], "dilation": [2, 2]})
    many = {f"layer {i}": SPACE.candidates(2) for i in range(200)}
    drawn = [architectures(RANDOM, many, CONFIG, seed)[RANDOM] or {} for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len({json.dumps(one) for one in drawn[0].values()}) == 12  # every candidate was drawn


@pytest.mark.parametrize(
    ("dilations", "two"),
    [
        ((1,), (1,)),
        ((1, 3), (1, 3)),
        ((1, 3, 7), (1, 3)),
        ((15, 7, 3, 1), (1, 3)),
        ((1, 3, 7, 15, 31, 63, 127), (1, 15)),
    ],
)
def test_fixed_pairs_have_the_middle_dilation(dilations: tuple[int, ...], two: tuple[int, ...]) -> None:
    config = RunConfig(kernel_sizes=(7, 3, 5), dilations=dilations)
    assert fixed_choices(config) == [(k, d) for k in (3, 7) for d in two]


def test_a_stop_and_another_call_give_every_row_once(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("--minutes", "0") == 1 and not bench.table.exists()
    bench.stop_before = 4  # within the four of the fixed pairs
    assert bench.run() == 1 and bench.trained == ["0-plain", "0-random", "0-3-1", "0-3-2"]
    assert [*quality_rows.load(bench.table)] == [("darcy16", 0, PLAIN), ("darcy16", 0, RANDOM)]
    assert "3 of 5 rows are missing" in capsys.readouterr().err
    stopped = bench.table.read_text()

    bench.stop_before = 0
    assert bench.run() == 0
    assert bench.trained == ["0-3-2", "0-5-1", "0-5-2", "0-DASH", "0-mended"]
    assert bench.table.read_text().startswith(stopped)  # the file is in order, and these rows as they were
    assert bench.run() == 0 and bench.trained == []
    scores = document.section(bench.table.parent / "page.md", "quality")
    assert "| darcy16, relative L2 ↓ |" in scores and "verdict" not in scores
    page = (bench.table.parent / "page.md").read_text()
    assert page.startswith("before\n<!-- quality -->\n| task") and page.endswith("|\n<!-- end of quality -->\nafter\n")
    check_against_run_folders(bench)


def check_against_run_folders(bench: Bench) -> None:
    """Every figure, and the choice among the fixed pairs by the validation score."""
    rows = quality_rows.load(bench.table)
    assert len(rows) == 5
    for row in rows.values():
        folders = [bench.table.parent / "runs" / name for name in row.folders.split()]
        results = [json.loads((folder / "result.json").read_text()) for folder in folders]
        scores = [next(iter(result["scores"].values())) for result in results]
        best = min(range(len(scores)), key=lambda i: scores[i]["valid"])
        assert (row.test, row.valid) == (scores[best]["test"], scores[best]["valid"])
        kernels = json.loads((folders[best] / "architecture.json").read_text())
        assert len(folders) == (4 if row.method == FIXED else 1) and len(kernels) == (0 if row.method == PLAIN else 13)
        if row.method == FIXED:
            assert {f"{c['kernel_size'][0]}-{c['dilation'][0]}" for c in kernels.values()} == {row.chosen}
        (weights,) = folders[best].glob("*.pt")
        stored = torch.load(weights, weights_only=True)
        assert row.parameters == sum(v.numel() for name, v in stored.items() if name.endswith((".weight", ".bias")))
        records = [json.loads(line) for folder in folders for line in (folder / "log.jsonl").read_text().splitlines()]
        for stage, seconds in (
            *(("search", row.search_seconds), ("retrain", row.train_seconds), ("test", row.test_seconds)),
        ):
            assert seconds == pytest.approx(sum(r["seconds"] for r in records if r["stage"] == stage))
        assert (row.search_seconds > 0) == (row.method in SEARCHES)
        assert "commit: " in row.machine and row.metric == "relative L2" and not row.higher_is_better


def test_rows_with_other_settings_are_noticed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quality_rows.save(bench.table, [dataclasses.replace(ROW, settings=plan(["darcy16"], quality.BUDGET)[0].settings)])
    bench.run("--minutes", "0")
    assert "4 of 5 rows are missing" in capsys.readouterr().err
    with_budget(monkeypatch, epochs=4)
    bench.run("--minutes", "0")
    said = capsys.readouterr().err
    assert "darcy16, seed 0, plain was measured with other settings" in said and "5 of 5 rows are missing" in said


def test_a_network_that_diverges_leaves_the_other_rows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(row: Planned) -> Row:
        if row.method == RANDOM:
            raise TrainingError("the training loss became nan")
        return dataclasses.replace(ROW, seed=row.config.seed, method=row.method, settings=row.settings)

    monkeypatch.setattr(quality, "measure", measure)
    assert bench.run() == 1 and len(quality_rows.load(bench.table)) == 4
    assert "no score  darcy16, seed 0, random: the training loss became nan" in capsys.readouterr().err


def test_time_is_foretold_by_the_rows_most_like_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality_plan, "SEEDS", (0, 1))
    rows = plan(["darcy16"], 1.0)
    took = {row.key: dataclasses.replace(ROW, seed=row.config.seed, method=row.method) for row in rows}

    def done(*numbers: int) -> dict[quality_rows.Key, Row]:
        return {rows[i].key: took[rows[i].key] for i in numbers}

    assert quality.expected_seconds(rows[2], rows, {}) == 0
    assert quality.expected_seconds(rows[2], rows, done(0)) == pytest.approx(4 * ROW.seconds)
    assert quality.expected_seconds(rows[7], rows, done(0, 2)) == pytest.approx(ROW.seconds)


def test_file_of_another_kind_is_not_overwritten(bench: Bench) -> None:
    bench.table.write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit, match="has other columns"):
        bench.run()
    assert bench.table.read_text() == "a,b\n1,2\n"


def test_settings_are_those_of_the_task_at_width_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality_plan, "SEEDS", (0, 1))
    rows = plan(["darcy16"], 1.0)
    assert [row.key for row in rows] == [("darcy16", seed, method) for seed in (0, 1) for method in METHODS]
    for row in rows:
        config = row.config
        assert (config.epochs, config.search_epochs, config.width, config.plain) == (2, 2, 1, False)
    assert len({row.settings for row in rows}) == 10
    for row in rows:
        config = row.config
        its = config.mixture, config.size_penalty, config.depthwise, config.grad_scale
        assert its == (("softmax", 0.0, "never", 10.0) if row.method == MENDED else ("gumbel", 1e-5, "auto", 100.0))
    with_budget(monkeypatch, epochs=200)  # the search has 2
    (config,) = {(row.config.epochs, row.config.search_epochs) for row in plan(["darcy16"], 0.5)}
    assert config == (30, 1)
    assert [row.weight / rows[0].weight for row in rows[:5]] == [1, 1, 4, 2, 2]
    with_budget(monkeypatch, epochs=4)
    monkeypatch.setattr(quality_plan, "LONGER", {"darcy16": 15})
    (config,) = {(row.config.epochs, row.config.search_epochs) for row in plan(["darcy16"], 0.5)}
    assert config == (30, 15)


def test_cheap_tasks_have_three_seeds_before_a_dear_one_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def groups(task: Any, budget: float) -> Any:
        weight = {"mnist5k": 1.0, "smnist5k": 2.5}[task.name]
        for i in range(3):
            row = Planned(task, PLAIN, task.defaults.changed({"seed": i}), {}, weight)
            yield (i + 1) * weight, [row]

    monkeypatch.setattr(quality_plan, "_of_task", groups)
    order = [(row.task.name[0], row.config.seed) for row in plan(["smnist5k", "mnist5k"], 1.0)]
    assert order == [("m", 0), ("m", 1), ("s", 0), ("m", 2), ("s", 1), ("s", 2)]


def methods(higher_is_better: bool = True, **tests: tuple[float, ...]) -> dict[str, list[Row]]:
    """Rows of seeds 0, 1, ... with these test scores by method."""
    names = {"plain": PLAIN, "random": RANDOM, "fixed": FIXED, "dash": DASH}
    row = dataclasses.replace(ROW, higher_is_better=higher_is_better)
    return {
        names[name]: [dataclasses.replace(row, method=names[name], seed=i, test=t) for i, t in enumerate(scores)]
        for name, scores in tests.items()
    }


def test_verdicts() -> None:
    scores = {"plain": (70.0, 72.0, 74.0), "random": (84.0, 86.0, 88.0), "fixed": (91.0, 93.0, 95.0)}
    ours = (85.0, 87.0, 89.0)  # deviations are 2: more than 4 apart are told apart
    told = "DASH: better than plain; not told apart from random; worse than best of 4 fixed"
    assert quality_table.verdict(methods(**scores, dash=ours), DASH) == told
    assert quality_table.best_mean(methods(**scores, dash=ours)) == FIXED
    turned = "DASH: worse than plain; not told apart from random; better than best of 4 fixed"
    assert quality_table.verdict(methods(higher_is_better=False, **scores, dash=ours), DASH) == turned
    assert quality_table.best_mean(methods(higher_is_better=False, **scores, dash=ours)) == PLAIN
    assert quality_table.verdict(methods(**scores, dash=ours), MENDED).startswith("mended: none yet")
    assert quality_table.verdict(methods(**scores, dash=(85.0,)), DASH).startswith("DASH: none yet")


def test_tables_show_means_deviations_and_cost() -> None:
    rows = [row for its in methods(plain=(70.0, 72.0, 74.0), dash=(80.0, 81.0, 85.0)).values() for row in its]
    rows = [dataclasses.replace(row, search_seconds=4.0) if row.method == DASH else row for row in rows]
    rows[0] = dataclasses.replace(rows[0], train_seconds=4.0)
    text = quality_table.markdown(rows, 0.5)
    assert "72.0 ± 2.0" in text and "**82.0 ± 2.6**" in text  # of 80, 81, 85 by hand: 2.646
    (line,) = [line for line in text.splitlines() if line.startswith("| DASH")]
    cells = [cell.strip() for cell in line.split("|")]
    assert cells[4:9] == ["1,000", "4", "8", "2", "2"]  # ratios 3, 1.5, 1.5
    assert text.count("cores: 2; commit: abc") == 1 and "6 rows: " in text


@pytest.mark.parametrize("page", quality.PAGES, ids=lambda page: page.name)
def test_scores_in_the_docs_are_those_of_the_rows(page: Path) -> None:
    """`python -m bench.quality --minutes 0` writes them anew."""
    rows = quality_rows.ordered(quality_rows.load(quality.RESULTS / "quality.csv").values())
    assert document.section(page, "quality") == quality_table.scores_markdown(rows)


def test_tables_of_the_results_are_those_of_the_rows() -> None:
    rows = quality_rows.ordered(quality_rows.load(quality.RESULTS / "quality.csv").values())
    assert (quality.RESULTS / "quality.md").read_text() == quality_table.markdown(rows, quality.BUDGET)


def test_another_budget_has_tables_of_its_own(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "measure", lambda row: dataclasses.replace(ROW, method=row.method))
    before = (bench.table.parent / "page.md").read_text()
    assert bench.run("--budget", "0.25") == 0
    assert (bench.table.parent / "page.md").read_text() == before and not bench.table.exists()
    assert "(0.25 times each task's own, 3.75 times of darcy85" in (bench.table.parent / "quick-quality.md").read_text()


def test_data_that_cannot_be_had_is_told_in_a_sentence(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fetch(names: Any, budget: float) -> Any:
        raise DataError("no such folder")

    monkeypatch.setattr(quality, "plan", fetch)
    assert bench.run() == 1 and "cut off: no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["nothing", "<!-- a -->\n", "<!-- a -->\n<!-- a -->\n<!-- end of a -->\n"])
def test_a_page_without_the_part_is_named(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(SystemExit, match=r"page\.md must have <!-- a --> on a line of its own, and <!-- end of a -->"):
        document.replace(page, "a", "new\n")
    assert page.read_text() == text


def test_digits_are_those_that_the_deviation_leaves() -> None:
    spread = quality_table.spread
    assert [spread(values) for values in ([], [0.017142], [2.0, 2.0])] == ["–", "0.01714", "2 ± 0"]
    assert spread([0.1, 0.107]) == "0.1035 ± 0.0049" and spread([10.0, 32.0]) == "21 ± 16"
    assert spread([0.0, 14.09]) == "7 ± 10" and spread([1000.0, 3000.0]) == "2000 ± 1414"  # of 9.96 and 1414.2
