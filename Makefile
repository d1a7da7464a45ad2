.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
FOR ?=

# A module is compiled once, not by each of the hundreds of processes that tests start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env demo test check format bench soak docs lock release msi clean services
.PHONY: check-lint check-types check-types-win32 check-types-darwin check-layers

help: ## Show the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

env: $(VENV)/.ready ## Create .venv with all dependencies (towpath and towpath-agent in .venv/bin)

$(VENV)/.ready: requirements.lock pyproject.toml
	@deploy/make-env "$(PYTHON)" "$(VENV)"
	@touch $@

demo: env ## Start a small council on this machine (FOR=90s stops it after that time)
	@$(BIN)/towpath demo $(if $(FOR),--for $(FOR))

services: env ## Install the real servers that the tests use, if allowed
	@deploy/install-services

# Two more workers than there are cores, for tests also wait: the last one begins with those
# that do little else (tests/lanes.py). On two cores all tests take 750 s of processor.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(8, (os.cpu_count() or 1) + 2))')

test: env services check ## Run lint, types, layers and all tests (WORKERS=1: one at a time)
	@$(BIN)/pytest -q -n $(WORKERS) --dist loadfile --durations 15

check: env ## Check lint, formatting, types and layers
	@$(MAKE) --no-print-directory -j2 check-types check-lint check-types-win32 check-types-darwin check-layers

check-lint:
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .

check-types:
	@$(BIN)/mypy

# The agent as on Windows and macOS; code that one of them never reaches is allowed.
check-types-win32 check-types-darwin: check-types-%:
	@$(BIN)/mypy --platform $* --cache-dir .mypy_cache/$* --no-warn-unreachable -p probes

check-layers:
	@$(BIN)/lint-imports

format: env ## Format the code and fix lint
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: env ## Regenerate catalogue, tables, manual page, picture of the rooms, templates of policies
	@$(BIN)/python -m towpath.doc_pages
	@$(BIN)/python tests/rooms.py
	@$(BIN)/python tests/policy_templates.py

bench: env services ## Run the benchmarks, each against its peers in the same run
	@$(BIN)/python -m benchmarks

soak: env services ## Run the slow tests
	@$(BIN)/pytest -m soak --override-ini addopts="--import-mode=importlib -ra" --timeout 3600

COMPILE = uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

lock: ## Pin the newest allowed versions for all, servers and laptops (needs uv)
	@$(COMPILE) --upgrade --all-extras --group dev pyproject.toml -o requirements.lock
	@$(COMPILE) -c requirements.lock --extra server --extra pdf pyproject.toml -o deploy/server.lock
	@$(COMPILE) -c requirements.lock pyproject.toml -o deploy/agent.lock

release: env ## Build dist/: the wheel, locks of server and agent, their SBOMs, checksums
	@deploy/make-release $(BIN) dist

# PYTHON_ZIP=…: the file that deploy/windows/python.lock names, from python.org
PYTHON_ZIP ?=

msi: env ## Build dist/towpath-agent.msi (PYTHON_ZIP=… from python.org; needs Wine and mingw-w64)
	@test -n "$(PYTHON_ZIP)" || { echo "make msi: set PYTHON_ZIP to the file that deploy/windows/python.lock names" >&2; exit 2; }
	@$(BIN)/python deploy/windows/make-msi "$(PYTHON_ZIP)" dist/towpath-agent.msi

deb: env ## Build dist/towpath-agent_*.deb for laptops with Linux, and its SBOM (needs dpkg-deb)
	@$(BIN)/python deploy/packages/make-deb dist $(if $(TARGET),--target $(TARGET))

zipapp: env ## Build the agent as one file, dist/towpath-agent-*.pyz (TARGET=macos-arm64 …), and its SBOM
	@$(BIN)/python deploy/packages/make-zipapp dist $(if $(TARGET),--target $(TARGET))

clean: ## Remove everything that was built
	@rm -rf $(VENV) var build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
