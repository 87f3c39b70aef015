# Every target sets itself up first; `make help` says what each does.
PYTHON ?= python3
BIN := .venv/bin
MODE := $(if $(filter-out 0,$(QUICK)),quick,published)
BUILD := docs/_build/$(MODE)
# Where the gallery scripts publish and the chapter reads, apart for each protocol: a preview costs no result.
REPORT = MLPERF_QUICK=$(if $(filter quick,$(MODE)),1,0) MLPERF_RESULTS="$(CURDIR)/docs/_results/$(MODE)" MLPERF_COMPARE="$(OTHER)"
SPHINX = $(REPORT) $(BIN)/python -m sphinx -n -W --keep-going -d $(BUILD)/doctrees docs

.PHONY: help setup html html-noplot compare test lint serve linkcheck clean
help:  ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

setup:
	@command -v $(PYTHON) >/dev/null || { echo "The report needs Python 3.11, 3.12 or 3.13, and there is no $(PYTHON)." >&2; exit 1; }
	@$(PYTHON) .ci/setup .venv

html: setup  ## run the analysis where it is out of date and build the report (QUICK=1: a preview on small settings)
	@start=$$(date +%s); $(SPHINX) -b html $(BUILD)/html && echo "Built in $$(($$(date +%s) - start)) s. The report: $(BUILD)/html/index.html"

html-noplot: setup  ## build the report from the results that are there, running nothing
	@$(SPHINX) -b html -D plot_gallery=0 $(BUILD)/html && echo "The report: $(BUILD)/html/index.html"

compare:  ## the same beside other results: make compare OTHER=path/to/results
	@test -n "$(OTHER)" || { echo "Name the results to compare with: make compare OTHER=path/to/results" >&2; exit 1; }
	@$(MAKE) html

test: setup  ## run the tests
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: setup  ## check style, types and docstrings
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/python -m numpydoc.hooks.validate_docstrings mlperf/*.py

serve: html  ## build the report and show it on http://localhost:8000
	@$(BIN)/python -m http.server 8000 --bind localhost --directory $(BUILD)/html

linkcheck: setup  ## check every link that leaves the report (needs the network)
	@$(SPHINX) -b linkcheck -d $(BUILD)/linkcheck-doctrees -D plot_gallery=0 $(BUILD)/linkcheck

clean:  ## remove everything built and measured; .venv stays
	rm -rf docs/_build docs/_results docs/auto_examples* docs/gen_modules docs/sg_execution_times.rst
