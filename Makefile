# Everything one does with this repository; `make` alone lists the targets.
#
# The tools live in .venv, which is made on first use; PYTHON=/path/to/python3 chooses its interpreter.
# Targets that start hypervisors need root and use sudo when they are run by somebody else.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := $(CURDIR)/.venv/bin
export KEEP
export PATH := $(BIN):$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.collections

VENV := .venv/.made
OLDEST := .cache/oldest/.made
TREE := .collections/ansible_collections/fleet/rng
READY := $(VENV) $(TREE)
# What root writes into the clone would be in its owner's way later: no bytecode, no caches.
ROOT_ENV := PATH="$(PATH)" PYTHONDONTWRITEBYTECODE=1
AS_ROOT := $(if $(filter-out 0,$(shell id -u)),sudo --preserve-env --set-home env $(ROOT_ENV))
PYTEST = $(BIN)/pytest -q --junitxml=.cache/junit/$@.xml
# They wait for time limits half of the time.
FOUR_AT_ONCE := --numprocesses=4 --dist=worksteal
# Half of the time these wait for guests, so two at a time, whatever the machine: each has hypervisors of its own.
# Folder by folder: a folder's hypervisors end with its last test, and would else be wanted again.
SIDE_BY_SIDE := --numprocesses=2 --dist=loadfile --no-loadscope-reorder
# Which tests failed; not where other tests remember it, since root's files would be in its owner's way there.
REMEMBERING := --override-ini=cache_dir=.cache/integration
MADE := .venv .cache .collections .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache docs/build tests/output \
  fleet-rng-*.tar.gz
SHIPPED := plugins/modules plugins/module_utils

.PHONY: help
help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-17s %s\n", $$1, $$2}'

## Show and tell

.PHONY: demo demo-down bench bench-page bench-early-boot bench-broker docs
demo: $(READY)  ## Give a small fleet random number generators (root; KEEP=1 leaves it up; BROKER=1: two groups share)
	@$(AS_ROOT) demo/run $(if $(filter-out 0,$(BROKER)),broker)

demo-down:  ## Take down what `make demo KEEP=1` left
	@$(AS_ROOT) demo/run down

bench: $(READY)  ## Measure against ping, bare libvirt, today's playbooks and bare servers (root; an hour or less)
	$(AS_ROOT) $(BIN)/python benchmarks/run.py
	$(AS_ROOT) $(BIN)/python benchmarks/broker.py

bench-broker: $(READY)  ## Measure the broker against bare servers in C and asyncio (root; minutes)
	@$(AS_ROOT) $(BIN)/python benchmarks/broker.py

bench-page: $(READY)  ## Measure the report's page of a large fleet, in a headless browser (a few minutes)
	@sh tests/page/prepare.sh
	@$(BIN)/python benchmarks/page.py

bench-early-boot: $(READY)  ## Measure when a guest has random numbers, with and without the device (root; minutes)
	@$(AS_ROOT) $(BIN)/python benchmarks/early_boot.py

docs: $(READY)  ## Build the documentation of modules and roles as HTML, in docs/build
	@rm -rf docs/build && mkdir -p docs/build && chmod og-w docs/build
	antsibull-docs sphinx-init --use-current --sphinx-theme alabaster --dest-dir docs/build fleet.rng
	@# References into Ansible's own documentation stay unresolved without a network: no reason to fail
	cd docs/build && sed -i 's/ -W / /' build.sh && ./build.sh >build.log 2>&1 || { tail build.log; exit 1; }
	@echo "docs/build/build/html/index.html is ready"

## Checks

LINTERS := lint-python lint-shipped lint-yaml lint-shell lint-docs lint-changelog lint-ansible
.PHONY: test check lint $(LINTERS) types unit sanity ansible-units oldest packaging page
.PHONY: integration integration-again molecule format
test: $(READY)  ## Run everything: check, packaging, ansible-test, integration, Molecule (root; about forty minutes)
	@$(BIN)/python tests/tools/run_tests.py lint types unit packaging page oldest sanity ansible-units integration molecule

check: $(READY)  ## Run what needs no hypervisor and takes about a minute: lint, types, unit
	@$(MAKE) --keep-going --jobs=2 --output-sync=target lint types unit

lint: $(LINTERS)  ## Python, Python 3.8 for what hosts get, YAML, shell, documentation, changelog, ansible-lint

lint-python: $(READY)
	ruff check
	ruff format --check

lint-shipped: $(READY)
	vermin --quiet --no-tips --violations --backport dataclasses --backport typing --target=3.8- $(SHIPPED)

lint-yaml: $(READY)
	yamllint --strict .

lint-shell: $(READY)
	shellcheck $$(git grep --untracked -lE '^#!/bin/(ba|da)?sh' -- ':!*.py' ':!*.j2')

lint-docs: $(READY)
	antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck .

lint-changelog: $(READY)
	antsibull-changelog lint

lint-ansible: $(READY)
	ansible-lint --strict

types: $(READY)  ## mypy --strict
	mypy

unit: $(READY)  ## Unit tests with pytest
	$(PYTEST) $(FOUR_AT_ONCE) tests/unit

sanity: $(READY)  ## ansible-test sanity, in a copy of the tree (minutes when cold)
	$(BIN)/python tests/tools/ansible_test.py sanity

ansible-units: $(READY)  ## ansible-test units: the unit tests as Ansible's own harness runs them
	$(BIN)/python tests/tools/ansible_test.py units

oldest: $(OLDEST) $(TREE)  ## Unit tests and packaging with the oldest ansible-core that is supported
	PATH="$(CURDIR)/.cache/oldest/bin:$$PATH" pytest -q --junitxml=.cache/junit/$@.xml $(FOUR_AT_ONCE) \
	  tests/unit tests/packaging

packaging: $(READY)  ## Build the collection, install it, and use it from there
	$(PYTEST) tests/packaging

page: $(READY)  ## Check the report's page, and use it in a headless browser (installs Debian's chromium, and npm)
	@sh tests/page/prepare.sh
	@sh tests/page/lint.sh
	$(PYTEST) tests/page

integration: $(READY)  ## Real libvirt daemons and running guests (root; installs their packages)
	$(AS_ROOT) $(PYTEST) $(SIDE_BY_SIDE) $(REMEMBERING) tests/integration

integration-again: $(READY)  ## Of the integration tests those that failed the last time, one after the other (root)
	$(AS_ROOT) $(PYTEST) $(REMEMBERING) --last-failed --last-failed-no-failures=none tests/integration

molecule: $(READY)  ## The Molecule scenarios, on hypervisors of their own (root)
	$(AS_ROOT) $(BIN)/molecule test --all

format: $(READY)  ## Lay out the Python files
	ruff format

## Building blocks

.PHONY: venv build clean
venv: $(READY)  ## Make .venv with the development tools, and the tree that Ansible imports from

$(VENV): requirements-dev.txt tests/tools/venv.sh
	@sh tests/tools/venv.sh .venv requirements-dev.txt
	@touch $@

$(OLDEST): tests/tools/requirements-oldest.txt tests/tools/venv.sh
	@sh tests/tools/venv.sh .cache/oldest tests/tools/requirements-oldest.txt
	@touch $@

# Ansible finds a collection only at ansible_collections/NAMESPACE/NAME.
$(TREE):
	@mkdir -p $(@D)
	@ln -s ../../.. $@

build: $(READY)  ## Build the collection's tarball
	ansible-galaxy collection build --force

clean:  ## Remove everything that was made here
	$(AS_ROOT) rm -rf $(MADE)
