# SPDX-License-Identifier: BSD-3-Clause
"""The command in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import dash_kernels as dk
from dash_search.cli import main
from dash_search.data.wheels import WheelFile
from dash_search.tasks import TASKS

# The real command, told to expect the digest of the synthetic digits.
LAUNCHER = """
import dataclasses, sys
from dash_search.cli import main
from dash_search.tasks import TASKS
task = TASKS["mnist5k"]
file = dataclasses.replace(task.files[0], sha256={digest!r})
TASKS["mnist5k"] = dataclasses.replace(task, files=(file,))
sys.exit(main())
"""
BUDGET = "search_epochs = 1\nepochs = 2\nkernel_sizes = [3, 5]\ndilations = [1, 3]\nbatch_size = 32\n"


# One thread: with two, processes beside this one make tiny steps wait for each other.
QUIET = {"COLUMNS": "120", "OMP_NUM_THREADS": "1"}


def call(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs Python with these words; the data folder is the one of the moment, which a fixture may have set."""
    environment = {**os.environ, **QUIET}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=300, cwd=cwd, env=environment
    )


def test_tasks() -> None:
    done = call("-m", "dash_search", "tasks")
    assert done.returncode == 0 and done.stdout.startswith("mnist5k  5,000 handwritten digits")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [*TASKS]


