# `make help` lists what there is. Every target installs what it needs first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

##@ Use

.PHONY: demo
demo: $(STAMP) ## Seal the sample benchmark, start the platform, submit the baselines, print boards and a receipt check
	$(PY) -m services.platform demo

.PHONY: serve
serve: $(STAMP) ## The same, and leave it running until Ctrl-C: pages at http://127.0.0.1:8080, gRPC at 127.0.0.1:50051
	$(PY) -m services.platform demo --serve

##@ Deploy

.PHONY: images
images: $(STAMP) ## Build all images; IMAGES="gateway ranker", OFFLINE=1, CUDA=1, BASE_IMAGE=…, TORCH_INDEX=… (docs/operators/containers.md)
	$(PY) -m tools.images $(IMAGES) $(if $(OFFLINE),--offline) $(if $(CUDA),--cuda) $(if $(BASE_IMAGE),--base $(BASE_IMAGE)) $(if $(TORCH_INDEX),--torch-index $(TORCH_INDEX))

##@ Check

.PHONY: test
test: $(STAMP) lint types layers verify ## Everything that CI runs: style, types, layers, proto, all tests
	$(PY) -m pytest -n 2 --ignore tests/containers

.PHONY: test-containers
test-containers: $(STAMP) ## The platform in containers, on a Docker engine of the tests' own (root, docker.io, mmdebstrap)
	$(PY) -m pytest tests/containers

.PHONY: unit
unit: $(STAMP) ## Only the quick tests
	$(PY) -m pytest -n 2 tests/unit tests/properties tests/golden tests/architecture

.PHONY: lint
lint: $(STAMP) ## Style
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

.PHONY: types
types: $(STAMP) ## Types, strict
	$(VENV)/bin/mypy

.PHONY: layers
layers: $(STAMP) ## The one-way layers between packages
	$(VENV)/bin/lint-imports

.PHONY: verify
verify: $(STAMP) ## Prove that generated files are current
	$(PY) tools/gen_proto.py --verify
	$(PY) -m tools.gen_answers_page --verify
	$(PY) -m tools.gen_telemetry_page --verify
	$(PY) -m tools.gen_dashboards --verify
	$(PY) -m tools.gen_locks --verify

.PHONY: bench
bench: $(STAMP) ## Measure; prints ratios and figures of one run
	$(PY) -m tests.benchmarks

.PHONY: screenshots
screenshots: $(STAMP) ## Take every page at 1280 and 390 px, light and dark, into var/screenshots (needs Chromium)
	$(PY) -m tests.browser.screenshots

.PHONY: faults
faults: $(STAMP) ## Break everything many times under load (FAULTS_TIMES, 10 of each) and print the table
	FAULTS_TIMES=$${FAULTS_TIMES:-10} $(PY) -m pytest -q -n 2 tests/faults

##@ Change

.PHONY: fix
fix: $(STAMP) ## Format, and mend what the linter can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: proto
proto: $(STAMP) ## Regenerate the stubs from proto/
	$(PY) tools/gen_proto.py

.PHONY: locks
locks: $(STAMP) ## Regenerate the lock files of the images from pyproject.toml and constraints.txt
	$(PY) -m tools.gen_locks

.PHONY: pages
pages: $(STAMP) ## Regenerate the pages and dashboards that are made from the code
	$(PY) -m tools.gen_answers_page
	$(PY) -m tools.gen_telemetry_page
	$(PY) -m tools.gen_dashboards

.PHONY: install
install: $(STAMP) ## Make the virtual environment

# pip resolves to one torch only, exactly the pinned one; the constraint file holds the tested versions.
$(STAMP): pyproject.toml constraints.txt
	test -x $(PY) || python3 -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade "pip>=25.1"
	$(PY) -m pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $@

.PHONY: clean
clean: ## Remove what was built here and the demo; the virtual environment and other homes stay
	rm -rf var/demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
