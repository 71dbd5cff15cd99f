# Everything runs in a virtual environment of its own; downloads lie under .cache. `make clean` removes both.
PYTHON ?= python3
VENV   := .venv
CACHE  := $(CURDIR)/.cache
BIN    := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# A worker per core of the smallest machine meant; a file's tests stay together and share what they exported.
PARALLEL ?= -n 2 --dist loadfile
RUN    := EDGEKIT_TEST_CACHE="$(CACHE)" $(BIN)/python

.PHONY: demo test test-optimum test-pi check bench fuzz clean

demo: $(VENV)/ready     ## export SmolLM2-135M-Instruct and let it answer
	$(RUN) -m edgekit demo --cache "$(CACHE)"

test: $(VENV)/ready     ## everything: lint, types, imports, all tests (fetches the real models once)
	$(MAKE) --no-print-directory lint
	$(RUN) -m pytest -m "not optimum" $(PARALLEL)

check: $(VENV)/ready    ## what a commit must pass: no network, under a minute
	$(MAKE) --no-print-directory lint
	$(RUN) -m pytest -m "not slow and not optimum" -q $(PARALLEL)

.PHONY: lint
lint: $(VENV)/ready
	$(BIN)/ruff check -q .
	$(BIN)/ruff format --check -q .
	$(BIN)/mypy
	PYTHONPATH="exporters$(if $(filter Windows_NT,$(OS)),;,:)runtimes" $(BIN)/lint-imports --no-cache > .lint-imports.log || (cat .lint-imports.log; exit 1)

bench: $(VENV)/ready    ## measure: memory, load, speed beside the peers, quality (long; wants a quiet machine)
	$(RUN) benchmarks/run.py

# atheris has wheels for Linux alone, so it gets an environment of its own. RUNS=1000 for less, READERS=gguf for one.
RUNS    ?= 100000
READERS ?=

fuzz: $(CACHE)/fuzz-venv/ready  ## mutated checkpoints, GGUF files, manifests, tokenizers and templates (long)
	$(CACHE)/fuzz-venv/bin/python tests/fuzz/run.py $(READERS) --runs $(RUNS) --keep "$(CACHE)/fuzz"

$(CACHE)/fuzz-venv/ready: pyproject.toml
	$(PYTHON) -m venv $(CACHE)/fuzz-venv
	$(CACHE)/fuzz-venv/bin/python -m pip install -q --disable-pip-version-check -e ".[export]" "atheris>=3.0"
	@touch $@

# Nobody who runs `make test` must fetch torch, and its versions of transformers are older than others want: an
# environment of its own. Where it cannot be made, that is an error and says so.
OPTIMUM     := $(CACHE)/optimum-venv
OPTIMUM_BIN := $(OPTIMUM)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)

test-optimum: $(OPTIMUM)/ready  ## `export --via optimum` against transformers (fetches torch once, 200 MB to 3 GB)
	EDGEKIT_TEST_CACHE="$(CACHE)" $(OPTIMUM_BIN)/python -m pytest -m optimum tests/test_optimum.py tests/test_car_training.py

$(OPTIMUM)/ready: pyproject.toml
	$(PYTHON) -m venv $(OPTIMUM)
	@$(OPTIMUM_BIN)/python -m pip install -q --disable-pip-version-check -e ".[optimum,openvino,test]" \
	    && $(OPTIMUM_BIN)/python -c "import torch, optimum.exporters.onnx" \
	    || { echo "NOT RUN: the tests of --via optimum: see above why their environment cannot be made." >&2; \
	         echo "It needs torch 2.13.0, which not every Python and platform has." >&2; exit 1; }
	@touch $@

# Emulated processors by QEMU, in a Debian for arm64: what is missing of both is installed where this is root on Debian.
test-pi: $(VENV)/ready  ## the built wheel on a Raspberry Pi 4 and 5: contract suites, command line, examples
	PYTHONPATH=tests $(RUN) tests/pi/run.py --cache "$(CACHE)/pi"

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) .cache .lint-imports.log build dist .mypy_cache .ruff_cache .pytest_cache
