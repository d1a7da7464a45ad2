.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
FOR ?=

.PHONY: help env demo test check format bench soak docs lock clean services

help: ## Show what there is to do
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

env: $(VENV)/.ready ## Make .venv with everything (towpath and towpath-agent in .venv/bin)

$(VENV)/.ready: requirements.lock pyproject.toml
	@deploy/make-env "$(PYTHON)" "$(VENV)"
	@touch $@

demo: env ## Start a small council on this machine (FOR=90s ends by itself)
	@$(BIN)/towpath demo $(if $(FOR),--for $(FOR))

services: env ## Install the real servers the tests use, where that is allowed
	@deploy/install-services

test: env services check ## Everything: lint, types, layers, all tests
	@$(BIN)/pytest

check: env ## Lint, formatting, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@# The agent as Windows and macOS see it; what one of them never reaches is no fault.
	@for each in win32 darwin; do \
	  $(BIN)/mypy --platform $$each --no-warn-unreachable -p probes || exit 1; done
	@$(BIN)/lint-imports

format: env ## Put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: env ## Print the generated pages again (catalogue)
	@$(BIN)/python -m towpath.pages

bench: env services ## Measure: ratios against peers, in one run each
	@$(BIN)/python -m benchmarks

soak: env services ## The slow tests
	@$(BIN)/pytest -m soak --override-ini addopts="--import-mode=importlib -ra" --timeout 3600

lock: ## Pin the newest allowed versions (needs uv)
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate --upgrade --all-extras --group dev pyproject.toml -o requirements.lock

clean: ## Remove what was made
	@rm -rf $(VENV) var build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
