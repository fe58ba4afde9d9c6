# All that is assumed: python3 (3.11 or newer) and make. The environment is .venv, with the versions in constraints.txt.
PYTHON ?= python3
# more for pip, for instance: make test PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: help demo test torture test-browser lint audit docs bench clean

help:
	@echo "make demo   simulate a cohort, train, generate, evaluate: writes demo-output/report.html"
	@echo "make test   run the tests"
	@echo "make torture  run the long tests: kills, full disks, whole runs of benchmark scripts"
	@echo "make test-browser  run those of the report in a browser; chromium must be installed"
	@echo "make lint   ruff and mypy"
	@echo "make docs   build the documentation into site/, check its links, run its examples and notebooks"
	@echo "make audit  what is installed: whole, pinned, licensed, declared"
	@echo "make bench  run the scripts in benchmarks/"
	@echo "make clean  remove .venv, demo-output and caches"

demo: $(INSTALLED)
	$(BIN)/pgcgan demo -o demo-output --force

test: $(INSTALLED)
	$(BIN)/pytest --numprocesses auto --dist worksteal

torture: $(INSTALLED)
	$(BIN)/pytest -m torture

test-browser: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt $(PIP_ARGS) --group browser
	$(BIN)/pytest tests/browser

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt $(PIP_ARGS) --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	$(BIN)/pytest tests/pages
	@echo "The documentation: site/index.html"

audit: $(INSTALLED)
	$(BIN)/python -m pip check
	$(BIN)/python .ci/audit

bench: $(INSTALLED)
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "pgcgan needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
	    echo "Name another one, for example: make $(or $(MAKECMDGOALS),test) PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing into .venv; the first time takes a few minutes …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --build-constraint constraints.txt \
	    $(PIP_ARGS) --editable '.[gan,frame,xarray,plink,zarr,dask,private]' --group dev
	@touch $@

clean:
	rm -rf .venv demo-output site .pytest_cache .ruff_cache .mypy_cache .hypothesis dist build
