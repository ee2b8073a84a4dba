VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: serve test test-slow test-processors lint test-image test-trainers bench bench-full headline headline-full

serve: $(STAMP) ## install what is missing and serve the embedded model on port 8000
	$(BIN)/darling-reward serve

test: lint ## install, lint and run all tests but the slow ones
	$(BIN)/pytest

test-slow: $(STAMP) ## the tests that train classifiers, send storms or fuzz
	$(BIN)/pytest -m slow

test-processors: $(STAMP) ## the numeric tests as on other processors: capped, and pretended
	$(BIN)/python -m tests.processors

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-trainers: $(STAMP) ## the trainers' own packages, in environments of their own, against a service
	$(BIN)/python -m tests.trainers.environments
	$(BIN)/pytest tests/trainers

test-image: ## the Dockerfile's own lines in a clean folder, without Docker
	python3.11 docker/rehearse.py

bench: $(STAMP) ## ours beside the peers and the service over HTTP, in minutes; into bench/
	$(BIN)/python -m benchmarks

bench-full: $(STAMP) ## every workload of the grid, in hours
	$(BIN)/python -m benchmarks --full

headline: $(STAMP) ## GRPO with DARLING and without, a small version in under half an hour; into headline/
	$(BIN)/python -m benchmarks.headline

headline-full: $(STAMP) ## the version that docs/headline.md reports; some two hours on two cores
	$(BIN)/python -m benchmarks.headline --full --out headline/full

# torch goes in together with the rest, pinned: a later one would bring gigabytes of CUDA.
$(STAMP): pyproject.toml constraints.txt clients/python/pyproject.toml
	test -x $(BIN)/python || python3.11 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt torch \
		--editable '.[dev,math]' --editable clients/python
	touch $@
