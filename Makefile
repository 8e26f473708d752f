# make demo   train, score and draw on a small data set that is made on the spot (CPU, minutes)
# make test   lint and run the tests
# Both set up .venv first. PYTHON chooses the interpreter, 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
UV := uv==0.13.9

DEMO := output/demo
DATA := datasets/embedded
# Idle OpenMP threads must not spin: the two cores are shared with the data loading.
export OMP_WAIT_POLICY := passive

.PHONY: demo test lint setup clean
setup: .venv/installed

# uv installs the same pinned packages several times faster than pip; pip is the fall-back, and knows pip.conf.
.venv/installed: requirements.txt requirements-dev.txt setup.py tools/install_detectron2.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	( $(BIN)/pip install --quiet $(UV) && \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt ) || \
	  $(BIN)/pip install --quiet -r requirements-dev.txt
	$(BIN)/python tools/install_detectron2.py
	$(BIN)/pip install --quiet --no-build-isolation --no-deps --editable .
	$(BIN)/python -m simplevtr.env
	touch $@

test: setup lint
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf .venv *.egg-info .pytest_cache .ruff_cache
