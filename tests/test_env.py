# SPDX-License-Identifier: BSD-3-Clause
"""Environment variables: what they mean, and that a typing error never passes for a default."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

import dash_kernels as dk
from dash_kernels import _env, _load, build_info


@pytest.mark.parametrize(
    ("read", "name"), [(_env.disabled, "DASH_KERNELS_DISABLE"), (_env.strict, "DASH_KERNELS_STRICT")]
)
def test_flags(read: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(read)
    monkeypatch.delenv(name, raising=False)
    assert read() is False
    for value, meaning in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv(name, value)
        assert read() is meaning
    for value in ("yes", "true", " 1", "2"):
        monkeypatch.setenv(name, value)
        with pytest.raises(ValueError, match=f"{name}='{value}': set it to 1 or 0"):
            read()


def test_isa(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASH_KERNELS_ISA", raising=False)
    assert _env.isa() is None
    for value in ("baseline", "avx2", "avx512"):
        monkeypatch.setenv("DASH_KERNELS_ISA", value)
        assert _env.isa() == value
    monkeypatch.setenv("DASH_KERNELS_ISA", "AVX2")
    with pytest.raises(ValueError, match="DASH_KERNELS_ISA='AVX2': set it to one of baseline, avx2, avx512"):
        _env.isa()


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-W", "error", "-c", code),
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_build_info_tells_what_is_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASH_KERNELS_STRICT", "0")
    facts = build_info.facts()
    assert facts["torch"].startswith(torch.__version__)
    assert facts["DASH_KERNELS_STRICT"] == "0"
    for name, reason in dk.engines().items():
        assert facts[f"engine {name}"] == (reason or "works")


@pytest.mark.skipif(_load.LOAD.error is not None, reason=f"compiled operators: {_load.LOAD.error}")
def test_the_instruction_set_is_capped() -> None:
    assert build_info.isa() in build_info.facts()["instruction sets here"].split(", ")
    ran = python("from dash_kernels import build_info; print(build_info.isa())", DASH_KERNELS_ISA="baseline")
    assert ran.stdout.strip() == "baseline", ran.stderr


@pytest.mark.parametrize("name", build_info.VARIABLES)
def test_a_wrong_value_stops_the_import(name: str) -> None:
    ran = python("import dash_kernels", **{name: "fast"})
    assert ran.returncode != 0
    assert f"ValueError: {name}='fast'" in ran.stderr


def test_a_library_that_does_not_load_is_a_reason_not_an_error(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DASH_KERNELS_DISABLE", raising=False)
    path = _load.LIBRARY.with_name("missing.so")
    assert _load.load(path).error == (
        "not compiled (missing.so is missing): build it with pip install --no-build-isolation -e ."
    )
    broken = type(path)(str(tmp_path)) / "broken.so"
    broken.write_bytes(b"no library")
    error = _load.load(broken).error
    assert error is not None and "broken.so did not load under torch" in error
    monkeypatch.setenv("DASH_KERNELS_DISABLE", "1")
    assert _load.load(broken).error == "compiled code is switched off by DASH_KERNELS_DISABLE=1"
