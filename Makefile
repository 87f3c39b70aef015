# Every target sets itself up first; `make help` says what each does.
BIN := .venv/bin
# Settings are read literally: in what a user gives, nothing is expanded.
override QUICK := $(value QUICK)
override FULL := $(value FULL)
override DEVICE := $(or $(value DEVICE),cpu)
MODE := $(if $(filter-out 0,$(QUICK)),quick,published)
ifneq ($(words $(DEVICE)) $(filter-out cpu cuda mps,$(DEVICE)),1 )
$(error DEVICE must be cpu, cuda or mps)
endif
# Results on a device are kept apart, so that neither overwrites the other.
PLACE := $(MODE)$(if $(filter-out cpu,$(DEVICE)),-$(DEVICE))
BUILD := docs/_build/$(PLACE)

# Settings of a user reach the commands through the environment: neither make nor the shell expands them.
override OTHER := $(value OTHER)
override PYTHON := $(value PYTHON)
override PORT := $(or $(value PORT),8000)
export OTHER PYTHON PORT

# In a notebook's terminal, MPLBACKEND names a module that may not be installed here.
# Where the scripts publish and the chapter reads: apart for each protocol, so that a preview overwrites no result.
SETTINGS = MLPERF_QUICK=$(if $(filter quick,$(MODE)),1,0) MLPERF_FULL=$(if $(filter-out 0,$(FULL)),1,0) \
	MLPERF_DEVICE=$(DEVICE) MLPERF_RESULTS="$$PWD/docs/_results/$(PLACE)" MLPERF_COMPARE="$$OTHER" MPLBACKEND=agg
STRICT = -n -W --keep-going
# Pages are read and written on two cores. Scripts are not: what they measure needs the machine to itself (docs/conf.py).
SPHINX = $(SETTINGS) $(BIN)/python -m sphinx $(STRICT) -j 2 -d $(BUILD)/doctrees docs

.PHONY: help setup html html-noplot compare test lint serve linkcheck pdf clean
help:  ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

# An existing environment keeps its Python; naming another one, as in PYTHON=python3.13, creates it anew.
setup:  ## create .venv and install the pinned requirements (every other target begins with it)
	@python="$${PYTHON:-$$(test -x $(BIN)/python && echo $(BIN)/python || echo python3)}"; \
	command -v "$$python" >/dev/null || { echo "The report needs Python 3.11 or newer, and there is no $$python." >&2; exit 1; }; \
	"$$python" .ci/setup .venv

html: setup  ## run the analysis where it is out of date and build the report (QUICK=1: a preview; FULL=1: with the long experiments; DEVICE=cuda: train on the GPU)
	@test $(DEVICE) = cpu || $(BIN)/python .ci/check-device $(DEVICE)
	@start=$$(date +%s); $(SPHINX) -b html $(BUILD)/html && echo "Built in $$(($$(date +%s) - start)) s. The report: $(BUILD)/html/index.html"

html-noplot: setup  ## build the report from existing results, without running any script
	@$(SPHINX) -b html -D plot_gallery=0 $(BUILD)/html && echo "The report: $(BUILD)/html/index.html"

compare:  ## build the report with other results beside its own: make compare OTHER=path/to/results
	@test -n "$$OTHER" || { echo "Name the results to compare with: make compare OTHER=path/to/results" >&2; exit 1; }
	@$(MAKE) html

test: setup  ## run the tests (after any build that is under way)
	@$(BIN)/python .ci/wait docs/_build/.lock
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: setup  ## check style, types, docstrings, the direction of imports, and the results of other machines
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy
	@$(BIN)/python -c "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-logo'])"
	@find mlperf -name '*.py' -exec $(BIN)/python -m numpydoc lint {} +
	@$(BIN)/python -m mlperf.results check --accepted docs/machines

serve: html  ## build the report and show it on http://localhost:8000 (PORT=8001: on another port)
	@$(BIN)/python .ci/serve $(BUILD)/html "$$PORT"

linkcheck: setup  ## check every link that leaves the report (needs the network)
	@$(SPHINX) -b linkcheck -d $(BUILD)/linkcheck-doctrees -D plot_gallery=0 $(BUILD)/linkcheck

pdf: setup  ## build the chapter as a PDF (needs LaTeX)
	@command -v latexmk >/dev/null || { echo "The PDF needs LaTeX, and there is no latexmk (Debian: apt-get install latexmk texlive-xetex texlive-latex-extra texlive-fonts-recommended fonts-freefont-otf)." >&2; exit 1; }
	@$(SETTINGS) LATEXMKOPTS=-interaction=nonstopmode $(BIN)/python -m sphinx -M latexpdf docs $(BUILD) $(STRICT) && echo "The chapter: $(BUILD)/latex/performance.pdf"

clean:  ## remove everything built and measured; keep .venv and the history of the values
	rm -rf docs/_build docs/_results docs/auto_examples* docs/gen_modules docs/sg_execution_times.rst
	rm -rf build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
