# make demo   set everything up, let the bots play the example worlds, and say where to look
# make test   every check of this repository, in the same environment
# make serve  the feed of cleared worlds on http://127.0.0.1:8000
# make web    compile the pages' TypeScript after a change of it (what it makes is committed)
#
# Debian packages in use: python3-venv, npm, libgl1 and libglib2.0-0; the tests also use chromium, espeak-ng,
# flite and fonts-dejavu-core.
# As root, missing ones are installed; otherwise the command to run is printed.

SHELL := bash
PYTHON ?= python3
BIN := .venv/bin
STATE := $(or $(FIRSTPLAY_HOME),.firstplay)
EXAMPLES := $(patsubst %/world.yaml,%,$(wildcard examples/*/world.yaml))
INSTALLED := .venv/installed
# One thread per process: small batches on shared cores are slower with more.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test serve web models format clean
.DEFAULT_GOAL := demo

# `review` exits with 1 when it cleared some worlds and stopped others, as it should here.
demo: models
	@[[ -t 1 ]] || export COLUMNS=160; $(BIN)/firstplay review $(EXAMPLES) || [[ $$? == 1 ]]
	@echo
	@echo "Look at the evidence:      $(STATE)/report/index.html"
	@echo "Play what was cleared:     make serve, then open http://127.0.0.1:8000"

test: export CI ?= true
test: models
	@PYTHON=$(PYTHON) bash .ci/debian test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --cov --cov-report=term

serve: $(INSTALLED)
	$(BIN)/firstplay serve

web:
	cd feedapi/web && npm install --ignore-scripts --no-package-lock --no-audit --no-fund && npx tsc

models: $(INSTALLED)
	@$(BIN)/firstplay models fetch --all

$(INSTALLED): pyproject.toml constraints.txt
	@PYTHON=$(PYTHON) bash .ci/debian demo
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv feedapi/web/node_modules build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
