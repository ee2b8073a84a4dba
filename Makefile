VENV := .venv
BIN := $(VENV)/bin
# What serving needs is installed, and what everything else needs too.
SERVING := $(VENV)/.serving
STAMP := $(VENV)/.installed
# The environment of the tests with Ray, which is large, and which nothing else needs.
RAY := .venv-ray
# The interpreter that makes the environment: the first of these that is Python 3.11, 3.12 or 3.13.
PYTHON ?= $(or $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$\
	$(shell $(name) .ci/check_python.py >/dev/null 2>&1 && echo $(name)))),python3)
# Processes that run tests side by side, each with a service of its own (about 1 GB); 0: just one.
WORKERS ?= 2
# More for pytest, such as ARGS='-k name'. With them `make test` skips the linters.
ARGS ?=
# Stand-ins for processors, for test-processors; all of them if there are none.
PROCESSORS ?=
# Seconds of the soak at 80 % of capacity.
SOAK_S ?= 7200
# COVERAGE=1 measures the coverage of the tests, services and workers included, and holds the gate.
COVERAGE ?=
# Threads of torch that wait for work sleep: on cores that the tests' processes share, those that spin
# take five times the time (docs/decisions.md).
test test-fast test-faults soak test-slow test-workers test-processors test-trainers test-console test-chart test-ray: \
	export OMP_WAIT_POLICY = PASSIVE
# Installing compiles nothing, so Python has to keep what it compiles: without that each process that
# imports torch and transformers takes twice the time (docs/decisions.md).
unexport PYTHONDONTWRITEBYTECODE
PYTEST = $(BIN)/$(if $(COVERAGE),coverage run -m )pytest --numprocesses $(WORKERS) --dist loadfile

# The images that Dockerfile and Compose name, by the variables that replace them.
IMAGES = $(shell sed -n 's/.*\$${\(\w*_IMAGE\):-\(.*\)}$$/\1=\2/p' docker/compose.yaml)

.DEFAULT_GOAL := help
.PHONY: help install serve format lint docs test test-fast test-faults soak test-slow test-workers test-processors coverage \
	audit test-chart test-console vendor-console test-image pin-images test-trainers test-ray bench bench-full bench-gpu headline headline-full

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv with everything: serving, evaluating, training, tests and documentation

serve: $(SERVING) ## install what serving needs and serve the embedded model on port 8000
	$(BIN)/darling-reward serve

format: $(STAMP) ## let ruff fix and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test-workers: $(STAMP) ## the tests of the API, cohorts, limits and stops against services with two model processes
	MODEL_PROCESSES=2 $(PYTEST) $(or $(ARGS),tests/service/test_api.py tests/service/test_determinism.py \
		tests/service/test_stored_requests.py tests/service/test_cohorts.py tests/service/test_notion.py \
		tests/service/test_objectives_over_http.py tests/faults/test_keys.py tests/faults/test_life_cycle.py)

test-processors: $(STAMP) ## run the numeric tests as on other processors: capped, and pretended
	WORKERS=$(WORKERS) $(BIN)/python -m tests.processors $(PROCESSORS)

lint: $(STAMP) docs ## check style and types, the workflows, the compose files, and that the documentation builds
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml docker/compose.key.yaml

docs: $(STAMP) ## build the documentation site into site/; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

test: $(if $(ARGS),$(STAMP),lint) ## install, lint and run all tests but the slow ones and tests/faults; ARGS='-k name' for some
	$(if $(COVERAGE),$(BIN)/coverage erase)
	$(PYTEST) $(ARGS)
	$(if $(COVERAGE),$(BIN)/coverage combine --quiet && $(BIN)/coverage html --quiet && $(BIN)/coverage report)

test-fast: $(STAMP) ## the tests that start no process and train nothing, in under two minutes
	$(PYTEST) -m 'not slow and not heavy and not process and not soak' $(ARGS)

test-faults: $(STAMP) ## hostile and generated input, overload: tests/faults without its long forms
	$(PYTEST) -m faults tests/faults $(ARGS)

soak: $(STAMP) ## the long forms of tests/faults: 10,000 cases, five minutes of overload, SOAK_S seconds at 80 %
	SOAK_S=$(SOAK_S) $(BIN)/pytest -m soak -s tests/faults $(ARGS)

test-slow: $(STAMP) ## the tests that train classifiers, send storms or fuzz
	$(PYTEST) -m slow $(ARGS)

coverage: lint ## `make test` and `make test-faults` with branch coverage, that of services included
	$(MAKE) test COVERAGE=1 ARGS="-m 'not slow and not soak'"

test-trainers: $(STAMP) ## the trainers' own packages, in environments of their own, against a service
	$(BIN)/python -m tests.trainers.environments
	$(PYTEST) tests/trainers

