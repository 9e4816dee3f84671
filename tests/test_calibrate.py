# SPDX-License-Identifier: BSD-3-Clause
"""Calibration: constants are found again from times, kept in a file, and taken from it on this machine alone."""

from __future__ import annotations

import itertools
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import dash_kernels as dk
from dash_kernels import _env
from dash_kernels._load import LOAD
from dash_kernels.calibrate import Trial, __main__, fit
from dash_kernels.calibrate.problems import PROBLEMS
from dash_kernels.calibrate.trials import FOURIER, OPERATORS
from dash_kernels.engines import MixProblem, calibration, cost
from dash_kernels.engines import trial as timing
from dash_kernels.engines.torch_cost import torch_work
from dash_kernels.engines.trial import TimedCall, engine_call

compiled = pytest.mark.skipif(LOAD.error is not None, reason=str(LOAD.error))
TRUE = {
    name: {thing: 3 * time * (1 + i % 3) for i, (thing, time) in enumerate(times.items())}
    for name, times in calibration.SHIPPED.items()
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache" / "calibration.json"
    monkeypatch.setenv("DASH_KERNELS_CALIBRATION", str(path))
    return path


def timed(problem: Any, operator: str) -> Trial:
    """As if everything took what TRUE says."""
    trial = Trial(operator, *problem)
    asked = trial.problem
    return Trial(
        operator,
        *problem,
        fourier=0.0 if asked.ndim > 2 else 1e3 * cost.seconds(FOURIER.work(asked), TRUE["FOURIER"]),
        direct=1e3 * cost.seconds(cost.direct_work(asked), TRUE["DIRECT"]),
        torch=1e3 * cost.seconds(torch_work(asked), TRUE["TORCH"]) if trial.regular else 0.0,
    )


def test_constants_are_found_again_from_times() -> None:
    trials = [timed(problem, operator) for problem in PROBLEMS for operator in OPERATORS]
    found = fit(trials)
    for name, times in TRUE.items():
        assert found[name] == pytest.approx(times, rel=1e-3)


def test_what_no_trial_tells_stays_as_fast_as_the_rest() -> None:
    found = fit([timed(problem, operator) for problem in PROBLEMS[:4] for operator in OPERATORS], calibration.SHIPPED)
    for name, shipped in calibration.SHIPPED.items():
        assert set(found[name]) == set(shipped)
        assert all(0.5 < found[name][thing] / time < 20 for thing, time in shipped.items()), name
    pages = [found[name]["page"] / calibration.SHIPPED[name]["page"] for name in found]  # none of the first has any
    assert all(2 < ratio < 10 for ratio in pages)


def test_the_times_of_a_calibration_determine_every_constant() -> None:
    trials = [timed(problem, operator) for problem in PROBLEMS for operator in OPERATORS]
    assert {trial.problem.ndim for trial in trials} == {1, 2, 3}
    done = dict.fromkeys(calibration.SHIPPED["TORCH"], 0.0)
    for trial in trials:
        if trial.regular:
            done = {thing: done[thing] + count for thing, count in torch_work(trial.problem).items()}
    assert all(done.values()), done


def test_what_is_timed_comes_after_a_small_call_and_out_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def emptied(swept: torch.Tensor) -> None:
        assert swept.nbytes == timing.SWEPT and swept.device.type == "cpu"
        calls.append("emptied")

    def timed(name: str) -> TimedCall:
        return TimedCall(lambda: calls.append(name), lambda: calls.append(f"small {name}"))

    monkeypatch.setattr(timing, "_empty_caches", emptied)
    ticks = itertools.count()
    with torch.device("meta"):
        seconds = timing.in_turns([timed("a"), timed("b")], clock=lambda: 1e-3 * next(ticks))
    assert calls == ["emptied", "small a", "a", "emptied", "small b", "b"] * (1 + timing.TURNS)
    assert seconds == pytest.approx([1e-3, 1e-3])


@compiled
def test_a_small_call_is_of_one_sample_or_row() -> None:
    problem = Trial("tap_conv", *PROBLEMS[1]).problem
    mix = MixProblem("mix_taps", "cpu", torch.float32, 12, 6, 5, 2)
    for timed, rows in ((engine_call(FOURIER, problem), problem.batch), (engine_call(FOURIER, mix), 12)):
        large, small = timed.call(), timed.small()
        assert isinstance(large, torch.Tensor) and isinstance(small, torch.Tensor)
        assert rows in large.shape
        assert [n for n in small.shape if n != 1] == [n for n in large.shape if n not in (1, rows)]
    for few in (replace(problem, batch=1), replace(problem, batch=0), replace(mix, rows=1)):
        once = engine_call(FOURIER, few)
        assert once.small is once.call


def test_a_file_is_taken_on_the_machine_that_wrote_it(file: Path) -> None:
    calibration.write(file, TRUE)
    assert calibration.constants("DIRECT") == pytest.approx(TRUE["DIRECT"], rel=1e-3)
    assert calibration.in_force().origin == f"measured ({file})"
    problem = Trial("tap_conv", *PROBLEMS[0]).problem
    assert FOURIER.predict(problem) == pytest.approx(cost.seconds(FOURIER.work(problem), TRUE["FOURIER"]), rel=1e-3)
    assert list(file.parent.iterdir()) == [file]


def test_without_a_file_the_shipped_constants_are_in_force(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert calibration.in_force().constants == calibration.SHIPPED
    assert "python -m dash_kernels.calibrate measures this machine's" in calibration.in_force().origin
    calibration.in_force.cache_clear()
    calibration.write(file, TRUE)
    monkeypatch.setenv("DASH_KERNELS_CALIBRATION", "0")
    assert calibration.in_force().constants == calibration.SHIPPED
    assert not caplog.records


@pytest.mark.parametrize("fact", ["processor", "instruction set", "torch", "dash_kernels"])
def test_a_file_from_elsewhere_is_refused(fact: str, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    calibration.write(file, TRUE)
    data = json.loads(file.read_text())
    here, data["machine"][fact] = data["machine"][fact], "another"
    file.write_text(json.dumps(data))
    assert calibration.in_force().constants == calibration.SHIPPED
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert f"it was measured elsewhere: {fact} another, here {here}" in message and str(file) in message
    assert "Run python -m dash_kernels.calibrate again, or delete the file" in message


def changed(change: Callable[[Any], None]) -> bytes:
    data = {"machine": calibration.facts(), "nanoseconds": {n: dict(times) for n, times in TRUE.items()}}
    change(data)
    return json.dumps(data).encode()


DAMAGED: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "no JSON": lambda: b'{"machine": ',
    "no text": lambda: b"\xff\xfe\x00",
    "a list": lambda: b"[1, 2]",
    "a number": lambda: b"3",
    "deep": lambda: b"[" * 100_000,
    "no machine": lambda: changed(lambda data: data.pop("machine")),
    "a machine that is a list": lambda: changed(lambda data: data.update(machine=["x"])),
    "no constants": lambda: changed(lambda data: data.pop("nanoseconds")),
    "one engine": lambda: changed(lambda data: data["nanoseconds"].pop("TORCH")),
    "one thing less": lambda: changed(lambda data: data["nanoseconds"]["TORCH"].pop("page")),
    "one thing more": lambda: changed(lambda data: data["nanoseconds"]["TORCH"].update(tea=1.0)),
    "things without times": lambda: changed(lambda data: data["nanoseconds"].update(TORCH=list(TRUE["TORCH"]))),
    "a negative time": lambda: changed(lambda data: data["nanoseconds"]["TORCH"].update(page=-1.0)),
    "no number": lambda: changed(lambda data: data["nanoseconds"]["TORCH"].update(page="1")),
    "not a number": lambda: changed(lambda data: data["nanoseconds"]["TORCH"].update(page=float("nan"))),
    "infinite": lambda: changed(lambda data: data["nanoseconds"]["TORCH"].update(page=float("inf"))),
    "a huge number": lambda: changed(lambda data: data["nanoseconds"]["TORCH"].update(page=10**400)),
    "zeros": lambda: changed(lambda data: data["nanoseconds"].update(TORCH=dict.fromkeys(TRUE["TORCH"], 0))),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_left_alone(name: str, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.parent.mkdir()
    content = DAMAGED[name]()
    file.write_bytes(content)
    assert calibration.in_force().constants == calibration.SHIPPED
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and "cannot be used" in record.getMessage()
    assert file.read_bytes() == content


def test_a_folder_in_its_place_is_left_alone(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.mkdir(parents=True)
    assert calibration.in_force().constants == calibration.SHIPPED
    assert len(caplog.records) == 1


def test_a_damaged_file_does_not_break_an_import(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("damaged")
    code = "import sys, dash_kernels; print('dash_kernels.calibrate' in sys.modules)"
    ran = subprocess.run((sys.executable, "-W", "error", "-c", code), env=os.environ, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, "False", "")


def test_where_the_file_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASH_KERNELS_CALIBRATION")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert _env.calibration() == Path("/somewhere/dash_kernels/calibration.json")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which freedesktop.org says to ignore
    monkeypatch.setenv("HOME", "/home/me")
    assert _env.calibration() == Path("/home/me/.cache/dash_kernels/calibration.json")
    monkeypatch.setenv("DASH_KERNELS_CALIBRATION", "/a/file")
    assert _env.calibration() == Path("/a/file")
    monkeypatch.setenv("DASH_KERNELS_CALIBRATION", "0")
    assert _env.calibration() is None
    monkeypatch.setenv("DASH_KERNELS_CALIBRATION", "a/file")
    with pytest.raises(
        ValueError, match="DASH_KERNELS_CALIBRATION='a/file': set it to the absolute path of a file, to 0"
    ):
        _env.calibration()


@compiled
def test_the_command(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["calibrate"])
    monkeypatch.setattr(__main__, "PROBLEMS", PROBLEMS[:1] + PROBLEMS[19:20])
    threads = torch.get_num_threads()
    assert __main__.main() == 0
    assert torch.get_num_threads() == threads
    printed = capsys.readouterr().out
    assert f"written to {file}" in printed and "measured 6 passes on one thread" in printed
    assert calibration.in_force().origin == f"measured ({file})"
    assert dk.predict_time(dk.MixedConv1d(2, 2, kernel_sizes=(3,), dilations=(1,)), (1, 2, 9))["forward"]["direct"] > 0


@compiled
def test_a_slow_machine_stops_early(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["calibrate"])
    monkeypatch.setattr(__main__, "PROBLEMS", (PROBLEMS[0],) * 3)
    clock = iter(range(0, 10_000, 59))
    monkeypatch.setattr(__main__.time, "monotonic", lambda: next(clock))
    assert __main__.main() == 0
    assert "slow machine: 1 of 3 layers measured in 60 s" in capsys.readouterr().out
    assert file.is_file()


def test_the_command_refuses_what_it_cannot_do(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["calibrate", "--now"])
    with pytest.raises(SystemExit, match="takes no arguments" if LOAD.error is None else "nothing to calibrate"):
        __main__.main()
    monkeypatch.setattr(sys, "argv", ["calibrate"])
    monkeypatch.setenv("DASH_KERNELS_CALIBRATION", "0")
    with pytest.raises(SystemExit, match="asks for the shipped constants" if LOAD.error is None else "nothing to"):
        __main__.main()
    assert not file.exists()


@pytest.mark.parametrize("place", ["a file/calibration.json", "a folder"])
def test_a_place_that_cannot_be_written_is_told_before_measuring(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("")
    (tmp_path / "a folder").mkdir()
    monkeypatch.setenv("DASH_KERNELS_CALIBRATION", str(tmp_path / place))
    monkeypatch.setattr(sys, "argv", ["calibrate"])
    monkeypatch.setattr(__main__, "_measure", lambda: pytest.fail("it measured"))
    with pytest.raises(SystemExit, match="cannot be written"):
        __main__.main()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a file", "a folder"]
