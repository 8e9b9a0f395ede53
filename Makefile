# The verbs of this repository. A bare machine needs Python 3.11+, make and git.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/pytest

# Two threads beside another busy process run up to ten times slower than one; on an idle machine set it to its cores.
export OMP_NUM_THREADS ?= 1

.PHONY: demo study install check lint types layers test test-fast test-integration test-slow build wheel-size clean

demo: $(VENV)/.demo
	$(BIN)/forethought models fetch
	$(BIN)/forethought demo

study: $(VENV)/.dev
	$(BIN)/forethought models fetch
	$(BIN)/forethought study

install: $(VENV)/.dev

check: lint types layers

lint: $(VENV)/.dev
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

test: test-fast test-integration

test-fast: $(VENV)/.dev
	$(PYTEST) -m "not integration and not slow" -n 2 --dist loadfile

test-integration: $(VENV)/.dev
	$(BIN)/forethought models fetch
	$(PYTEST) -m "integration and not slow"

test-slow: $(VENV)/.dev
	$(BIN)/forethought models fetch
	$(PYTEST) -m slow

build: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

wheel-size: build
	$(BIN)/python benchmarks/wheel_size.py

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet -c constraints.txt -e ".[local,plots,serve]"
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@ $(VENV)/.demo
