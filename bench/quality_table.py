# SPDX-License-Identifier: BSD-3-Clause
"""The rows of the quality benchmark as markdown: scores, costs, and for each task which method is ahead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev

from .quality_plan import LONGER, MOST_EPOCHS
from .quality_rows import BASELINES, METHODS, PLAIN, SEARCHES, Row
from .tables import render
from .targets import number

HEAD = """\
Kernel sizes and dilations chosen in five ways, everything else alike: networks of width 1, the same epochs of
training ({budget:g} times each task's own{longer}, at most {most}; the search, where there is one, comes on top),
weights kept by the validation part, one look at the test part. "plain" is the unchanged backbone; "random" draws a
pair for each layer from the search space; "best of 4 fixed" trains four networks with one pair in all layers (the
least and the largest kernel size, each with the least and the middle dilation) and keeps the one that validates best;
"DASH" searches as DASH does, "mended" without noise, without size penalty, in dense layers, and with ten times larger
steps of the logits (docs/search.md tells why). Mean ± standard deviation over the seeds; the best mean is bold. Two
methods are told apart where their means differ by more than both deviations together.
"""
COMMAND = 'Command: `make bench-quality`, for darcy85 `make bench-quality BENCH="--task darcy85"`.\n'
Methods = Mapping[str, Sequence[Row]]


def markdown(rows: Sequence[Row], budget: float) -> str:
    """All tables, and what was measured where."""
    tasks = _by_task(rows)
    longer = "".join(f", {budget * factor:g} times of {task}" for task, factor in LONGER.items())
    head = HEAD.format(budget=budget, longer=longer, most=MOST_EPOCHS)
    parts = ["# Quality: does the search help?\n", head, render(overview(tasks))]
    for task, methods in tasks.items():
        parts += [f"## {task}\n", render(details(methods))]
    machines = dict.fromkeys(row.machine for row in rows)
    parts += [f"{sum(row.machine == one for row in rows)} rows: {one}.\n" for one in machines]
    return "\n".join([*parts, COMMAND])


def scores_markdown(rows: Sequence[Row]) -> str:
    """The scores alone."""
    return render(scores(_by_task(rows)))


def _by_task(rows: Sequence[Row]) -> dict[str, Methods]:
    return {task: _by_method(rows, task) for task in dict.fromkeys(row.task for row in rows)}


def _by_method(rows: Sequence[Row], task: str) -> Methods:
    found = {m: [row for row in rows if (row.task, row.method) == (task, m)] for m in METHODS}
    return {method: its for method, its in found.items() if its}


def overview(tasks: Mapping[str, Methods]) -> list[list[str]]:
    """A line per task: the score of each method, and what that says of those that search."""
    said = [". ".join(verdict(methods, method) for method in SEARCHES) for methods in tasks.values()]
    return [[*line, last] for line, last in zip(scores(tasks), ["verdict", *said], strict=True)]


def scores(tasks: Mapping[str, Methods]) -> list[list[str]]:
    """A line per task: the score of each method."""
    lines = [["task, test score", *METHODS, "seeds"]]
    for task, methods in tasks.items():
        first = next(iter(methods.values()))[0]
        name = f"{task}, {first.metric} {'↑' if first.higher_is_better else '↓'}"
        best = best_mean(methods)
        cells = [spread([row.test for row in methods.get(m, ())]) for m in METHODS]
        cells = [f"**{cell}**" if m == best else cell for m, cell in zip(METHODS, cells, strict=True)]
        seeds = sorted({len(its) for its in methods.values()})
        lines.append([name, *cells, "–".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))])
    return lines


def best_mean(methods: Methods) -> str:
    """The method with the best mean score, the first of equals."""
    sign = 1 if next(iter(methods.values()))[0].higher_is_better else -1
    return max(methods, key=lambda method: sign * mean(row.test for row in methods[method]))


def verdict(methods: Methods, search: str) -> str:
    """What the scores say of a method that searches beside each one that does not."""
    if any(len(methods.get(method, ())) < 2 for method in (search, *BASELINES)):
        return f"{search}: none yet, every method needs two seeds"
    said: dict[str, list[str]] = {}
    for method in BASELINES:
        said.setdefault(compared(methods[search], methods[method]), []).append(method)
    return f"{search}: " + "; ".join(f"{how} {', '.join(others)}" for how, others in said.items())


def compared(one: Sequence[Row], other: Sequence[Row]) -> str:
    """Whether a method's scores are better than another's, by more than both standard deviations together."""
    tests = [[row.test for row in rows] for rows in (one, other)]
    ahead = (mean(tests[0]) - mean(tests[1])) * (1 if one[0].higher_is_better else -1)
    if abs(ahead) <= sum(map(stdev, tests)):
        return "not told apart from"
    return "better than" if ahead > 0 else "worse than"


def details(methods: Methods) -> list[list[str]]:
    """A line per method of one task: both scores, size, time of each stage, and cost beside plain training."""
    names = ["test", "validation", "parameters", "search, s", "training, s", "test, s", "(search + training) ÷ plain"]
    lines = [["method", *names, "chosen, by seed"]]
    plain = {row.seed: row.train_seconds for row in methods.get(PLAIN, ())}
    for method, rows in methods.items():
        both = [spread([row.test for row in rows]), spread([row.valid for row in rows])]
        times = [[row.search_seconds for row in rows], [row.train_seconds for row in rows]]
        ratios = [(r.search_seconds + r.train_seconds) / plain[r.seed] for r in rows if r.seed in plain]
        cells = [f"{mean(row.parameters for row in rows):,.0f}", *(number(mean(taken)) for taken in times)]
        cells += [number(mean(row.test_seconds for row in rows)), number(mean(ratios)) if ratios else "–"]
        lines.append([method, *both, *cells, ", ".join(row.chosen for row in rows if row.chosen)])
    return lines


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation, to two digits of it or to whole numbers; one value alone has none."""
    if len(values) < 2:
        return f"{values[0]:.4g}" if values else "–"
    deviation = stdev(values)
    if deviation == 0:
        return f"{mean(values):.4g} ± 0"
    decimals = max(0, 1 - int(f"{deviation:.1e}".partition("e")[2]))
    return f"{mean(values):.{decimals}f} ± {deviation:.{decimals}f}"
