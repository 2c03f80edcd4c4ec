.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
JS := .ci/js
READY_JS := $(JS)/node_modules/.ready
DEMO ?= demo-out
# Two processes of one thread each. Work-stealing leaves the tests of a module together, and so
# makes what they share once, not in both.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal
# Else every process would compile all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo start-weights test test-all docs lint format lock clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 10

# A stamp is written last, so that an interrupted set-up starts over. uv takes versions from the
# lock as from any constraint, and refuses a file that has none of the hashes there.
$(READY): requirements.lock pyproject.toml
	@echo "setting up $(VENV) (once; most of it is PyTorch)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement <(awk '/^[a-z]/ {of_uv = /^uv==/} of_uv' requirements.lock)
	$(INSTALL) --constraints requirements.lock -r pyproject.toml --extra all
	$(INSTALL) --build-constraints requirements.lock --no-deps --editable .
	@touch $@

$(READY_DEV): $(READY)
	$(INSTALL) --compile-bytecode --require-hashes -r requirements.lock
	@touch $@

setup: $(READY_DEV)  ## make .venv with the locked versions, of tools and tests too

# A small network trains faster on one thread than on two that wait for each other at every layer;
# and threads that wait by spinning take the processor from each other where others want it too.
demo: export OMP_WAIT_POLICY = passive
demo: $(READY)  ## sample strips -> dataset -> classifier -> inspection report
	$(BIN)/severstal-prep sample --out $(DEMO)/strips --strips 240 --holdout 8 --seed 0
	$(BIN)/severstal-prep build --csv $(DEMO)/strips/train.csv --images $(DEMO)/strips/train_images \
	  --out $(DEMO)/dataset
	OMP_NUM_THREADS=1 $(BIN)/defect-train fit --config demo --data.root $(DEMO)/dataset --out $(DEMO)/run
	$(BIN)/defect-train test --run $(DEMO)/run --data.root $(DEMO)/dataset
	$(BIN)/defect-inspect run --bundle $(DEMO)/run/bundle --batch $(DEMO)/strips/test_images \
	  --out $(DEMO)/report

# Strips of another seed than the demo's; bf16, as where the weights were made. The head is left out,
# so that the demo has something to learn; and as the same seed gives it the same first head again,
# the features (conv5) are put in another order: with their own they would know the classes already.
start-weights: $(READY)  ## train anew what the demo starts from (ten minutes)
	$(BIN)/severstal-prep sample --out $(DEMO)/start/strips --strips 1200 --seed 1
	$(BIN)/severstal-prep build --csv $(DEMO)/start/strips/train.csv \
	  --images $(DEMO)/start/strips/train_images --out $(DEMO)/start/dataset
	OMP_NUM_THREADS=1 $(BIN)/defect-train fit --config demo --data.root $(DEMO)/start/dataset \
	  --out $(DEMO)/start/run --model.weights none --model.optimizer.init_args.lr 0.005 \
	  --model.schedule.init_args.warmup 1 --data.epoch_crops 2048 --trainer.max_epochs 10 \
	  --trainer.precision bf16-mixed
	$(BIN)/python -c 'import sys, safetensors.torch as s; s.save_file({ \
	  name: (tensor.flip(0) if name.startswith("conv5.") else tensor).half().contiguous() \
	  for name, tensor in s.load_file(sys.argv[1]).items() \
	  if tensor.is_floating_point() and not name.startswith("fc.")}, sys.argv[2])' \
	  $(DEMO)/start/run/bundle/weights.safetensors training/recipes/demo.safetensors

test: $(READY_DEV)  ## run the tests, but for the slow ones
	$(PYTEST) -m "not slow" $(ARGS)

test-all: $(READY_DEV)  ## run all tests
	$(PYTEST) $(ARGS)

docs: $(READY_DEV)  ## build the documentation site: build/docs/index.html
	$(BIN)/python -m sphinx -q -W --keep-going -d build/doctrees docs build/docs

$(READY_JS): .ci/js/package-lock.json $(READY_DEV)
	cd $(JS) && PATH="$(abspath $(BIN)):$$PATH" npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

lint: $(READY_DEV) $(READY_JS)  ## ruff and mypy; tsc and ESLint for the report's scripts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/node $(JS)/node_modules/typescript/bin/tsc --project $(JS)
	$(BIN)/node $(JS)/node_modules/eslint/bin/eslint.js --config $(JS)/eslint.config.mjs inspection

format: $(READY_DEV)  ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(READY_DEV)  ## resolve pyproject.toml into requirements.lock anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev \
	  --no-emit-index-url --no-annotate --generate-hashes --upgrade pyproject.toml -o requirements.lock

clean:  ## remove .venv, the demo's output and caches
	rm -rf $(VENV) $(JS)/node_modules $(DEMO) *.egg-info build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