def test_help_of_a_run_shows_the_settings_of_the_task(capsys: pytest.CaptureFixture[str]) -> None:
    for words, shown in (([], "search-epochs SEARCH_EPOCHS"), (["smnist5k"], "[1 3 7 15 31 63 127]")):
        assert main(["run", *words, "--help"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        for part in (shown, "--config FILE", "--run-dir DIR", "--resume DIR", "--seed", "--no-plain", "--kernel-sizes"):
            assert part in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"dash-search {dk.__version__}\n"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["run", "chess"], 1, "there is no task 'chess'. Tasks: mnist5k, smnist5k, darcy16"),
        (["run", "--seed", "3", "mnist5k", "--epochs", "0"], 1, "--epochs is '0': input should be greater than"),
        (["run", "mnist5k", "--kernel-sizes", "3", "x"], 1, "--kernel-sizes is 'x': input should be a valid integer"),
        (["run", "mnist5k", "--epoch", "1"], 2, "unrecognized arguments: --epoch 1"),
        (["run", "--kernel-sizes", "3", "mnist5k"], 1, "name a task, and before flags of several values"),
        (["report", "absent"], 1, "absent holds no finished run"),
        (["run", "mnist5k", "--resume", "absent"], 1, "cannot read settings from absent"),
        (["run", "--config", "absent"], 1, "cannot read settings from absent"),
        (["tasks", "--seed", "1"], 2, "unrecognized arguments: --seed 1"),
        (["retrain", "mnist5k"], 1, "name the architecture: dash-search retrain TASK --architecture FILE"),
        (["retrain", "mnist5k", "--architecture", "absent"], 1, "cannot read an architecture from absent"),
        (["run", "mnist5k", "--architecture", "absent"], 2, "unrecognized arguments: --architecture"),
        (["dance"], 2, "invalid choice"),
    ],
)
def test_errors(words: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        got: object = main(words)
    except SystemExit as stop:  # raised by the parsers of the command line
        got = stop.code
    said = capsys.readouterr()
    assert got == status and message in said.err + said.out


def test_errors_in_a_process_have_no_traceback() -> None:
    done = call("-m", "dash_search", "run", "chess")
    assert done.returncode == 1
    assert done.stderr == f"dash-search: there is no task 'chess'. Tasks: {', '.join(TASKS)}.\n"


def test_run_resume_and_report(digits: WheelFile, tmp_path: Path) -> None:
    launcher, settings, folder = tmp_path / "launcher.py", tmp_path / "budget.toml", tmp_path / "run"
    launcher.write_text(LAUNCHER.format(digest=digits.sha256))
    settings.write_text(BUDGET)
    run = [str(launcher), "run", "mnist5k"]
    done = call(*run, "--config", str(settings), "--run-dir", str(folder), "--epochs", "1", "--seed", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    config = json.loads((folder / "config.json").read_text())
    assert (config["epochs"], config["seed"], config["dilations"], config["task"]) == (1, 3, [1, 3], "mnist5k")
    result = json.loads((folder / "result.json").read_text())
    for name in ("searched", "plain"):
        assert f"{result['scores'][name]['test']:.4g}" in done.stdout
    architecture = json.loads((folder / "architecture.json").read_text())
    assert len(architecture) == 13 and all(layer in done.stdout for layer in architecture)
    assert "left in this stage" in done.stdout and "licence" in done.stdout

    again = call(*run, "--config", str(settings), "--run-dir", str(folder))
    assert again.returncode == 1 and "not empty" in again.stderr
    named = call(str(launcher), "run", "--config", str(folder / "config.json"), "--run-dir", str(folder))
    assert named.returncode == 1 and "not empty" in named.stderr  # the file names the task
    resumed = call(str(launcher), "run", "--resume", str(folder))
    assert resumed.returncode == 0, resumed.stderr
    shown = call("-m", "dash_search", "report", str(folder))
    assert shown.returncode == 0 and shown.stdout in resumed.stdout and "Kernels chosen" in shown.stdout
    assert json.loads((folder / "result.json").read_text())["scores"] == result["scores"]

    second = tmp_path / "second"
    retrain = [str(launcher), "retrain", "mnist5k", "--architecture", str(folder / "architecture.json")]
    done = call(*retrain, "--config", str(settings), "--run-dir", str(second), "--no-plain")
    assert done.returncode == 0, done.stderr
    assert "Kernels chosen" in done.stdout and "search supernet" not in done.stdout
    assert json.loads((second / "architecture.json").read_text()) == architecture
    assert set(json.loads((second / "result.json").read_text())["scores"]) == {"given"}
    resumed = call(str(launcher), "retrain", "--resume", str(second))
    assert resumed.returncode == 0, resumed.stderr
    searched = call(str(launcher), "run", "--resume", str(second))
    assert searched.returncode == 1 and "was given its architecture: dash-search retrain" in searched.stderr


def test_ctrl_c_leaves_a_consistent_folder(digits: WheelFile, tmp_path: Path) -> None:
    launcher, settings, folder = tmp_path / "launcher.py", tmp_path / "budget.toml", tmp_path / "my run"
    launcher.write_text(LAUNCHER.format(digest=digits.sha256))
    settings.write_text(BUDGET)
    command = [sys.executable, str(launcher), "run", "mnist5k", "--config", str(settings), "--run-dir", str(folder)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": {**os.environ, **QUIET}}
    # a test run in the background of a shell ignores Ctrl-C, and so would its children
    pipes["preexec_fn"] = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    running = subprocess.Popen([*command, "--epochs", "500"], text=True, **pipes)
    try:
        assert running.stdout is not None
        for line in running.stdout:
            if "retrain searched   1/500" in line:
                break
        running.send_signal(signal.SIGINT)
        rest, errors = running.communicate(timeout=120)
    finally:
        running.kill()
    assert running.returncode == 130, errors
    assert f"Go on with: dash-search run --resume '{folder}'" in errors and "Traceback" not in errors + rest
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    for stage in ("search-supernet", "retrain-searched"):
        checkpoint = torch.load(folder / "checkpoints" / f"{stage}.pt", weights_only=True)
        epochs = [r["epoch"] for r in records if f"{r['stage']}-{r['network']}" == stage]
        assert checkpoint["epoch"] == max(epochs)
    assert not (folder / "result.json").exists()
    other = call(str(launcher), "run", "mnist5k", "--resume", str(folder), "--epochs", "2")
    assert other.returncode == 1 and "epochs was 500, now 2" in other.stderr


def test_ctrl_c_before_a_run_has_begun_gives_no_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(file: WheelFile, say: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(WheelFile, "fetch", stop)
    assert main(["run", "darcy16"]) == 130
    said = capsys.readouterr()
    assert said.err == "\ndash-search: stopped\n" and said.out.count("data: ") == 1
    (tmp_path / "config.json").write_text("{}")
    assert main(["run", "darcy16", "--run-dir", str(tmp_path)]) == 130  # the folder holds another run
    assert capsys.readouterr().err == "\ndash-search: stopped\n"


def test_closed_output_is_told(tmp_path: Path) -> None:
    command = f"{sys.executable} -m dash_search tasks 2> errors | true"
    for _ in range(3):  # the reader may be slow to go
        subprocess.run(["bash", "-c", f"({sys.executable} -c 'import time; time.sleep(1)'; {command})"], cwd=tmp_path)
        if (tmp_path / "errors").read_text():
            break
    assert (tmp_path / "errors").read_text() == "dash-search: stopped, because nothing reads its output any more\n"
