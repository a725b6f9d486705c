# make run          install what the dashboard needs, build the store, open the dashboard
# make run PORT=N   … on that port
# make gpu          install the GPU extra (torch, diffusers) for costlab bench
# make screenshots  the pictures of every page under docs/
# make test         the whole check: format, lint, types, layers, tests, doctests

PORT   ?= 8501
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN    := .venv/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
HAS_GPU := $(shell nvidia-smi >/dev/null 2>&1 && echo gpu)

.PHONY: run gpu test store screenshots clean

run: .venv/.installed-$(or $(HAS_GPU),app)
	@exec $(BIN)/costlab dashboard --port $(PORT)

gpu: .venv/.installed-gpu

test: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest $(TESTS)

store: .venv/.installed-app
	$(BIN)/costlab store build

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "costlab needs Python 3.11 or newer; name one with make PYTHON=…")'
	$(PYTHON) -m venv .venv

.venv/.installed-app: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

.venv/.installed-gpu: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[gpu]'
	@touch $@ .venv/.installed-app

.venv/.installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	@touch $@ .venv/.installed-app .venv/.installed-gpu

screenshots: .venv/.installed-dev
	$(BIN)/python docs/screenshots.py

clean:
	rm -rf .venv .costlab build dist
