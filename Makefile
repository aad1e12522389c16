# make demo    set everything up, build a real FINN accelerator, and simulate the hardware of another (RECIPE=... builds one)
# make test    set everything up, then check style, types and documentation, and run the tests
#
# Wheels at hand: PIP_FIND_LINKS or UV_FIND_LINKS name folders of wheels; a CPU build of torch offered there is taken.
# Without one, UV_TORCH_BACKEND=cpu asks uv for the CPU build (uv then knows where that is); otherwise the registry's
# torch is installed, which on Linux brings CUDA with it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
unexport PYTHONDONTWRITEBYTECODE # torch and FINN take twice as long to import where they are compiled each time

PYTHON := 3.11
VENV := .venv
BIN := $(VENV)/bin
RECIPE ?=
PYTEST_ARGS ?=

# What pip and uv call the same thing: pip separates by blanks and skips what is not there, uv by commas and fails on it.
# A folder with a blank in its name is one.
define find_links
if [ -n "$${UV_FIND_LINKS:-}" ]; then export PIP_FIND_LINKS="$${PIP_FIND_LINKS:-$${UV_FIND_LINKS//,/ }}"; \
elif [ -d "$${PIP_FIND_LINKS:-}" ]; then export UV_FIND_LINKS="$$PIP_FIND_LINKS"; \
else links=""; for link in $${PIP_FIND_LINKS:-}; do \
	if [ -e "$$link" ] || [[ "$$link" == *://* ]]; then links="$${links:+$$links,}$$link"; fi; done; \
	if [ -n "$$links" ]; then export UV_FIND_LINKS="$$links"; fi; \
fi
endef

# The uv on PATH, else one of our own.
define uv
$(find_links); \
uv="$$(command -v uv || true)"; \
if [ -z "$$uv" ]; then \
	uv="$$PWD/.venv-tools/bin/uv"; \
	if [ ! -x "$$uv" ]; then \
		echo "finnyaml: installing uv into .venv-tools"; \
		python3 -m venv --clear .venv-tools || { echo "finnyaml: python3 cannot make environments; install its venv module (Debian, Ubuntu: python3-venv) or uv." >&2; exit 1; }; \
		.venv-tools/bin/python -m pip install --quiet -r requirements/tools.txt; \
	fi; \
fi
endef

# Python of the wanted version: the one at hand, else one that uv fetches.
define python
py="$$("$$uv" python find --no-project --system --no-python-downloads $(PYTHON) 2>/dev/null || true)"; \
if [ -z "$$py" ]; then \
	echo "finnyaml: no Python $(PYTHON) on this machine; asking uv to fetch one"; \
	"$$uv" python install --quiet $(PYTHON) || { echo "finnyaml: Python $(PYTHON) is needed (finn-plus has wheels and pins for it) and could not be fetched. Install it (python$(PYTHON) and its venv module), put it on PATH, and run make again." >&2; exit 1; }; \
	py="$$("$$uv" python find --no-project $(PYTHON))"; \
fi
endef

# An environment is ready when it was made from exactly these files, in this folder.
key = $(shell { cat $(1) 2>/dev/null; pwd; } | cksum | cut -d ' ' -f 1)
READY := $(VENV)/.ready-$(call key,pyproject.toml requirements/finn.txt requirements/overrides.txt finnyaml/__init__.py)
BENCH_READY := .venv-bench/.ready-$(call key,requirements/bench.txt)
DOCS_READY := .venv-docs/.ready-$(call key,requirements/docs.txt)
BOARD_READY := .venv-board/.ready-$(call key,requirements/board.txt)

.PHONY: help setup finn-examples check-finn setup-bench setup-board setup-docs demo test test-long coverage lint docs format check-wheel bench fuzz lock clean distclean

help:
	@sed -n '/^# make/s/^# //p' $(firstword $(MAKEFILE_LIST)); \
	echo 'make setup   only set everything up, in $(VENV)'; \
	echo 'make finn-examples  build the networks of recipes/finn-examples, with random weights, to hardware code'; \
	echo 'make check-finn VERSION=1.5.0  builds with that version of finn-plus, in an environment of its own'; \
	echo 'make docs    the documentation as a site, in site/html; a broken link is an error'; \
	echo 'make test-long  tests that only show more of what the others do, on larger networks and whole builds'; \
	echo 'make coverage  the tests, and which lines of the package they run (PYTEST_ARGS=... chooses tests)'; \
	echo 'make bench   the benchmarks (installs dvc and doit into .venv-bench)'; \
	echo 'make fuzz    many damaged inputs of every sort (FUZZ_COUNT=..., for recipes FUZZ_RECIPES=...); docs/trust.md'; \
	echo 'make lock    resolve requirements/*.txt anew'; \
	echo 'make format  let ruff write'; \
	echo 'make check-wheel  what users get: the wheel and FINN by plain pip in a fresh .venv-wheel, and the demo there'; \
	echo 'make clean   drop build outputs and caches; make distclean: the environments too'

setup: $(READY)
	@:

$(READY):
	@$(uv); $(python); \
	if [ "$$($(BIN)/python -c 'import os, sys; print(sys.version_info[:2] == tuple(map(int, "$(PYTHON)".split("."))) and os.path.samefile(sys.prefix, "$(VENV)"))' 2>/dev/null || true)" != True ]; then \
		"$$uv" venv --quiet --no-project --clear --python "$$py" $(VENV); fi; \
	rm -f $(VENV)/.ready-*; \
	echo "finnyaml: installing into $(VENV)"; \
	export VIRTUAL_ENV="$$PWD/$(VENV)"; \
	"$$uv" pip install --quiet --overrides requirements/overrides.txt -r requirements/finn.txt; \
	"$$uv" pip install --quiet --no-deps --no-build-isolation --reinstall-package finnyaml --editable .; \
	touch $@

demo: setup
ifeq ($(RECIPE),)
	@$(BIN)/finnyaml build recipes/digits-cnv-fixed/recipe.yaml
	@$(BIN)/finnyaml build recipes/digits-rtl/recipe.yaml --to simulate
else
	@$(BIN)/finnyaml build $(RECIPE)
endif

# The networks of recipes/finn-examples with random weights, to hardware code: some minutes, so the tests only plan them.
finn-examples: setup
	@for recipe in recipes/finn-examples/stand-in*.yaml; do \
	  case $$recipe in *mobilenet*|*resnet*) some="--variant *small*";; *) some=;; esac; \
	  $(BIN)/finnyaml build --keep-going $$recipe $$some || exit; \
	done

