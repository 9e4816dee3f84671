# SPDX-License-Identifier: BSD-3-Clause
"""The examples run as their users run them: as programs."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name, *arguments):
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"search_monai_densenet.py", "search_monai_segresnet.py"}


needs_monai = pytest.mark.skipif(
    find_spec("monai") is None, reason="it converts a network of MONAI, which is not installed"
)


@needs_monai
def test_one_call_searches_a_network_of_another_library(tmp_path):
    shown = run("search_monai_densenet.py", "--epochs", "1", "--run-dir", str(tmp_path / "run"))
    assert "features.conv0: kernel size [" in shown
    assert "searched network: " in shown and "plain network: " in shown
    assert (tmp_path / "run" / "result.json").exists()


@needs_monai
def test_a_network_of_another_library_is_searched():
    shown = run("search_monai_segresnet.py", "--steps", "2")
    assert "5 of 6 convolutions replaced" in shown
    assert "convInit.conv: kernel size [" in shown
    assert "searched network, trained from scratch:" in shown
