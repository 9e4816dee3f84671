# SPDX-License-Identifier: BSD-3-Clause
"""The Python example of the guide runs; the list of faults is whole and names what there is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE, FAULTS = ROOT / "docs" / "search.md", ROOT / "docs" / "faults.md"


def test_example_of_the_guide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # it writes to ./runs
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    exec(compile(example, str(GUIDE), "exec"), {})
    assert "'kernel_size'" in capsys.readouterr().out
    assert len(list(tmp_path.glob("runs/*/result.json"))) == 1


def test_every_fault_is_listed_with_files_and_tests_that_are_there() -> None:
    text = FAULTS.read_text()
    numbers = re.findall(r"^\| (\d+) \|", text, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 45)]
    places = re.findall(r"`([\w/*]+\.(?:py|toml))(?:::(\w+))?`", text)
    assert len(places) > 60
    for path, test in places:
        files = [file for base in ("", "python/dash_search", "tests/search") for file in (ROOT / base).glob(path)]
        assert files, path
        assert not test or f"def {test}(" in files[0].read_text(), f"{path}::{test}"
