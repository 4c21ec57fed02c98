# One door for developers and CI; `make help` lists the targets.
PYTHON ?= python3
BIN := .venv/bin
# Tests start hundreds of processes, each of which would compile all of Vecmill anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install check test test-gpu test-readers chaos fuzz docs demo models-doc bench clean

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
	$(BIN)/python -m pip check

test: install ## every test that needs no GPU; 12 to 20 minutes on 2 cores
	# Three processes, whatever the machine: tests start workers of their own, and wait. In the order they are
	# collected, so that the long files come first and the short ones even out the end.
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m 'not chaos and not gpu and not readers'

test-readers: .venv-readers/installed ## pandas, datasets, LanceDB, FAISS and others read a table; under a minute
	.venv-readers/bin/python -m pytest -q -m readers tests/readers

# On top of .venv: what other programs bring (pandas, dill ...) must not decide how Vecmill's own tests run.
.venv-readers/installed: .venv/installed
	test -x .venv-readers/bin/python || $(BIN)/python -m venv .venv-readers
	$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> "$$(.venv-readers/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/base.pth"
	.venv-readers/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[readers]'
	touch $@

test-gpu: install ## tests of the engine on an NVIDIA GPU; where there is none it says so, and runs nothing
	$(BIN)/python -m pytest -q -s -m gpu tests/gpu

docs: install ## the documentation as a site, in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

FUZZ_EXAMPLES ?= 20000
fuzz: install ## hours of hostile input: queue elements, payloads, records, models, sources, parts, command lines
	VECMILL_HYPOTHESIS=fuzz VECMILL_FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/pytest -n 2 -m fuzz --timeout 0

chaos: install ## 500 faults over real runs with real processes, from seeds, in an hour or so; logs in build/chaos
	$(BIN)/python -m tests.chaos --events 500 --keep build/chaos

demo: install ## embed 10,500 docstrings with a real model, then search them
	$(BIN)/python -m benchmarks.demo

models-doc: install ## docs/models.md, from what the parity tests find
	mkdir -p build
	VECMILL_PARITY_TABLE=build/parity.json $(BIN)/pytest -q tests/parity
	$(BIN)/python -m tests.parity.table build/parity.json

bench: install ## against peers on one core, into RESULTS.md, and the producer's memory; an hour and more
	$(BIN)/python -m benchmarks.peers --report benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.memory

clean: ## remove what the other targets made
	rm -rf .venv .venv-readers build demo-table *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
