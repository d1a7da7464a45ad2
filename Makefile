.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
FOR ?=

.PHONY: help env demo test check format bench soak docs lock release clean services
.PHONY: check-lint check-types check-types-win32 check-types-darwin check-layers

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

# Most tests wait for something: one more at a time than there are cores.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(8, (os.cpu_count() or 1) + 1))')

test: env services check ## Everything: lint, types, layers, all tests (WORKERS=1 one by one)
	@$(BIN)/pytest -q -n $(WORKERS) --dist loadfile --durations 15

check: env ## Lint, formatting, types, layers
	@$(MAKE) --no-print-directory -j2 check-types check-lint check-types-win32 check-types-darwin check-layers

check-lint:
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .

check-types:
	@$(BIN)/mypy

# The agent as Windows and macOS see it; what one of them never reaches is no fault.
check-types-win32 check-types-darwin: check-types-%:
	@$(BIN)/mypy --platform $* --cache-dir .mypy_cache/$* --no-warn-unreachable -p probes

check-layers:
	@$(BIN)/lint-imports

format: env ## Put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: env ## Print the generated pages again (catalogue, on-call, privacy)
	@$(BIN)/python -m towpath.doc_pages

bench: env services ## Measure: ratios against peers, in one run each
	@$(BIN)/python -m benchmarks

soak: env services ## The slow tests
	@$(BIN)/pytest -m soak --override-ini addopts="--import-mode=importlib -ra" --timeout 3600

COMPILE = uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

lock: ## Pin the newest allowed versions: all, and what servers and laptops get (needs uv)
	@$(COMPILE) --upgrade --all-extras --group dev pyproject.toml -o requirements.lock
	@$(COMPILE) -c requirements.lock --extra server --extra pdf pyproject.toml -o deploy/server.lock
	@$(COMPILE) -c requirements.lock pyproject.toml -o deploy/agent.lock

release: env ## Make dist/: the wheel, the locks of server and agent, their SBOMs, checksums
	@deploy/make-release $(BIN) dist

clean: ## Remove what was made
	@rm -rf $(VENV) var build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
