# Two commands need nothing else: `make demo` and `make test`. Both set the environment up first.
.PHONY: setup demo test check fix bench requirements clean
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

help:
	@echo "make setup | demo | test | check | fix | bench | requirements | clean"

# uv comes from the machine, or into .uv/ where it is missing.
$(STAMP): requirements.txt pyproject.toml
	@UV=$$(command -v uv || echo .uv/bin/uv); \
	if [ ! -x "$$(command -v $$UV)" ]; then \
	  $(PYTHON) -m venv .uv && .uv/bin/python -m pip install --quiet uv; \
	fi; \
	[ -x $(BIN)/python ] || $$UV venv --quiet --python '>=3.11' $(VENV); \
	$$UV pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.txt && \
	$$UV pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(STAMP)

demo: setup
	$(BIN)/ihc-quant demo

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/runtimes.py
	$(BIN)/python benchmarks/tiling.py
	$(BIN)/python benchmarks/reading_paths.py
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/interval_coverage.py
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/soft_scans.py
	$(BIN)/python benchmarks/scheduling.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/kill.py
	$(BIN)/python benchmarks/hostile_batch.py
	$(BIN)/ihc-quant demo -o out/demo
	$(BIN)/python benchmarks/proposed_infiltrate.py out/demo
	$(BIN)/python benchmarks/sample_biopsies.py out/demo
	$(BIN)/python benchmarks/visibility.py
	$(BIN)/python benchmarks/rerender.py out/demo

# The pins name versions and no index host.
requirements:
	uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --group dev --all-extras --output-file requirements.txt pyproject.toml

clean:
	rm -rf $(VENV) .uv out build *.egg-info
