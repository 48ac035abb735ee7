# Every target does its own set-up. PYTHON: a Python 3.11 or newer.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: book html pdf test lint check bench env clean

book: $(STAMP)
	@$(BIN)/emonb update; same=$$?; $(BIN)/emonb html && exit $$same

html: $(STAMP)
	$(BIN)/emonb html

pdf: html
	$(BIN)/emonb pdf

test: $(STAMP) lint
	$(BIN)/python -m pytest -n 2 --dist loadfile tests emonb --doctest-modules --ignore tests/test_browser.py
	export OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1; \
	$(BIN)/python -m pytest --nbval -p no:xdist book/minilm book/control & \
	$(BIN)/python -m pytest --nbval -p no:xdist book --ignore book/minilm --ignore book/control; rest=$$?; wait $$! && exit $$rest
	$(BIN)/emonb html --clean
	$(BIN)/python -m pytest tests/test_browser.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	rm -rf _build/chapters && $(BIN)/jupytext --quiet --to ../../_build/chapters//ipynb book/chapters/*.md
	$(BIN)/ruff check --line-length 100 --ignore D,I001 _build/chapters/*.ipynb
	$(BIN)/ruff format --check --line-length 100 _build/chapters/*.ipynb

check: $(STAMP)
	$(BIN)/emonb check published

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "emonb needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[book,cluster,test]'
	touch $@

bench: $(STAMP)
	for row in searchlight permutations neuron_rdms opening tuning lesions readout minilm scaling chapters; do \
	  $(BIN)/python benchmarks/$$row.py || exit 1; done
	for row in tuning lesions readout; do $(BIN)/python benchmarks/$$row.py --dtype bfloat16 || exit 1; done
	$(BIN)/python benchmarks/table.py

clean:
	rm -rf _build runs
