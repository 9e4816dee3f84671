# SPDX-License-Identifier: BSD-3-Clause
"""The choice of an engine: who goes before whom, what is said when nobody can, and what ``explain`` shows of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import dash_kernels as dk
from dash_kernels import engines as package_function
from dash_kernels.engines import MixProblem, Problem, choose, registry, resolve
from dash_kernels.engines.reference import ReferenceEngine

SPACE = dk.SearchSpace((3,), (1, 2))
CONV = Problem("tap_conv", "cpu", torch.float32, 2, 3, 4, 1, (5,), (5,), (1,), (0, 1), False)
MIX = MixProblem("mix_taps", "cpu", torch.float32, 12, 6, 5, 2)
OPERATORS = ("tap_conv", "tap_conv_input_grad", "tap_conv_weight_grad", "mix_taps", "gather_taps", "mixture_grad")


class Spy(ReferenceEngine):
    """The reference under another name; notes what it computes and refuses what it is told to refuse."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[str] = []
        self.missing: str | None = None
        self.refused: dict[str, str] = {}
        self.seconds: float | None = None
        for operator in OPERATORS:
            setattr(self, operator, self._noting(operator))

    def _noting(self, operator: str) -> Callable[..., Tensor]:
        compute = getattr(ReferenceEngine, operator)

        def run(*args: Any) -> Tensor:
            self.calls.append(operator)
            result: Tensor = compute(*args)
            return result

        return run

    def available(self, device_type: str | None = None) -> str | None:
        return self.missing

    def can_run(self, problem: Problem | MixProblem) -> str | None:
        return self.refused.get(problem.operator)

    def predict(self, problem: Problem | MixProblem) -> float | None:
        return self.seconds


@pytest.fixture
def spies(monkeypatch: pytest.MonkeyPatch) -> tuple[Spy, Spy]:
    """Two engines, the first preferred, with the reference behind them."""
    found = (Spy("one"), Spy("two"))
    everyone = (*found, ReferenceEngine())
    monkeypatch.setattr(registry, "ENGINES", everyone)
    monkeypatch.setattr(registry, "_BY_NAME", {engine.name: engine for engine in everyone})
    monkeypatch.setattr(registry, "_logged", set())
    for variable in ("DASH_KERNELS_ENGINE", "DASH_KERNELS_STRICT"):
        monkeypatch.delenv(variable, raising=False)
    return found


def conv(x: Tensor, engine: str = "auto") -> Tensor:
    return dk.functional.tap_conv(x, torch.ones(1, 1, 2), (0, 1), engine=engine)


X = torch.arange(4.0).view(1, 1, 4)


def test_the_first_that_can_is_chosen(spies: tuple[Spy, Spy]) -> None:
    one, two = spies
    assert choose(CONV) is one
    one.refused["tap_conv"] = "it is tired"
    assert choose(CONV) is two and choose(MIX) is one
    two.missing = "it is not compiled"
    assert choose(CONV).name == "reference"


def test_the_fastest_is_chosen_where_the_first_knows_its_time(spies: tuple[Spy, Spy]) -> None:
    one, two = spies
    two.seconds = 1.0
    assert choose(CONV) is one, "nobody knows how long the first one takes"
    one.seconds = 2.0
    assert choose(CONV) is two
    assert choose(CONV, "one") is one
    one.seconds = 1.0
    assert choose(CONV) is one, "order of preference decides between equals"
    two.seconds, one.refused["tap_conv"] = None, "it is tired"
    assert choose(CONV) is two, "before the reference"


def test_engines_tells_what_is_missing(spies: tuple[Spy, Spy]) -> None:
    spies[0].missing = "it is not compiled"
    assert dk.engines() == {"one": "it is not compiled", "two": None, "reference": None}
    assert list(package_function()) == ["one", "two", "reference"]


