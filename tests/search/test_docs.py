# SPDX-License-Identifier: BSD-3-Clause
"""The Python example of the guide runs."""

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "search.md"


def test_example_of_the_guide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # it writes to ./runs
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    exec(compile(example, str(GUIDE), "exec"), {})
    assert "'kernel_size'" in capsys.readouterr().out
    assert len(list(tmp_path.glob("runs/*/result.json"))) == 1
