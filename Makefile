# The project's tasks. They need Python 3.11 or newer, git and make; all else goes into a virtual environment here.

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
RATE ?= 5
# A test that fails is run once more. The summary names it, with the first failure: read it, it may well be a defect.
# Three at a time keep two cores busy, since a test also waits: for a server, for a page, for time to pass.
PYTEST_ARGS ?= --numprocesses 3 --dist loadfile --reruns 1 --rerun-show-tracebacks

PY := $(VENV)/bin/python
PIP := $(PY) -m pip install -qq --disable-pip-version-check
SITE := http://127.0.0.1:$(PORT)
BUILT_FROM := pyproject.toml hatch_build.py $(wildcard pipeline_inspector/compiled_half/*)

# What these test is there twice: compiled, and in Python for where it is not.
OF_BOTH_HALVES := tests/scenarios tests/recording tests/probes/test_layers.py tests/test_identity.py

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench conformance needs wheel clean

help:
	@echo "make demo          the demo site with visitors, and its inspector (PORT=$(PORT), RATE=$(RATE) a second)"
	@echo "make test          lint, types and all tests, run against the built wheel"
	@echo "make lint          ruff and mypy only"
	@echo "make bench         measure what recording costs"
	@echo "make conformance   Django's own tests with the inspector installed"
	@echo "make needs         get a browser, a Redis server and a C compiler for the tests, where they are missing"
	@echo "make clean         remove what the tasks above made"
	@echo
	@echo "On another Python, and the newest Django it runs: make test PYTHON=python3.13 VENV=.venv313"

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11. Name a newer one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "$(PYTHON) cannot make a virtual environment. On Debian: apt-get install python3-venv"; exit 1; }

$(VENV)/.demo: $(BUILT_FROM) | $(PY)
	@echo "Installing the demo into $(VENV)"
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null
	@$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.test: $(BUILT_FROM) | $(PY)
	@echo "Installing the test extras into $(VENV)"
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null
	@$(PIP) --editable '.[test]'
	@touch $@

demo: $(VENV)/.demo
	@$(PY) manage.py migrate --verbosity 0
	@$(PY) manage.py loaddemo
	@echo
	@echo "  The demo site:  $(SITE)/"
	@echo "  Its inspector:  $(SITE)/__inspector__/"
	@echo
	@$(PY) manage.py traffic --rate $(RATE) --url $(SITE) & visitors=$$!; \
		trap 'kill $$visitors 2>/dev/null' EXIT INT TERM; \
		DEMO_CONSOLE_LEVEL=CRITICAL $(PY) manage.py runserver 127.0.0.1:$(PORT)

lint: $(VENV)/.test
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

# The tests run against the wheel. pytest loads the package's own plugin before it adds this folder to sys.path, so the
# installed copy is the one imported; tests/conftest.py refuses to run when it is not.
test: lint needs wheel
	@PIPELINE_INSPECTOR_UNDER_TEST=wheel $(VENV)/bin/pytest $(PYTEST_ARGS)
	@PIPELINE_INSPECTOR_UNDER_TEST=wheel PIPELINE_INSPECTOR_PURE=1 $(VENV)/bin/pytest $(PYTEST_ARGS) $(OF_BOTH_HALVES)

needs: $(VENV)/.test
	@$(PY) tests/needs.py

wheel: $(VENV)/.test
	@rm -rf build/wheel
	@$(PY) -m hatchling build -t wheel -d build/wheel >/dev/null
	@$(PIP) --no-deps --force-reinstall build/wheel/*.whl

bench: $(VENV)/.test
	@$(PY) -m benchmarks

conformance: $(VENV)/.test
	@$(PY) tests/conformance/run.py

clean:
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .conformance demo.sqlite3*