test-ray: $(RAY)/.installed ## the API against --engine ray, and what only a Ray cluster has; makes .venv-ray
	SERVICE_ENGINE=ray $(RAY)/bin/pytest $(or $(ARGS),tests/service/test_api.py tests/service/test_determinism.py \
		tests/service/test_notion.py tests/service/test_cohorts.py tests/ray)

test-console: $(STAMP) ## the console in headless Chromium, against a service; draws its pages into screenshots/
	$(BIN)/python -m tests.console.browser
	$(BIN)/pytest tests/console $(ARGS)

test-chart: $(STAMP) ## the Helm chart with helm and Kubernetes' schemas, and the proxy with nginx before real services
	$(BIN)/python -m tests.deployment.tools
	$(PYTEST) tests/deployment $(ARGS)

vendor-console: ## fetch the console's libraries from npm at the versions of .ci/vendor_console.py
	$(PYTHON) .ci/vendor_console.py

audit: $(STAMP) ## ask for known vulnerabilities of every pinned package; fails where one cannot be asked for
	$(BIN)/uv tool run --constraints constraints.txt --from pip-audit pip-audit --strict --progress-spinner off \
		--requirement constraints.txt --no-deps --disable-pip

test-image: ## the Dockerfile's own lines in a clean folder, without Docker
	$(PYTHON) docker/rehearse.py

pin-images: ## print the images' names with the digests that a registry has now; needs Docker
	@for pair in $(IMAGES); do \
		digest=$$(docker buildx imagetools inspect "$${pair#*=}" --format '{{.Manifest.Digest}}') || exit 1; \
		echo "$$pair@$$digest"; \
	done

bench: $(STAMP) ## ours beside the peers and the service over HTTP, in minutes; into bench/
	$(BIN)/python -m benchmarks

bench-full: $(STAMP) ## every workload of the grid, in hours
	$(BIN)/python -m benchmarks --full

bench-gpu: $(STAMP) ## cross-encoders of three sizes beside their peers on a GPU, in 8 minutes; into bench/accelerator.json
	$(BIN)/python -m benchmarks.accelerator

headline: $(STAMP) ## GRPO with DARLING and without, a small version in under half an hour; into headline/
	$(BIN)/python -m benchmarks.headline

headline-full: $(STAMP) ## the version that docs/headline.md reports; some two hours on two cores
	$(BIN)/python -m benchmarks.headline --full --out headline/full

# No --quiet: pip's words, reduced to what is being fetched, show that it goes on. No bytecode: Python
# compiles what it imports, a small part of all that is installed. torch goes in together with the
# rest, pinned: a later one would bring gigabytes of CUDA.
PIP = $(BIN)/python -m pip install --disable-pip-version-check --no-compile --constraint constraints.txt
PLAIN = sed -nu -e '/\.metadata/d' -e 's/^ *Downloading \([^ ]*\)/  fetching \1/p' \
	-e 's/^Processing .*\/\([^ ]*\.whl\).*/  fetching \1/p' \
	-e 's/^Installing collected packages.*/  unpacking them, which takes up to a minute/p'

$(SERVING) $(STAMP) $(RAY)/.installed: SHELL := bash
$(SERVING) $(STAMP) $(RAY)/.installed: .SHELLFLAGS := -o pipefail -c

$(SERVING): pyproject.toml constraints.txt clients/python/pyproject.toml | $(BIN)/python
	@echo "Installing what serving needs into $(VENV), once: a minute or more, as the network is."
	@$(PIP) torch --editable '.[math]' --editable clients/python | $(PLAIN)
	@touch $@

$(RAY)/.installed: pyproject.toml constraints.txt clients/python/pyproject.toml | $(BIN)/python
	@echo "Installing Ray and what the tests need into $(RAY)."
	@$(BIN)/python -m venv $(RAY)
	@$(subst $(BIN)/,$(RAY)/bin/,$(PIP)) torch --editable '.[dev,math,ray]' --editable clients/python | $(PLAIN)
	@touch $@

$(STAMP): $(SERVING)
	@echo "Installing what evaluating, training, the tests and the documentation need into $(VENV)."
	@$(PIP) torch --editable '.[dev,math]' --editable clients/python | $(PLAIN)
	@touch $@

$(BIN)/python:
	@$(PYTHON) .ci/check_python.py || { echo "make: no usable '$(PYTHON)'. Install Python 3.11, 3.12 or 3.13" \
		"and name it: make PYTHON=python3.11" >&2; exit 1; }
	@echo "Making $(VENV) with $(PYTHON)."
	@$(PYTHON) -m venv $(VENV)

.DELETE_ON_ERROR: # half an environment is none
