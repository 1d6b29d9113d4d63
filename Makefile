# make demo: see it work.  make test: run every test.  make check: format, lint, types, import rules.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c infra/constraints.txt

.PHONY: demo test check format bench clean

demo: $(VENV)/.demo
	@$(BIN)/python -m imageyard.service.demo $(if $(IMAGES),--images "$(IMAGES)")

test: $(VENV)/.dev $(VENV)/.tools
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python tests/bench/engine.py
	$(BIN)/python tests/bench/throughput.py
	$(BIN)/python tests/bench/lines.py
	$(BIN)/python tests/bench/search.py
	$(BIN)/python tests/bench/keeping.py
	$(BIN)/python tests/bench/splits.py
	$(BIN)/python tests/bench/transformations.py
	$(BIN)/python tests/bench/tags.py
	$(BIN)/python tests/bench/api_load.py

clean:
	rm -rf $(VENV) .imageyard

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Imageyard needs Python 3.11 or newer; name one: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)

# torch is named first and pinned, so that no other package chooses a build for it.
$(VENV)/.demo: pyproject.toml infra/constraints.txt | $(BIN)/pip
	@echo "installing what the demo needs (a few minutes the first time) …"
	@$(PIP) torch==2.13.0 -e '.[demo]'
	@$(BIN)/python -m imageyard.ray_jobs.warm
	@touch $@

$(VENV)/.dev: pyproject.toml infra/constraints.txt | $(BIN)/pip
	@echo "installing what the tests need (a few minutes the first time) …"
	@$(PIP) torch==2.13.0 -e '.[dev]'
	@$(BIN)/python -m imageyard.ray_jobs.warm
	@touch $@ $(VENV)/.demo

# Servers and checkers that tests start as programs. They pin libraries of ours to other versions, hence apart.
$(VENV)/.tools: infra/tools.txt | $(BIN)/pip
	@echo "installing the servers and checkers that the tests start …"
	$(PYTHON) -m venv $(VENV)/tools
	@$(VENV)/tools/bin/pip install --quiet --disable-pip-version-check -r infra/tools.txt
	@touch $@
