# make          sets up .venv where needed, then validates a strategy walk-forward on 20 years of the S&P 500 index
# make test     every test: unit, server, notebooks, browser
# make lint     ruff, mypy, import contracts, TypeScript, clean templates
# make lab      opens JupyterLab with the panel of runs
# make conformance   compares with other engines and published numbers, and writes docs/conformance.md
# make calibrate     tries the inference on worlds whose truth is known, and writes docs/calibration.md
# make bench    measures the speed of the engine and writes the table of the README
# make clean    removes what was built here
#
# make PY=python3.12 takes another Python (3.11 or newer).

PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTENSION := $(wildcard extension/*.json extension/yarn.lock extension/src/* extension/src/*/* extension/style/* extension/schema/* extension/jupyter-config/*)

export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: all demo test lint lab bench calibrate conformance constraints clean
.DELETE_ON_ERROR:

all: demo

demo: $(READY)
	$(BIN)/kernelkit run walk_forward --out runs/
	@echo "Open the report in a browser: $$(ls -t runs/*/report.html | head -n 1)"

test: $(READY)
	$(BIN)/python .ci/steps.py test

lint: $(READY)
	$(BIN)/python .ci/steps.py lint

lab: $(READY)
	$(BIN)/jupyter lab $$([ "$$(id -u)" -ne 0 ] || echo --allow-root)

conformance: $(READY)
	$(BIN)/python -m pytest -q -m oracle --conformance docs/conformance.md tests

calibrate: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.calibration.table docs/calibration.md

bench: $(READY)
	$(BIN)/python .ci/steps.py bench

$(READY): pyproject.toml constraints.txt $(EXTENSION)
	@command -v $(PY) > /dev/null || { echo "kernelkit needs Python 3.11 or newer, and there is no $(PY). Say which one to use: make PY=python3.12" >&2; exit 1; }
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "kernelkit needs Python 3.11 or newer, and $(PY) is $$($(PY) -V 2>&1). Say which one to use: make PY=python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PY) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@echo "Installing into $(VENV), a minute or two ..."
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --build-constraint constraints.txt --editable '.[lab,cluster,notify,optimize,test]'
	touch $@

# Pins every extra but gpu and ccxt, which demands exact versions of its own, for all platforms and Pythons; keeps the pins that still fit (delete the file for the newest).
constraints: $(READY)
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --no-header --no-annotate \
	  --extra lab --extra cluster --extra notify --extra optimize --extra portfolio --extra test --output-file constraints.txt

clean:
	rm -rf $(VENV) build dist extension/lib extension/node_modules kernelkit/labextension