# With another version of finn-plus: recipes that run on all (finnyaml/finn/versions.py). FINN's other pins follow from it.
VERSION ?=

check-finn:
	@test -n "$(VERSION)" || { echo "Which version of finn-plus? make check-finn VERSION=1.5.0" >&2; exit 2; }
	@$(uv); $(python); \
	env="$$PWD/.venv-finn-$(VERSION)"; \
	"$$uv" venv --quiet --no-project --clear --python "$$py" "$$env"; \
	echo "finnyaml: installing finn-plus $(VERSION) into .venv-finn-$(VERSION)"; \
	export VIRTUAL_ENV="$$env"; \
	echo "finn-plus==$(VERSION)" > "$$env/overrides.txt"; \
	"$$uv" pip install --quiet --overrides requirements/overrides.txt --overrides "$$env/overrides.txt" -r pyproject.toml --extra finn; \
	"$$uv" pip install --quiet hatchling editables; \
	"$$uv" pip install --quiet --no-deps --no-build-isolation --editable .; \
	cp -r recipes "$$env"; cd "$$env"; export FINNYAML_STORE="$$env/store"; \
	for recipe in digits-cnv-fixed tfc-w1a1 from-onnx; do bin/finnyaml build recipes/$$recipe/recipe.yaml; done; \
	if bin/finnyaml plan recipes/digits-rtl/recipe.yaml > /dev/null 2> "$$env/refused"; then \
		bin/finnyaml build recipes/digits-rtl/recipe.yaml --to simulate; \
	else cat "$$env/refused"; grep -q "the open RTL path.* does not run with finn-plus $(VERSION)" "$$env/refused"; fi

lint: setup
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@log=$$($(BIN)/lint-imports 2>&1) || { echo "$$log"; exit 1; }

test: lint docs setup-board
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(PYTEST_ARGS)

test-long: setup
	@$(BIN)/python -m pytest -m long -n 2 $(PYTEST_ARGS)

# Slower than the tests alone, so it is not part of them. Workers find their part of it by PYTHONPATH.
coverage: setup setup-board
	@PYTHONPATH="$$PWD" $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report term:skip-covered --cov-report html $(PYTEST_ARGS)

