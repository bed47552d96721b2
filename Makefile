# Everything runs in a virtual environment made from requirements.lock:  make book | pdf | test | bench | lint | serve | lab
PYTHON ?= python3
VENV ?= .venv
OUT ?= .
PROFILE ?= quick
PORT ?= 8000
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: environment book test bench lint serve lab pdf check-full lock clean
.DEFAULT_GOAL := book

# The stamp is written last: an interrupted installation is continued by the next make.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ferlib needs Python 3.11 or newer; say which with  make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

environment: $(READY)

book: $(READY)
	$(BIN)/ferlib book build --profile $(PROFILE) --out $(OUT)

test: $(READY)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

check-full: $(READY)
	$(BIN)/python -m pytest -m full

bench: $(READY)
	$(BIN)/ferlib bench

lint: $(READY)
	$(BIN)/ruff check ferlib tests data_scripts book
	$(BIN)/ruff format --check ferlib tests data_scripts
	$(BIN)/mypy
	$(BIN)/codespell

serve: $(READY)
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory $(OUT)/_build/html $(PORT)

lab: $(READY)
	$(BIN)/jupyter lab book

pdf: book
	$(BIN)/ferlib book pdf --out $(OUT)

lock: $(READY)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-header --no-annotate --output-file requirements.lock

clean:
	rm -rf $(OUT)/_build $(OUT)/results $(OUT)/logs
