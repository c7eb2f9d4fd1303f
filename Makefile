# `make demo` shows everything, `make up` keeps it running, `make check test` is what CI runs.
# Needs Python 3.11 or newer (PYTHON=python3.12 picks another one) and a package index.

PYTHON ?= python3
PACKAGES := domain storage activities workflows runtime worker api cli
BIN := .venv/bin
INSTALLED := .venv/installed
# The tests of one file stay in one process, so that what they share (a Temporal server, a
# PostgreSQL) starts once. Three processes for two cores, as one of them mostly waits.
PYTEST := $(BIN)/python -m pytest
PARALLEL := -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: help install up demo tour test check bench conformance mutants security lock clean

help:
	@echo "make install      the environment in .venv, and nothing else"
	@echo "make demo         the three stories, from nothing to verified webhooks"
	@echo "make up           Temporal, worker and API, until Ctrl-C"
	@echo "make tour         all 41 events, each from its own workflow"
	@echo "make check        format, lint, types, import contracts, house rules"
	@echo "make test         the whole test suite"
	@echo "make bench        deliveries and transfers, against their ceilings"
	@echo "make conformance  every saga, every crash point, pairs of faults too"
	@echo "make mutants      seeded bugs, each of which the suite must catch"
	@echo "make security     the long tests: security, the API, the tour twice"
	@echo "make lock         requirements.lock, after a change of constraints.txt"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sagapost needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

up: install
	@$(BIN)/sagapost up

demo: install
	@$(BIN)/sagapost demo

tour: install
	@$(BIN)/sagapost tour

test: install
	$(PYTEST) $(PARALLEL) -m "not conformance and not security"

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	PYTHONPATH=. $(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml $(PACKAGES)
	$(PYTEST) tests/test_tidy.py

bench: install
	$(BIN)/python -m bench

conformance: install
	$(PYTEST) -n 2 --dist worksteal -m conformance

mutants: install
	$(BIN)/python -m tests.mutants

# What is measured in milliseconds is measured alone.
TIMED := tests/security/test_neighbours.py

security: install
	$(PYTEST) -m security $(TIMED)
	$(PYTEST) $(PARALLEL) -m security --ignore $(TIMED)

# Versions from constraints.txt, hashes from the index. The image is built from nothing else.
lock: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-tools==7.6.2
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-header --no-annotate \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
		--constraint constraints.txt --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .grimp_cache
