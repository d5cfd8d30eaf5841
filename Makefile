# make demo   set up and score five encoders        make test    set up and run the tests
# make check  formatter, linter, types, words       make bench   measure speed
# make docs   build the documentation into site/
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --retries 5 --timeout 60

# Installs are retried: a flaky download is the most common failure of a first run.
install = for try in 1 2 3; do echo "→ $(1) (try $$try)"; $(PIP) install $(2) && break; \
	[ $$try -lt 3 ] && sleep 5 || { echo "installing failed three times; is there a network?"; exit 1; }; done

.PHONY: demo test test-slow check format bench clean docs wheel
.DELETE_ON_ERROR:

demo: $(VENV)/.core
	$(BIN)/disentmetrics demo --out demo

# Bytecode is kept, also where the environment turns that off: tests start many processes.
test: $(VENV)/.dev
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" $(ARGS)

test-slow: $(VENV)/.dev
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -m "slow or hypothesis" $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/hooks/words.py

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/bench_metrics.py
	$(BIN)/python benchmarks/bench_datasets.py

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "→ open site/index.html, or run $(BIN)/mkdocs serve"

wheel: $(VENV)/.dev
	rm -rf dist && $(BIN)/python -m build --wheel --outdir dist . && $(BIN)/check-wheel-contents dist

$(VENV)/.pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "disentmetrics needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 1; }
	@echo "→ creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(call install,pip,"pip>=25.1")
	@touch $@

$(VENV)/.core: $(VENV)/.pip pyproject.toml constraints.txt
	@$(call install,disentmetrics,--constraint constraints.txt --editable .)
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@$(call install,everything that tests need,--constraint constraints.txt --editable ".[all]" --group dev)
	@touch $@

clean:
	rm -rf $(VENV) build dist demo site .mypy_cache .ruff_cache .pytest_cache .hypothesis
