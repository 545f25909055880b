# One target per job. The first one that needs it makes .venv from the lock file; nothing but Python ≥ 3.11 is asked for.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

BIN := .venv/bin
READY := .venv/.ready
COMPILE = $(BIN)/uv pip compile --no-config --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

# Neither tool asks the network whether there is a newer release of itself.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help demo test lint types lock docs bench mutants nightly clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## run the weather pipeline from its YAML, kill it in the middle, watch it finish
	@$(BIN)/python examples/weather/demo.py

test: lint types ## everything a change must pass: lint, types, tests
	@$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(READY) ## style, format, rooms, sizes
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "ruff format: run '.venv/bin/ruff format' on the files above"; exit 1; }
	@$(BIN)/lint-imports --no-cache >.venv/rooms.log 2>&1 || { cat .venv/rooms.log; exit 1; }
	@$(BIN)/python -m tools.sizes
	@echo "lint: style, format, rooms and sizes hold"

types: $(READY) ## pyright, strict in src
	@$(BIN)/pyright --warnings

lock: $(READY) ## resolve the lock files anew (newest allowed releases, hashes, no addresses)
	@$(COMPILE) --quiet --upgrade --output-file requirements.lock pyproject.toml
	@$(COMPILE) --quiet --upgrade --constraint requirements.lock --extra plot --group dev --output-file requirements-dev.lock pyproject.toml
	@git --no-pager diff --stat -- requirements.lock requirements-dev.lock

docs: $(READY) ## write the reference pages anew from the code
	@$(BIN)/python -m tools.reference

bench: $(READY) ## measure workloads W1 to W8 into bench/results
	@$(BIN)/python bench/run.py

mutants: $(READY) ## break the kernel and the store on purpose; every mutant must be caught
	@$(BIN)/python tests/mutants/run.py

nightly: export TASK_ENGINE_SUITE := nightly
nightly: lint types ## the long amounts, the second type checker, the mutants
	@$(BIN)/mypy
	@$(BIN)/python tests/mutants/run.py
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "nightly or not nightly"

clean: ## remove caches and built files (.venv stays)
	@rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache examples/*/out
	@find . -path ./.venv -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf

$(READY): requirements-dev.lock pyproject.toml tools/venv.sh
	@bash tools/venv.sh $(@D)
	@touch $@
