# SPDX-License-Identifier: BSD-3-Clause
"""The wheel is what users get: build one, install it away from the checkout, and run it there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def command(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("DASH_", "PYTHONPATH"))}
    return subprocess.run(arguments, cwd=cwd, env=keep | environment, capture_output=True, text=True, timeout=600)


def build_wheel(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    # Only CMake's object files are shared with the checkout: what setuptools gathers must not come from an older build.
    config = folder / "build.cfg"
    config.write_text(f"[build]\nbuild_base = {folder / 'build'}\n")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-build-isolation", "--no-deps")
    return command(
        *pip, "--wheel-dir", str(folder), str(ROOT), cwd=folder, DIST_EXTRA_CONFIG=str(config), **environment
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = build_wheel(folder)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("dash_kernels-*.whl"))


@pytest.mark.slow
def test_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for package, folder in (("dash_kernels", ROOT), ("dash_search", ROOT / "python")):
        sources = {path.relative_to(folder).as_posix() for path in (folder / package).rglob("*.py")}
        assert sources <= set(names), f"left out: {sorted(sources - set(names))}"
        assert f"{package}/py.typed" in names
    assert "dash_kernels/lib/libdash_kernels_ops.so" in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"dash_kernels", "dash_search"}


@pytest.mark.slow
def test_wheel_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--no-index")
    installed = command(*pip, "--target", str(target), str(wheel), cwd=tmp_path)
    assert installed.returncode == 0, installed.stdout + installed.stderr

    program = """
        from pathlib import Path
        import sys, torch
        import dash_kernels as dk, dash_search
        for module in (dk, dash_search):
            assert Path(module.__file__).is_relative_to(sys.argv[1]), module.__file__
        assert dk.engines()["fourier"] is None, dk.engines()
        layer = dk.MixedConv2d(3, 4, kernel_sizes=(3, 5), dilations=(1, 3), engine="fourier")
        out = layer(torch.randn(2, 3, 12, 11))
        out.backward(torch.randn_like(out))
        print(tuple(out.shape), tuple(layer.alpha.grad.shape))
    """
    arguments = (sys.executable, "-W", "error", "-c", textwrap.dedent(program), str(target))
    ran = command(*arguments, cwd=tmp_path, PYTHONPATH=str(target), DASH_KERNELS_STRICT="1")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.split("\n")[0] == "(2, 4, 12, 11) (4,)"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """What a build reads before it compiles, in a folder where CMake has not run yet."""
    for name in ("setup.py", "pyproject.toml", "CMakeLists.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for package in ("dash_kernels", "python/dash_search"):
        (tmp_path / package).mkdir(parents=True)
        shutil.copy(ROOT / package / "__init__.py", tmp_path / package)
    return tmp_path


def test_failing_compiler_stops_the_build(sources: Path) -> None:
    compiler = sources / "compiler"
    compiler.write_text("#!/bin/sh\necho this compiler is broken >&2\nexit 1\n")
    compiler.chmod(0o755)
    built = command(sys.executable, "setup.py", "build_ext", cwd=sources, CXX=str(compiler))
    assert built.returncode != 0
    assert "cannot build the compiled kernels" in built.stderr
    assert "this compiler is broken" in built.stdout + built.stderr


def test_missing_torch_stops_the_build(sources: Path) -> None:
    (sources / "hidden").mkdir()
    (sources / "hidden" / "torch.py").write_text("raise ImportError('no torch here')\n")
    built = command(sys.executable, "setup.py", "build_ext", cwd=sources, PYTHONPATH=str(sources / "hidden"))
    assert built.returncode != 0
    assert "cannot import torch (no torch here)" in built.stderr
    assert "--no-build-isolation" in built.stderr


@pytest.mark.slow
def test_no_build_gives_a_wheel_without_compiled_code(tmp_path: Path) -> None:
    built = build_wheel(tmp_path, DASH_KERNELS_NO_BUILD="1")
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = tmp_path.glob("*.whl")
    assert found.name.endswith("-py3-none-any.whl")
    assert not [name for name in zipfile.ZipFile(found).namelist() if name.endswith(".so")]


def test_unknown_no_build_value_is_an_error() -> None:
    built = command(sys.executable, "setup.py", "--version", cwd=ROOT, DASH_KERNELS_NO_BUILD="yes")
    assert built.returncode != 0
    assert "DASH_KERNELS_NO_BUILD is 'yes'" in built.stderr


@pytest.mark.slow
@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
def test_kernels_of_an_instruction_set_share_no_symbol(wheel: Path, isa: str) -> None:
    """The linker keeps one copy of an inline function: were it the AVX one, older machines would die of SIGILL."""
    found = list((ROOT / "build").glob(f"cmake-*/CMakeFiles/dash_kernels_{isa}.dir/csrc/core/kernels.cpp.o"))
    if not found:
        pytest.skip(f"{isa} is not built for this processor's architecture")
    newest = max(found, key=lambda path: path.stat().st_mtime)
    listed = command("nm", "--defined-only", "--extern-only", str(newest), cwd=ROOT)
    assert listed.returncode == 0, listed.stderr
    names = [line.split(" ", 2)[2] for line in listed.stdout.splitlines()]
    assert names
    inside = f"4dash{len(isa)}{isa}"  # namespace dash::<isa> as compilers spell it; tools fail to spell long names out
    assert not [name for name in names if inside not in name]