# The pages are gathered where finnyaml is installed, because most of the reference is made from its declarations.
docs: setup setup-docs
	@$(BIN)/python docs/site site/pages
	@log=$$(NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build 2>&1) || { echo "$$log"; exit 1; }

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# What users get: no lock file, no overrides, no uv. Some gigabytes, because pip brings torch with CUDA.
check-wheel: setup
	@$(BIN)/hatchling build --target wheel --directory dist > /dev/null
	@$(uv); $(python); \
	rm -rf .venv-wheel; "$$py" -m venv .venv-wheel; \
	echo "finnyaml: installing the wheel into .venv-wheel"; \
	.venv-wheel/bin/python -m pip install --quiet "$$(ls -t "$$PWD"/dist/*.whl | head -n 1)[finn]"; \
	.venv-wheel/bin/python -m pip check; \
	cp -r recipes .venv-wheel; cd .venv-wheel; \
	export FINNYAML_STORE="$$PWD/store"; \
	bin/finnyaml build recipes/digits-cnv-fixed/recipe.yaml; \
	bin/finnyaml build recipes/digits-rtl/recipe.yaml --to simulate

setup-bench: $(BENCH_READY)
	@:

$(BENCH_READY):
	@$(uv); $(python); \
	"$$uv" venv --quiet --no-project --clear --python "$$py" .venv-bench; \
	echo "finnyaml: installing into .venv-bench"; \
	VIRTUAL_ENV="$$PWD/.venv-bench" "$$uv" pip install --quiet -r requirements/bench.txt; \
	touch $@

setup-docs: $(DOCS_READY)
	@:

$(DOCS_READY):
	@$(uv); $(python); \
	"$$uv" venv --quiet --no-project --clear --python "$$py" .venv-docs; \
	echo "finnyaml: installing into .venv-docs"; \
	VIRTUAL_ENV="$$PWD/.venv-docs" "$$uv" pip install --quiet -r requirements/docs.txt; \
	touch $@

# The real PYNQ, for the tests of the board's side: its numpy is older than FINN's. And the Python of PYNQ 2.7's image,
# where there is one at hand.
setup-board: $(BOARD_READY)
	@:

$(BOARD_READY):
	@$(uv); $(python); \
	"$$uv" venv --quiet --no-project --clear --python "$$py" .venv-board; \
	echo "finnyaml: installing into .venv-board"; \
	VIRTUAL_ENV="$$PWD/.venv-board" "$$uv" pip install --quiet -r requirements/board.txt; \
	for py in python3.8 "$$HOME"/.pyenv/versions/3.8.*/bin/python3.8; do \
		if "$$py" -c '' 2> /dev/null; then \
			"$$uv" venv --quiet --no-project --clear --python "$$py" .venv-board38; \
			VIRTUAL_ENV="$$PWD/.venv-board38" "$$uv" pip install --quiet numpy==1.24.4 onnxruntime==1.19.2; break; fi; done; \
	touch $@

FUZZ_COUNT ?= 2000
FUZZ_RECIPES ?= 20000

# Inputs that show a fault are left in fuzz-found/.
fuzz: setup
	@$(BIN)/python -m tests.fuzz recipes --count $(FUZZ_RECIPES)
	@$(BIN)/python -m tests.fuzz data models bundles stores --count $(FUZZ_COUNT)

bench: setup setup-bench
	@$(BIN)/python -m benchmarks

# Names and versions only: no hashes, no addresses, no local versions (torch's "+cpu").
COMPILE = "$$uv" pip compile --quiet --upgrade --python-version $(PYTHON) --no-header --no-annotate --no-emit-index-url --no-emit-find-links

lock:
	@$(uv); \
	$(COMPILE) pyproject.toml --extra finn --extra remote --extra cluster --extra search --group dev --overrides requirements/overrides.txt | sed 's/+[a-z0-9.]*$$//' > requirements/.new; \
	mv requirements/.new requirements/finn.txt; \
	$(COMPILE) --group bench > requirements/.new; \
	mv requirements/.new requirements/bench.txt; \
	$(COMPILE) --group docs > requirements/.new; \
	mv requirements/.new requirements/docs.txt; \
	$(COMPILE) --group board > requirements/.new; \
	mv requirements/.new requirements/board.txt

clean:
	rm -rf recipes/*/build recipes/*/build-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* htmlcov site dist
	find . -name __pycache__ -not -path './.venv*' -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv .venv-tools .venv-bench .venv-docs .venv-board .venv-board38 .venv-wheel .venv-finn-*
