# `make help` explains every target. Settings (docs/settings.md) can be given here, too: make up WEB_PORT=9000
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
# One more than processors, four at most: many tests wait for processes that they started.
TEST_PROCESSES := $(shell $(PYTHON) -c 'import os; print(min(4, os.cpu_count() + 1))')
FAULTS := tests/faults tests/workers/test_tune.py

.DEFAULT_GOAL := help
.PHONY: help up down install frontend dev chromium test faults lint format bench lock clean

##@ Using the store
up: install frontend ## Start everything and make a first call; DETACH=1 comes back once the store answers
	@$(BIN)/python -m store.bringup up $(if $(DETACH),--detach)

down: ## Stop everything; the data stays
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m store.bringup down; else echo "The store is not running."; fi

install: ## Make .venv and install what the lock files say, hashes checked (part of up)
	@$(PYTHON) requirements/install.py store worker torch training

frontend: install ## Build scripts and styles (part of up)
	@$(BIN)/python requirements/build_frontend.py

##@ Testing
test: dev frontend chromium ## Run every test, faults in their short form
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(TESTS)

faults: dev ## Run the tests of what dies in the middle, with full counts
	@FAULTS=full $(BIN)/python -m pytest $(FAULTS) -m fault --timeout 3600

lint: dev frontend ## Check style, types, import contracts and the front end
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python requirements/build_frontend.py lint

bench: dev ## Measure the store against its peers, in one table
	@$(BIN)/python -m bench

##@ Working on it
dev: ## Install what tests, types and style need besides (part of test)
	@$(PYTHON) requirements/install.py store worker torch training dev

chromium: ## Install a browser for the tests, as root on Debian (part of test)
	@tests/install_chromium.sh

format: dev ## Bring all code into the house's format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .
	@$(BIN)/python requirements/build_frontend.py format

lock: dev ## Write the lock files anew; UPGRADE=1 takes newer versions
	@requirements/lock.sh

clean: down ## Remove what can be made again: .venv, the built front end, caches. The data in .data stays
	@rm -rf .venv frontend/node_modules frontend/dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

help: ## Say this
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
