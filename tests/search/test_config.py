# SPDX-License-Identifier: BSD-3-Clause
"""Settings from files, and what they refuse."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from dash_search import Config, SettingsError


def test_file_is_laid_over_the_defaults(tmp_path: Path) -> None:
    toml, json = tmp_path / "a.toml", tmp_path / "b.json"
    toml.write_text("epochs = 3\nkernel_sizes = [3, 5]\n")
    json.write_text('{"epochs": 4}')
    json.with_suffix(".JSON").write_bytes(b"\xef\xbb\xbf" + json.read_bytes())  # as other systems write it
    defaults = Config(seed=7)
    assert defaults.with_file(str(json.with_suffix(".JSON"))) == Config(seed=7, epochs=4)
    assert defaults.with_file(toml) == Config(seed=7, epochs=3, kernel_sizes=(3, 5))
    assert defaults.with_file(json) == Config(seed=7, epochs=4)


def test_settings_survive_json(tmp_path: Path) -> None:
    config = Config(milestones=(0.1,), skip=("stem",), plain=False)
    path = tmp_path / "config.json"
    path.write_text(config.model_dump_json())
    assert Config().with_file(path) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "there is no setting 'epoch'"),
        ("epochs = 0", "epochs is 0: input should be greater"),
        ("epochs = true", "epochs is True: input should be a valid integer"),
        ("epochs = ", "cannot read settings"),
        ("kernel_sizes = [3, 3]", "different numbers"),
        ("dilations = []", "one or more"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        Config().with_file(path)
    with pytest.raises(SettingsError, match="cannot read settings"):
        Config().with_file(tmp_path / "absent.toml")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().epochs = 3  # type: ignore[misc]
