# Two commands on a fresh machine: `make demo` and `make test`. Each sets up its own .venv.
PYTHON ?= python3
VENV   ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
ARGS ?=

.PHONY: demo test lint format bench clean help

help:
	@echo "make demo [ARGS=--once]   set up and play the main story on loopback"
	@echo "make test [ARGS=-k name]  the whole test suite"
	@echo "make lint                 ruff and mypy"
	@echo "make bench                remit beside the bare MCP SDK, in one run"

# Stamps hold what was installed, so a second run starts at once.
$(VENV)/.run: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . >&2
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev >&2
	@touch $@

# In a folder that stays, so that mcp.json.example works as it stands.
demo: $(VENV)/.run
	@$(BIN)/remit demo --dir .demo $(ARGS)

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	@$(BIN)/python -m bench $(ARGS)

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
