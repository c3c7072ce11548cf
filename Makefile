# Everything a person or CI runs. `make help` lists it.
PYTHON ?= python3
CONFIG ?= tierwise.toml
PORT ?= 8080
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
BIN := .venv/bin
CLIENTS := .venv-clients
export UV_LINK_MODE := copy
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
# Hundreds of processes start in a run of the tests: each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test clients fuzz check bench format lock prices clean

help:  ## what can be run
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

run: .venv/run.stamp  ## set everything up and start the gateway on 127.0.0.1:8080
	@$(BIN)/tierwise up --config $(CONFIG) --port $(PORT)

test: .venv/dev.stamp $(CLIENTS)/stamp  ## set everything up and pass the tests
	@$(MAKE) -s clients
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest -n 2 --dist worksteal
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report --fail-under=90
	@$(BIN)/coverage report --fail-under=100 --include='src/tierwise/core/*,src/tierwise/dialects/*'

clients: .venv/dev.stamp $(CLIENTS)/stamp  ## pass the tests by clients that others wrote, in their own environment
	@GATEWAY_PYTHON=$(CURDIR)/$(BIN)/python $(CLIENTS)/bin/python -m pytest tests/clients

fuzz: .venv/dev.stamp $(CLIENTS)/stamp  ## a million spoilt inputs to the doors, ten thousand requests by schemathesis
	@$(BIN)/python -m tests.fuzz 1000000
	@GATEWAY_PYTHON=$(CURDIR)/$(BIN)/python SCHEMATHESIS_CASES=10000 $(CLIENTS)/bin/python -m pytest -s tests/clients/test_schemathesis.py

check: .venv/dev.stamp  ## formatting, lint, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: .venv/dev.stamp  ## put the code in order
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: .venv/dev.stamp  ## what the gateway costs a request and a token, on one core
	@$(BIN)/python -m benchmarks.gateway

prices: .venv/dev.stamp  ## rebuild the price catalogue from genai-prices
	@$(BIN)/python -m benchmarks.prices

lock: $(UV)  ## resolve the requirements files anew
	@$(UV) pip compile -q --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11 --extra local --extra learn --extra code --extra postgres pyproject.toml requirements/build.in -o requirements/run.txt
	@$(UV) pip compile -q --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11 --extra local --extra learn --extra code --extra postgres --group dev pyproject.toml requirements/build.in -c requirements/run.txt -o requirements/dev.txt
	@$(UV) pip compile -q --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11 --group clients --override requirements/clients.in -o requirements/clients.txt
	@cd tests/clients/npm && npm install --package-lock-only --omit-lockfile-registry-resolved

clean:  ## remove the environments and caches
	@rm -rf .venv .uv $(CLIENTS) .fuzz .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*

.uv/bin/uv: requirements/uv.txt
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt

.venv/bin/python: | $(UV)
	@$(UV) venv -q --allow-existing --python $(PYTHON) .venv

.venv/run.stamp: requirements/run.txt pyproject.toml | .venv/bin/python
	@test -e .venv/dev.stamp || $(UV) pip sync -q --python .venv requirements/run.txt
	@test -e .venv/dev.stamp || $(UV) pip install -q --python .venv --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: requirements/dev.txt pyproject.toml | .venv/bin/python
	@$(UV) pip sync -q --python .venv requirements/dev.txt
	@$(UV) pip install -q --python .venv --no-deps --no-build-isolation -e .
	@touch $@

# Node's packages too, where there is a Node.js: its tests say so where there is none.
$(CLIENTS)/stamp: requirements/clients.txt tests/clients/npm/package-lock.json | $(UV)
	@$(UV) venv -q --allow-existing --python $(PYTHON) $(CLIENTS)
	@$(UV) pip sync -q --compile-bytecode --python $(CLIENTS) requirements/clients.txt
	@mkdir -p $(CLIENTS)/node && cp tests/clients/npm/package*.json $(CLIENTS)/node
	@! command -v npm >/dev/null || npm ci --prefix $(CLIENTS)/node --silent --no-audit --no-fund --ignore-scripts
	@touch $@
