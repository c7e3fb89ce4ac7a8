# Every target sets up what it needs: Python 3.11, pip and make are enough to begin with.

SHELL := /bin/bash
export VENV ?= .venv
# Hundreds of tests start programs: compiled anew in each of them, the modules here would take most of the time.
unexport PYTHONDONTWRITEBYTECODE
BIN := $(VENV)/bin
ARGS ?=
ONLY ?=
SCALE ?= 10000x50
DIST ?= dist

.DEFAULT_GOAL := help
.PHONY: help test test-engines test-all demo lint lint-style lint-types lint-imports format bench faults safety docs shims dist clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

test: ## run the tests on the embedded engines, in parallel (a part, one by one: make test ARGS="tests/core -k etag -n 0")
	@.ci/set-up servers
	$(BIN)/pytest -n auto $(or $(ARGS),--servers=usual)

test-engines: ## run the tests that need the servers of engines, such as Redis and RabbitMQ
	@.ci/set-up servers engines
	$(BIN)/pytest -n auto --servers=further --report=build/engines-report.json $(ARGS)

test-all: ## run all tests on each Python that pyproject.toml names and this machine has
	@.ci/test-all $(ARGS)

demo: ## move a legacy application to Capa, step by step (on servers: PROFILE=redis, rabbitmq, kafka, nats, postgres, apollo or appconfig)
	@.ci/set-up $(if $(filter-out apollo appconfig,$(PROFILE)),servers engines)
	@PROFILE=$(PROFILE) $(BIN)/python -m examples.demo

lint: lint-style lint-types lint-imports ## check style, types and import contracts

lint-style:
	@.ci/set-up
	$(BIN)/ruff check
	$(BIN)/ruff format --check

lint-types:
	@.ci/set-up
	$(BIN)/mypy

lint-imports:
	@.ci/set-up
	$(BIN)/python .ci/import_contracts.py

format: ## format the code and fix the style errors that ruff can fix
	@.ci/set-up
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: ## compare with the peers (some of it: make bench ONLY="requests_get rewrite")
	@.ci/set-up servers engines peers
	$(BIN)/python -m benchmarks $(ONLY)

faults: ## break each engine 50 times under 10,000 messages, beside its peers (hours; some: ONLY="redis broker-killed", ONLY=bridge; SCALE=1000x5)
	@.ci/set-up servers engines peers
	PYTHONPATH=tests $(BIN)/python -m reliability $(ONLY) --scale $(SCALE) $(ARGS)
	$(if $(ONLY),,CAPA_FAULTS=$(SCALE) $(BIN)/pytest tests/faults/test_celery_worker_kills.py tests/adapters/celery/test_celery_malformed.py tests/adapters/celery/test_celery_pools.py -n auto)

safety: ## strike a rewrite at every system call, and rewrite every library there is (half an hour)
	@.ci/set-up servers
	PYTHONPATH=tests $(BIN)/python -m rewrite_safety $(ONLY)

docs: ## write the pages of docs/reference and the types of capa_core.aio that are read off the code
	@.ci/set-up
	$(BIN)/python docs/generate_core.py
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/generate_aio.py
	PYTHONPATH=tests $(BIN)/python -m reliability --page

shims: ## write the modules of adapters that follow from their import maps
	@.ci/set-up
	$(BIN)/python -m capa_core.shims.generate adapters/capa_*

dist: ## build the sdist and the wheel into dist/
	@.ci/set-up build
	rm -rf $(DIST)
	$(BIN)/python -m build --no-isolation --outdir $(DIST)

clean: ## remove what was built or installed into this tree
	rm -rf .venv .venv-* build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
