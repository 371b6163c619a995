# Two commands do all the set-up: `make test`, and `make study STUDY=…`. `make ui` shows what they made.
PYTHON ?= python3
STUDY ?= studies/arena_bench.yaml
PORT ?= 3000
BIN := .venv/bin
TARGETS := assets definitions.py jobs preceptor resources benchmarks tests

export PRECEPTOR_STUDY = $(STUDY)

.PHONY: help test test-slow lint study ui benchmarks clean

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# torch first: a later requirement would otherwise choose another build of it.
.venv/core: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable .
	touch .venv/core

.venv/dev: .venv/core
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch .venv/dev

study: .venv/core ## materialize a whole study: make study STUDY=studies/arena_bench.yaml
	$(BIN)/python -m jobs.run_study $(STUDY)

ui: .venv/core ## serve Dagster's UI and daemon for a study on http://localhost:$(PORT)
	$(BIN)/python -m jobs.serve --port $(PORT)

lint: .venv/dev
	$(BIN)/ruff format --check $(TARGETS)
	$(BIN)/ruff check $(TARGETS)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: lint ## everything that fits into ten minutes
	$(BIN)/python -m pytest

test-slow: .venv/dev ## engines, kills, servers
	$(BIN)/python -m pytest -m slow

benchmarks: .venv/dev ## measure again what benchmarks/RESULTS.md reports
	for script in benchmarks/[a-z]*.py; do PYTHONPATH=. $(BIN)/python $$script || exit 1; done

clean: ## remove .venv, the store and Dagster's history of this checkout
	rm -rf .venv store .dagster *.egg-info
