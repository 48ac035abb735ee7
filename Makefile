# Every target does its own set-up. PYTHON: a Python 3.11 or newer.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
BOOK := $(VENV)/.book
ALL := $(VENV)/.installed
# pip compiles nothing: a module is compiled where it is first imported, and most never are.
PIP := $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt
unexport PYTHONDONTWRITEBYTECODE

.PHONY: book html pdf paper test test-all lint types tests outputs-pages strict browser bits long slurm check bench env clean

book: $(BOOK)
	@$(BIN)/emonb update --html

html: $(BOOK)
	$(BIN)/emonb html

pdf: html
	$(BIN)/python book/_ext/printing.py

# the short paper alone
paper: html
	$(BIN)/python book/_ext/printing.py --page book/paper --out _build/paper.pdf

# Every part below, whatever the others say; the last lines say how each ended.
test: $(ALL)
	@$(BIN)/python tests/suite.py

test-all: $(ALL)
	@$(BIN)/python tests/suite.py --all

lint: $(ALL)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	rm -rf _build/chapters && $(BIN)/jupytext --quiet --to ../../_build/chapters//ipynb book/chapters/*.md
	$(BIN)/ruff check --line-length 100 --ignore D,I001,T201 _build/chapters/*.ipynb
	$(BIN)/ruff format --check --line-length 100 _build/chapters/*.ipynb

types: $(ALL)
	$(BIN)/mypy

tests: $(ALL)
	$(BIN)/python -m pytest -n 2 --dist loadfile tests emonb book/_ext --doctest-modules --ignore tests/test_browser.py

# of one edition: outputs-control, ...; of the pages around them: outputs-pages
outputs-pages: $(ALL)
	$(BIN)/python -m pytest --nbval -p no:xdist book/*.ipynb

outputs-%: $(ALL)
	$(BIN)/python -m pytest --nbval -p no:xdist book/$*

strict: $(ALL)
	$(BIN)/emonb html --clean

browser: $(ALL)
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/test_browser.py

bits: $(ALL)
	$(BIN)/python benchmarks/same_bits.py --furthest

long: $(ALL)
	$(BIN)/python -m pytest -m ci tests

slurm: $(ALL)
	workflow/test-slurm

check: $(BOOK)
	$(BIN)/emonb check published

env: $(ALL)

$(BOOK): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "emonb needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) --editable '.[book]'
	touch $@

$(ALL): $(BOOK)
	$(PIP) --editable '.[book,cluster,test]'
	touch $@

bench: $(ALL)
	for row in searchlight permutations neuron_rdms opening tuning lesions readout minilm scaling chapters; do \
	  $(BIN)/python benchmarks/$$row.py || exit 1; done
	for row in tuning lesions readout; do $(BIN)/python benchmarks/$$row.py --dtype bfloat16 || exit 1; done
	$(BIN)/python benchmarks/table.py

clean:
	rm -rf _build runs
