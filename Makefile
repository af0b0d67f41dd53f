# make demo   search two spaces for the sparsest network, at most MINUTES each; pictures in demo/
# make test   every test but the slow ones, which `make test-slow` runs
# Both need nothing but Python 3.11+ and make: they set up .venv themselves, and use a compiler
# where there is one. PYTHON=python3.12 chooses another Python, MINUTES=1 a shorter demo.

PYTHON ?= python3
MINUTES ?= 3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow test-all random-models test-oldest test-newest test-integrations lint types docs serve \
	benchmark growth zoo model-cost release ci clean

$(VENV)/.demo: EXTRA = cli,plot
$(VENV)/.test: EXTRA = test
$(VENV)/.docs: EXTRA = docs
$(VENV)/.dev: EXTRA = dev
# What comes with it needs no stamp of its own any more.
$(VENV)/.dev: WITHIN = $(VENV)/.demo $(VENV)/.test $(VENV)/.docs

# A stamp for each set of extras, so that installing happens once.
SOURCES := $(wildcard prunelimits/*/native/*.[ch]pp)

$(VENV)/.%: pyproject.toml constraints.txt CMakeLists.txt $(SOURCES) .ci/install.py
	$(PYTHON) .ci/install.py $(VENV) $(EXTRA)
	@touch $@ $(WITHIN)

# Every network of widths 2-3-2-2-1 from 100 starts, then every one of 2-3-3-3-1 from one.
SEARCH = $(BIN)/prunelimits search --target 0.95 --symmetry network --order shuffled \
	--learning-rates 0.05 --schedules cosine --minutes $(MINUTES) --shard-size 256

demo: $(VENV)/.demo
	@mkdir -p demo
	$(SEARCH) --widths 2 3 2 2 1 --seeds 100 --store demo/2-3-2-2-1.sqlite --pictures demo/2-3-2-2-1
	$(SEARCH) --widths 2 3 3 3 1 --store demo/2-3-3-3-1.sqlite --pictures demo/2-3-3-3-1
	@echo "The paper's whole search, six recipes for each of 25,992 masks:"
	@echo "  $(BIN)/prunelimits search --target 0.95 --widths 2 3 3 3 1"

# A process a core, and so one thread of torch each; whole files, because fixtures are theirs.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

test: $(VENV)/.test
	$(PYTEST)

test-slow: $(VENV)/.test
	$(PYTEST) -m "slow and not long"

test-all: $(VENV)/.test
	$(PYTEST) -m ""

# Ten thousand random models by the laws of effective masks, where `make test-slow` tries 200. Takes hours;
# RANDOM_MODELS=4000:5000 for some of them.
RANDOM_MODELS ?= 10000
random-models: $(VENV)/.test
	PRUNELIMITS_RANDOM_MODELS=$(RANDOM_MODELS) $(PYTEST) -m "not long" --dist load tests/connectivity/test_random_models.py

# The whole range of versions that pyproject.toml promises, each end in an environment of its own.
# What old packages say of the new ones that they stand beside is no fault of ours.
test-oldest: AT_THIS_END = -W ignore::DeprecationWarning
test-oldest test-newest: test-%:
	$(PYTHON) .ci/install.py $(VENV)-$* test $*
	$(subst $(BIN),$(VENV)-$*/bin,$(PYTEST)) -m "not long" $(AT_THIS_END)

# With the trainers of other people, which bring many packages: in an environment of their own, that
# shares what the first one has, torch above all.
test-integrations: $(VENV)-integrations/.done
	OMP_NUM_THREADS=1 $(VENV)-integrations/bin/python -m pytest -q tests/integrations

$(VENV)-integrations/.done: $(VENV)/.test
	$(BIN)/python .ci/install.py $(VENV)-integrations test-integrations
	@touch $@

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports pyproject.toml --no-logo

types: $(VENV)/.dev
	$(BIN)/pyright

docs: $(VENV)/.docs
# Quietly it would drop the warnings that --strict is to count.
	$(BIN)/mkdocs build --strict

serve: $(VENV)/.docs
	$(BIN)/mkdocs serve --livereload

benchmark: $(VENV)/.test
	$(BIN)/python benchmarks/engine.py

growth: $(VENV)/.test
	$(BIN)/python benchmarks/growth.py

# The sdist and the wheel that are uploaded, in dist/, tried in an empty environment.
release:
	$(PYTHON) .ci/release.py $(VENV)-release

# An environment of its own, with libraries of networks. The zoo goes on where it was left.
$(VENV)-zoo/.made: benchmarks/zoo.txt constraints.txt .ci/install.py
	$(PYTHON) .ci/install.py $(VENV)-zoo benchmarks/zoo.txt
	@touch $@

zoo: $(VENV)-zoo/.made
	OMP_NUM_THREADS=1 $(VENV)-zoo/bin/python benchmarks/zoo.py

model-cost: $(VENV)-zoo/.made
	OMP_NUM_THREADS=1 $(VENV)-zoo/bin/python benchmarks/model_cost.py

# Parts that keep one core busy go two at a time; installing does not, because it puts the native
# libraries where the others load them. Quick and slow tests are collected once.
ci: $(VENV)/.dev
	$(MAKE) $(VENV)-integrations/.done
	$(MAKE) -j2 docs types lint test-integrations release
	$(PYTEST) -m "not long"
	$(MAKE) demo MINUTES=0.2

clean:
	rm -rf $(VENV) $(VENV)-integrations $(VENV)-oldest $(VENV)-newest $(VENV)-release $(VENV)-zoo \
		build dist demo site
