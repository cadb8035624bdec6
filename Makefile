PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin

.PHONY: build test lint types check clean

# One command from a fresh clone to a corpus: set-up, then the embedded sample.
build: $(VENV)/.installed
	$(BIN)/python -m pipeline.build cc100-ja

# Lint, types and the whole test-suite.
test: $(VENV)/.installed lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