def test_argument_before_scope_before_environment(spies: tuple[Spy, Spy], monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve("auto") == "auto"
    monkeypatch.setenv("DASH_KERNELS_ENGINE", "two")
    assert resolve("auto") == "two"
    with dk.use_engine("one"):
        assert resolve("auto") == "one"
        assert resolve("reference") == "reference"
        with dk.use_engine("reference"):
            assert resolve("auto") == "reference"
        with dk.use_engine("auto"):
            assert resolve("auto") == "auto"
        assert resolve("auto") == "one"
    assert resolve("auto") == "two"
    monkeypatch.setenv("DASH_KERNELS_ENGINE", "")
    assert resolve("auto") == "auto"


def test_scope_ends_with_an_error_and_wraps_functions(spies: tuple[Spy, Spy]) -> None:
    with pytest.raises(KeyError), dk.use_engine("two"):
        raise KeyError
    assert resolve("auto") == "auto"
    assert dk.use_engine("two")(lambda: resolve("auto"))() == "two"


def test_each_scope_leaves_its_own(spies: tuple[Spy, Spy]) -> None:
    """Two generators that end in the order in which they began."""

    def computing(name: str) -> Any:
        with dk.use_engine(name):
            yield resolve("auto")
            yield resolve("auto")

    one, two = computing("one"), computing("two")
    assert (next(one), next(two)) == ("one", "two")
    one.close()
    assert next(two) == "two"
    two.close()
    assert resolve("auto") == "auto"


def test_scope_belongs_to_its_thread(spies: tuple[Spy, Spy]) -> None:
    seen = []
    with dk.use_engine("two"):
        thread = threading.Thread(target=lambda: seen.append(resolve("auto")))
        thread.start()
        thread.join()
    assert seen == ["auto"]


@pytest.mark.parametrize("origin", ["argument", "scope", "environment"])
def test_unknown_names_are_told_with_the_known(
    origin: str, spies: tuple[Spy, Spy], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="'fuorier' is not an engine: use one of auto, one, two, reference"):
        if origin == "argument":
            conv(X, engine="fuorier")
        elif origin == "scope":
            dk.use_engine("fuorier")
        else:
            monkeypatch.setenv("DASH_KERNELS_ENGINE", "fuorier")
            conv(X)


def test_an_engine_asked_for_that_cannot_says_why(spies: tuple[Spy, Spy]) -> None:
    spies[0].refused["tap_conv"] = "it is tired"
    for engine, scope in (("one", "auto"), ("auto", "one")):
        with pytest.raises(ValueError, match=r'engine "one" cannot run Problem.*it is tired.*that can: two, reference'):
            with dk.use_engine(scope):
                conv(X, engine)


def test_gradients_use_the_engine_of_the_forward(spies: tuple[Spy, Spy]) -> None:
    """Also when the block is left, and in whichever thread autograd computes them."""
    one, two = spies
    x, mixture = torch.randn(1, 1, 6, requires_grad=True), torch.randn(2, requires_grad=True)
    weight = torch.randn(1, 1, 6, requires_grad=True)
    with dk.use_engine("two"):
        y = dk.functional.mixed_conv(x, weight, mixture, SPACE)
    thread = threading.Thread(target=y.backward, args=(torch.randn_like(y),))
    thread.start()
    thread.join()
    assert sorted(two.calls) == sorted(OPERATORS) and not one.calls


def test_a_scope_around_the_backward_pass_changes_nothing(spies: tuple[Spy, Spy]) -> None:
    one, two = spies
    weight, mixture = torch.randn(1, 1, 6, requires_grad=True), torch.randn(2, requires_grad=True)
    for _ in range(2):
        y = dk.functional.mixed_conv(X, weight, mixture, SPACE)
        with dk.use_engine("two"):
            y.sum().backward()
    assert not two.calls and one.calls.count("mixture_grad") == 2


def test_each_operator_chooses_for_itself(spies: tuple[Spy, Spy]) -> None:
    one, two = spies
    one.refused["tap_conv_weight_grad"] = "it cannot count"
    x, taps = torch.randn(1, 1, 6, requires_grad=True), torch.randn(1, 1, 2, requires_grad=True)
    dk.functional.tap_conv(x, taps, (0, 1)).sum().backward()
    assert (one.calls, two.calls) == (["tap_conv", "tap_conv_input_grad"], ["tap_conv_weight_grad"])


def test_gradients_of_mixing_on_two_engines(spies: tuple[Spy, Spy]) -> None:
    one, two = spies
    two.refused["gather_taps"] = one.refused["mixture_grad"] = "it is tired"
    weight, mixture = torch.randn(1, 1, 6, requires_grad=True), torch.randn(2, requires_grad=True)
    dk.functional.mixed_conv(X, weight, mixture, SPACE).sum().backward()
    assert one.calls[-1] == "gather_taps" and two.calls == ["mixture_grad"]


def test_falling_back_is_logged_once(spies: tuple[Spy, Spy], caplog: pytest.LogCaptureFixture) -> None:
    spies[0].missing, spies[1].refused["tap_conv"] = "it is not compiled", "it is tired"
    with caplog.at_level(logging.INFO, logger="dash_kernels"):
        conv(X)
        conv(torch.randn(2, 1, 9))
        conv(X, engine="reference")
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "one: it is not compiled; two: it is tired" in record.getMessage()


def test_strict_forbids_falling_back_but_not_asking(spies: tuple[Spy, Spy], monkeypatch: pytest.MonkeyPatch) -> None:
    for spy in spies:
        spy.missing = "it is not compiled"
    layer = dk.MixedConv1d(1, 1, kernel_sizes=(3,), dilations=(1,))
    assert conv(X).shape == layer(X).shape == X.shape
    monkeypatch.setenv("DASH_KERNELS_STRICT", "1")
    for call in (conv, layer):
        with pytest.raises(RuntimeError, match='one: it is not compiled.*DASH_KERNELS_STRICT=1.*engine="reference"'):
            call(X)
    assert conv(X, engine="reference").shape == X.shape
    with dk.use_engine("reference"):
        assert conv(X).shape == X.shape


def test_strict_is_content_where_another_engine_can(spies: tuple[Spy, Spy], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASH_KERNELS_STRICT", "1")
    conv(X)
    assert spies[0].calls == ["tap_conv"]


def test_explain_has_a_row_per_pass_and_engine(spies: tuple[Spy, Spy]) -> None:
    one, _ = spies
    one.refused["tap_conv_weight_grad"] = "it cannot count"
    layer = dk.MixedConv2d(4, 6, kernel_sizes=(3, 5), dilations=(1, 2), groups=2, stride=2)
    report = dk.explain(layer, (7, 4, 9, 8))
    chosen = {row.stage: row.engine for row in report.rows if row.chosen}
    assert chosen == {
        "mix_taps": "one",
        "forward": "one",
        "input_grad": "one",
        "weight_grad": "two",
        "gather_taps": "one",
        "mixture_grad": "one",
    }
    reasons = {row.engine: row.reason for row in report.rows if row.stage == "weight_grad"}
    assert reasons == {"one": "it cannot count", "two": "goes first", "reference": "it can, but two goes before"}
    problem = next(row.problem for row in report.rows if row.stage == "forward")
    assert isinstance(problem, Problem)
    assert (problem.batch, problem.in_channels, problem.out_channels, problem.groups) == (7, 4, 6, 2)
    assert (problem.input_size, problem.out_size, problem.stride) == ((9, 8), (5, 4), (2, 2))
    table = str(report).splitlines()
    assert table[0].split() == ["pass", "engine", "model", "ms", "MB", "choice"]
    assert len(table) == len(report.rows) + 2
    assert not one.calls, "explaining computes nothing"
    assert all(row.measured is None and row.predicted is None for row in report.rows)


def test_explain_counts_in_what_is_asked_for(spies: tuple[Spy, Spy], monkeypatch: pytest.MonkeyPatch) -> None:
    spies[1].refused["mix_taps"] = "it is tired"
    layer = dk.MixedConv1d(2, 2, kernel_sizes=(3,), dilations=(1,), engine="two")
    rows = [row for row in dk.explain(layer, (1, 2, 5)).rows if row.stage == "mix_taps"]
    assert [row.chosen for row in rows] == [False] * 3
    assert [row.reason for row in rows] == [
        "it can, but two was asked for",
        "it is tired",
        "it can, but two was asked for",
    ]
    for spy in spies:
        spy.missing = "it is not compiled"
    monkeypatch.setenv("DASH_KERNELS_STRICT", "1")
    layer = dk.MixedConv1d(2, 2, kernel_sizes=(3,), dilations=(1,))
    chosen = [row for row in dk.explain(layer, (1, 2, 5)).rows if row.chosen]
    assert {(row.engine, row.reason) for row in chosen} == {("reference", "no other engine can")}
    with dk.use_engine("reference"):
        chosen = [row for row in dk.explain(layer, (1, 2, 5)).rows if row.chosen]
    assert {(row.engine, row.reason) for row in chosen} == {("reference", "it was asked for")}


def test_explain_measures_every_engine_that_can(spies: tuple[Spy, Spy]) -> None:
    one, two = spies
    one.refused["tap_conv_weight_grad"] = "it cannot count"
    layer = dk.MixedConv2d(4, 6, kernel_sizes=(3, 5), dilations=(1, 2), groups=2, stride=2)
    before = torch.get_rng_state()
    report = dk.explain(layer, (7, 4, 9, 8), measure=True)
    assert torch.equal(before, torch.get_rng_state())
    for row in report.rows:
        able = row.engine != "one" or row.stage != "weight_grad"
        assert (row.measured is not None and row.measured > 0) == able
    operators = {"mix_taps", "tap_conv", "tap_conv_input_grad", "tap_conv_weight_grad", "gather_taps", "mixture_grad"}
    assert set(two.calls) == operators and set(one.calls) == operators - {"tap_conv_weight_grad"}
    lines = str(report).splitlines()
    assert lines[0].split() == ["pass", "engine", "model", "ms", "ms", "MB", "choice"]
    assert lines[-1].endswith(f"threads: {torch.get_num_threads()}")
    assert max(map(len, lines)) < 110


def test_explain_leaves_the_layer_as_it_was(spies: tuple[Spy, Spy]) -> None:
    layer = dk.MixedConv1d(2, 2, kernel_sizes=(3,), dilations=(1, 2))
    layer.weight.requires_grad_(False)
    before = torch.get_rng_state()
    stages = {row.stage for row in dk.explain(layer, (2, 5)).rows}
    assert stages == {"mix_taps", "forward", "input_grad", "weight_grad", "mixture_grad"}
    assert torch.equal(before, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in layer.parameters())


def test_explain_takes_one_layer_of_ours() -> None:
    layer = dk.MixedConv1d(2, 2, kernel_sizes=(3,), dilations=(1,))
    for other in (torch.nn.Conv1d(2, 2, 3), torch.nn.Sequential(layer, layer)):
        with pytest.raises(TypeError, match="give one mixed convolution"):
            dk.predict_time(other, (1, 2, 5))
    with torch.inference_mode():
        assert {row.stage for row in dk.explain(layer, (1, 2, 5)).rows} >= {"forward", "weight_grad"}
    with pytest.raises(ValueError, match="3"):
        dk.explain(dk.MixedConv1d(2, 2, kernel_sizes=(3,), dilations=(1,)), (1, 3, 5))
