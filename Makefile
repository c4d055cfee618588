# Two commands on a fresh machine:   make demo   and   make test
PYTHON ?= python3
VENV ?= .venv
RUNS ?= runs/demo
PYTEST_ARGS ?= -n 2 --dist worksteal
DEMO ?= bench --task routing --scenario stationary \
	--policies random,round_robin,jsq,least_work_left,sect_blind,sect_static,sect_watchdog,oracle \
	--episodes 20 --seed 1000 --out $(RUNS) --overwrite

BIN := $(VENV)/bin
# torch is never installed unpinned.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test venv lint format types docs coverage clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed-plot
	$(BIN)/edge-gym $(DEMO)

test: $(VENV)/.installed-test
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

venv: $(VENV)/.installed-dev

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-dev
	$(BIN)/pyrefly check

# The site, to docs/_build/html: tutorials are executed, warnings are errors, nothing is fetched.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx --nitpicky --fail-on-warning --keep-going --quiet docs docs/_build/html

# Branch coverage of everything, of the kernel (uncompiled), of parsers and guards; fails below the limits.
coverage: $(VENV)/.installed-test
	$(BIN)/python scripts/measure_coverage.py

clean:
	rm -rf docs/_build build dist runs .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of extras: nothing is installed twice until what is asked for changes.
$(VENV)/.installed-%: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[$*]'
	@touch $@
