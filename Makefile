PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
# Four at once also on two cores: many tests wait, for processes that they kill or for pages to load.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 --dist worksteal

# Where the environment forbids bytecode, each of the hundreds of processes that tests start would parse all it imports: half of its start.
export PYTHONDONTWRITEBYTECODE =

# Lint, types and kernels side by side: each leaves cores idle.
MAKEFLAGS += --jobs=2

.PHONY: build test check lint types kernels clean

# One command from a fresh clone to a corpus: set-up of what text needs, then the embedded sample.
build: $(VENV)/.core
	$(BIN)/python -m pipeline.build cc100-ja

# Lint, types and the whole test-suite.
test: lint types kernels
	HYPOTHESIS_PROFILE=$${HYPOTHESIS_PROFILE:-ci} $(PYTEST)

# Lint, types and the tests that are quick: what one runs again and again while working.
check: lint types kernels
	$(PYTEST) -m "not e2e and not train and not fuzz"

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

# Kernels are compiled before tests start: processes that start at once would each compile all of them.
KERNELS = $(shell grep -rlE "^@(jit|inline)" --include=*.py filters pipeline tokenizer trainers)
kernels: $(VENV)/.kernels
$(VENV)/.kernels: $(KERNELS) tests/support/kernels.py $(VENV)/.installed
	$(BIN)/python -m tests.support.kernels
	touch $@

# What builds of text and of images need; `.installed` has the rest, for tests and trainers, in the same environment.
# One whose installation was interrupted is made afresh. What is imported is compiled then; compiled ahead, all would take a tenth more.
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore --no-compile
$(VENV)/.core: pyproject.toml
	@if test -e $(VENV)/.installing; then rm -rf $(VENV); fi
	@mkdir -p $(VENV) && touch $(VENV)/.installing
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -e . --config-settings editable_mode=compat
	@rm $(VENV)/.installing
	touch $@

$(VENV)/.installed: $(VENV)/.core
	@rm $(VENV)/.core && touch $(VENV)/.installing
	$(PIP_INSTALL) -e '.[dev]' --config-settings editable_mode=compat
	@rm $(VENV)/.installing && touch $(VENV)/.core
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
