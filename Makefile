# The few commands of this project. Everything lives in .venv; the stamps in it make the second time quick.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
TREE ?= .
ARGS ?=

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: $(VENV)/.run ## Run the example workflow on a source tree (TREE=., the whole system in one process)
	$(BIN)/clawx run examples/source_report/workflow.yaml --input tree=$(TREE) $(ARGS)

.PHONY: test
test: lint ## Check the source, then run the tests (ARGS= goes to pytest)
	$(BIN)/python -m pytest $(ARGS)

.PHONY: lint
lint: $(VENV)/.dev ## Check style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/.dev ## Format the source
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: schemas
schemas: $(VENV)/.run ## Export the Avro schemas from the record classes
	$(BIN)/clawx schemas export

.PHONY: histories
histories: $(VENV)/.dev ## Record the golden histories anew, those that no release has declared (ARGS=NAME for some)
	$(BIN)/python -m tests.histories.recording $(ARGS)

.PHONY: release
release: $(VENV)/.dev ## Declare a release (VERSION=1.0.0): from then on schemas change compatibly and histories not at all
	$(BIN)/python -m pytest -q tests/histories
	$(BIN)/clawx schemas release $(VERSION)
	$(BIN)/python -m tests.histories.recording freeze $(VERSION)

.PHONY: soak
soak: $(VENV)/.dev ## Run the long tests: many more seeds, no time limit
	$(BIN)/python -m pytest -m soak --timeout 0 $(ARGS)

.PHONY: bench
bench: $(VENV)/.run ## Measure the engine on the embedded log
	$(BIN)/clawx bench engine $(ARGS)

.PHONY: lock
lock: $(VENV)/.dev ## Lock the dependencies anew (ARGS=--upgrade for newer ones)
	$(PIP) install 'uv>=0.9'
	$(BIN)/python requirements/lock.py $(ARGS)

.PHONY: clean
clean: ## Remove all that was made here, the environment too
	rm -rf $(VENV) build dist out .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The first Python of the right age that can make an environment; $PYTHON has the first word.
$(BIN)/python:
	@for candidate in $${PYTHON:-} python3.13 python3.12 python3.11 python3 python; do \
	  if $$candidate -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$($$candidate -V)"; exec $$candidate -m venv --clear $(VENV); \
	  fi; \
	done; \
	echo "No Python 3.11, 3.12 or 3.13 that can make an environment was found (on Debian: apt install python3-venv)." >&2; exit 1

# What runs it is locked by hash; the project itself goes in as it lies here.
$(VENV)/.run: requirements/run.lock pyproject.toml | $(BIN)/python
	@echo "Installing what the project runs on"
	$(PIP) install --require-hashes --no-deps -r requirements/run.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.run
	@echo "Installing what the project is checked with"
	$(PIP) install --require-hashes --no-deps -r requirements/dev.lock
	@touch $@
