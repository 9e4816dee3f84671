# SPDX-License-Identifier: BSD-3-Clause
# Every target sets up what it needs; a second call installs nothing and recompiles only what changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := $(VENV)/.tools-installed
PACKAGE := $(VENV)/.package-installed
COMPILED := $(VENV)/.kernels-compiled
RIVALS := $(VENV)/.rivals-installed
CXX_FILES := $(shell find csrc -type f \( -name '*.cpp' -o -name '*.h' -o -name '*.cu' \) 2>/dev/null)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-gpu cuda lint format bench bench-layers bench-steps bench-quality bench-gpu wheel clean

help:  ## Print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 16

setup: $(COMPILED)  ## Create .venv, install the pinned tools, build the package in place

$(TOOLS): constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "dash_kernels needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + ": call make PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) setuptools cmake ninja pybind11 numpy torch
	@touch $@

# The kernels are left to the next target: pip would hide the compiler's progress.
$(PACKAGE): $(TOOLS) pyproject.toml
	DASH_KERNELS_NO_BUILD=1 $(PIP) --no-build-isolation --editable '.[dev]'
	@touch $@

$(COMPILED): $(PACKAGE) setup.py CMakeLists.txt $(CXX_FILES)
	$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

# Waiting threads sleep: spinning ones make a step many times slower wherever something else wants the cores too.
demo test bench bench-layers bench-steps bench-quality: export OMP_WAIT_POLICY ?= passive

demo: setup  ## Search on real digits: the kernel chosen per layer, and the test scores (5 to 10 minutes on 2 cores)
	$(BIN)/dash-search run mnist5k

test: setup  ## Run every test on the compiled kernels; the last line is pytest's summary
	@DASH_KERNELS_STRICT=1 $(BIN)/python -m pytest

cuda: setup  ## Compile and link the CUDA kernels with nvcc, list symbols, registers and spills, and hold them to the table
	$(BIN)/python -m bench.cuda_resources

# The same tests as under the interpreter, on a device; deterministic mode fixes every choice, the other measures some.
# Those of the engine "cuda" say that they are skipped unless DASH_CUDA=1 was set when the package was built.
GPU_TESTS := DASH_TEST_DEVICE=cuda DASH_KERNELS_STRICT=1 $(BIN)/python -m pytest -k triton \
	tests/triton tests/test_ops.py tests/test_functional.py tests/test_mixed_conv_node.py tests/test_compile.py tests/test_properties.py
test-gpu: setup  ## The GPU engine's tests on a GPU, in deterministic mode and without (needs a torch with CUDA or ROCm in .venv)
	DASH_TEST_DETERMINISTIC=1 $(GPU_TESTS)
	DASH_TEST_DETERMINISTIC=0 $(GPU_TESTS)
	DASH_TEST_DETERMINISTIC=1 DASH_TEST_DEVICE=cuda $(BIN)/python -m pytest tests/test_cuda_kernels.py
	DASH_TEST_DETERMINISTIC=0 DASH_TEST_DEVICE=cuda $(BIN)/python -m pytest tests/test_cuda_kernels.py

lint: setup  ## ruff, mypy, clang-format: check only
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(CXX_FILES)

format: setup  ## ruff and clang-format: rewrite
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(CXX_FILES)

# What only the benchmarks need: the packages they time, and what draws the pictures.
$(RIVALS): $(PACKAGE)
	DASH_KERNELS_NO_BUILD=1 $(PIP) --no-build-isolation --editable '.[bench]'
	@touch $@

BENCH_RUN := DASH_KERNELS_STRICT=1 $(BIN)/python -m bench

bench: setup $(RIVALS)  ## Naive beside Fourier mixing under pytest-benchmark (BENCH=--benchmark-autosave keeps a run)
	DASH_KERNELS_STRICT=1 $(BIN)/python -m pytest bench $(BENCH)

bench-layers: setup $(RIVALS)  ## Every searched layer of the ten tasks beside its rivals, into bench/results (BENCH=--quick for a look, "--task DeepSEA" for a part)
	$(BENCH_RUN) layers $(BENCH)

bench-steps: setup $(RIVALS)  ## Search steps of the ten tasks beside plain training steps, into bench/results (BENCH as above)
	$(BENCH_RUN) steps $(BENCH)

bench-quality: setup  ## Searched, random, fixed and plain kernels on the offline tasks, into bench/results; goes on where it was stopped (BENCH="--minutes 150")
	$(BENCH_RUN).quality $(BENCH)

bench-gpu: setup $(RIVALS)  ## Every searched layer of the ten tasks on a GPU beside cuDNN: writes bench/results/gpu.json and README's table
	$(BENCH_RUN).gpu $(BENCH)

wheel: setup  ## Build dist/*.whl against the torch in .venv
	$(BIN)/python -m pip --disable-pip-version-check wheel --no-build-isolation --no-deps --wheel-dir dist .

clean:  ## Remove everything that is built, .venv included
	rm -rf $(VENV) build dist *.egg-info dash_kernels/lib dash_kernels/_core*.so .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
