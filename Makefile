# One door for developers and CI; `make help` lists the targets.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install check test chaos demo models-doc bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: .venv/installed ## a virtual environment in .venv with pinned packages

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

check: install ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: install ## every test that needs no GPU; under 15 minutes on 2 cores
	# Two processes, whatever the machine: tests start workers of their own. In the order they are collected, so that
	# the long files come first and the short ones even out the end.
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not chaos and not gpu'

chaos: install ## 500 faults over real runs with real processes, from seeds, in an hour or so; logs in build/chaos
	$(BIN)/python -m tests.chaos --events 500 --keep build/chaos

demo: install ## embed 10,500 docstrings with a real model, then search them
	$(BIN)/python -m benchmarks.demo

models-doc: install ## docs/models.md, from what the parity tests find
	mkdir -p build
	VECMILL_PARITY_TABLE=build/parity.json $(BIN)/pytest -q tests/parity
	$(BIN)/python -m tests.parity.table build/parity.json

bench: install ## throughput on one core against sentence-transformers, and the producer's memory
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.memory

clean: ## remove what the other targets made
	rm -rf .venv build demo-table *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
