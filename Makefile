# make demo | make test | make test-long | make test-older | make matrix | make test-device | make check | make wheel | make bench | make claims | make docs | make site
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 3

.PHONY: demo test test-long test-older matrix test-device check wheel format bench claims docs site links clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "remission needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)          ## fetch the data, run the quickstart, print its table, write its report
	$(BIN)/remission data fetch fashion-mnist
	$(BIN)/remission demo --store demo/store --report demo/report.html

test: $(STAMP)          ## all tests but the long ones, the claims and those on a pretended device
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not (claims or long)" --ignore tests/device

test-long: $(STAMP)     ## tests that take long: Ray, estimates, killed victims, further claims about attacks
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "long and not claims"

matrix: $(STAMP)        ## the same under every order of summation that this processor has; takes hours
	$(BIN)/python tools/matrix.py build/matrix

test-device: $(STAMP)   ## every method on a pretended accelerator, which finds tensors on two devices
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not claims" tests/device

# The instructions of an older processor: another order of summation, so other last digits.
OLDER := $(shell if grep -qw avx512f /proc/cpuinfo 2>/dev/null; \
	then echo ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2; \
	else echo ONEDNN_MAX_CPU_ISA=SSE41 ATEN_CPU_CAPABILITY=default; fi)
NUMERIC := tests/effects tests/reference tests/unit/models tests/test_examples.py tests/test_readme.py \
	tests/unit/grid/stages/test_execute_all_to_all.py

test-older: $(STAMP)    ## tests of trained or summed numbers, as an older processor computes them
	env $(OLDER) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(NUMERIC)

check: $(STAMP)         ## formatter, linter, strict types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

wheel:                  ## build the wheel, install it into an empty environment, try it there
	PYTHON=$(PYTHON) tools/try_wheel.sh

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)         ## speed against a floor and against the naive way, in one run
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/retunings.py
	$(BIN)/python benchmarks/methods.py
	$(BIN)/python benchmarks/tables.py
	$(BIN)/python benchmarks/sharing.py

claims: $(STAMP)        ## re-measure a sample of results/ and compare
	$(BIN)/python -m pytest -m claims

docs: $(STAMP)          ## what is generated: the catalogue, the method table, the table of results
	$(BIN)/python tools/generate.py

$(VENV)/.site: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,site]'
	touch $@

site: $(VENV)/.site     ## the documentation as a site in build/site; runs the examples; warnings are errors
	MPLBACKEND=agg OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -q -b html docs build/site

links: $(VENV)/.site    ## whether the links of the site that lead elsewhere still lead somewhere; needs a network
	MPLBACKEND=agg $(BIN)/python -m sphinx -q -D plot_gallery=0 -b linkcheck docs build/links

clean:
	rm -rf demo build dist docs/auto_examples .pytest_cache .mypy_cache .ruff_cache
