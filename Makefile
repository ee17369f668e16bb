# `make` alone lists what there is. Everything is installed into .venv; nothing else is touched.

VENV := .venv
BIN := $(VENV)/bin
ALONE := $(VENV)/receiver
TOOLS := $(VENV)/tools
PARTS := receiver processor operator
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' libs/forebay/__init__.py)
ARGS ?=
# What is installed is what requirements/ pins (`make lock`). LOCKED=no: the newest that pyproject.toml allows.
LOCKED ?= yes

# The first Python that is new enough; another one: make PYTHON=/path/to/python3.12 run
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
ifndef PYTHON
PYTHON := $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$each -c '$(NEW_ENOUGH)' >/dev/null 2>&1; then echo $$each; break; fi; done)
endif

# The current folder stays off Python's path: a folder called operator/ must not hide the standard
# library's module.
export PYTHONSAFEPATH := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Where it is set, every process compiles all it imports anew, and every worker of pytest all tests:
# a third of the time of `make test`.
unexport PYTHONDONTWRITEBYTECODE
# uv trusts what the system trusts, as pip does; the second name is for older ones.
export UV_SYSTEM_CERTS ?= true
export UV_NATIVE_TLS ?= true

PYTEST := $(BIN)/python -m pytest

# Tests that run beside each other: much of a component test is waiting for something to happen. Each
# worker gets modules as a whole, and what these share is started once; who is done early helps others.
WORKERS ?= 4
SPREAD = -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help init run format lint typing imports check test unit properties component slow controlplane chart chart-tools lock sbom generate \
	e2e e2e-long system observability pictures bench-series interop fault fuzz soak bench-receiver bench-tools bench-run bench-ill bench-processor bench-pipeline \
	bench-storm bench-shapes bench-claims bench-index bench-client bench-backlog bench-postgres drill-redelivery drill-roll drill-campaign drill-incidents mutants images coverage clean

help: ## show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' \
		$(MAKEFILE_LIST)
	@echo '  Further arguments go into ARGS, such as: make test ARGS="-k signature"'

init: $(VENV)/.installed-dev ## install everything that developing needs
	@echo "Ready: $(BIN)/forebay --help"

run: $(VENV)/.installed-local ## start all of Forebay on this machine, with the endpoints in examples/
	@$(BIN)/forebay run $(ARGS)

format: $(VENV)/.installed-dev ## format the code and mend what can be mended by itself
	@$(BIN)/ruff format $(ARGS)
	@$(BIN)/ruff check --fix-only --quiet $(ARGS)

lint: $(VENV)/.installed-dev ## check format and rules
	@$(BIN)/ruff format --check $(ARGS)
	@$(BIN)/ruff check $(ARGS)

typing: $(VENV)/.installed-dev ## check the types, the tests' too
	@$(BIN)/mypy $(ARGS)

imports: $(VENV)/.installed-dev ## check who imports whom, and that dependencies are declared
	@$(BIN)/lint-imports $(ARGS)
	@$(BIN)/deptry libs services operator simulator

check: lint typing imports test ## all of lint, typing, imports and test

test: $(VENV)/.installed-dev ## the fast tests: unit, and component but for `make slow`; a minute
	@$(PYTEST) $(SPREAD) -m "not further" --ignore=tests/component/slow tests/unit tests/component \
		$(ARGS)

unit: $(VENV)/.installed-dev ## tests without sockets and processes
	@$(PYTEST) tests/unit $(ARGS)

properties: $(VENV)/.installed-dev ## what `make test` tries with a few inputs, with many: examples by chance, walks, loops
	@$(PYTEST) $(SPREAD) -m "hypothesis or further" --hypothesis-profile=many \
		tests/unit tests/component $(ARGS)

component: $(VENV)/.installed-dev ## one part at a time against a real nats-server
	@$(PYTEST) $(SPREAD) tests/component $(ARGS)

slow: $(VENV)/.installed-dev ## the component tests that wait: for leases, retries, restarts, clocks
	@$(PYTEST) $(SPREAD) -m "not further" tests/component/slow $(ARGS)

controlplane: $(VENV)/.installed-dev ## the operator against a real etcd and kube-apiserver (KUBEBUILDER_ASSETS)
	@$(PYTEST) tests/controlplane $(ARGS)

chart: $(VENV)/.installed-dev chart-tools ## the chart, rendered by Helm's engine and judged by who reads it
	@$(PYTEST) $(SPREAD) tests/chart $(ARGS)

# Prometheus and its own judge of rules: the programs alone out of Debian's package, nothing is started.
chart-tools: $(VENV)/.installed-dev
	@if ! { [ -x $(BIN)/promtool ] && [ -x $(BIN)/prometheus ]; } && \
		! { command -v promtool && command -v prometheus; } >/dev/null && command -v apt-get >/dev/null; then \
		echo 'Fetching prometheus and promtool into $(VENV) (once) ...'; \
		folder=$$(mktemp -d); \
		(cd "$$folder" && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb .) && \
			install "$$folder/usr/bin/promtool" "$$folder/usr/bin/prometheus" $(BIN)/; \
		rm -rf "$$folder"; \
	fi

# Pins of all files are those of dev.txt, so that an image holds what the tests ran with.
LOCK = $(TOOLS)/bin/uv pip compile --quiet --universal --python $(BIN)/python --python-version 3.11 --generate-hashes \
	--custom-compile-command 'make lock'

lock: $(TOOLS)/.installed ## pin in requirements/ what pyproject.toml asks for; ARGS=--upgrade: the newest of all
	@$(LOCK) --extra local --extra operator --extra dev $(ARGS) -o requirements/dev.txt pyproject.toml
	@for part in $(PARTS) local; do \
		$(LOCK) --extra $$part -c requirements/dev.txt $(ARGS) -o requirements/$$part.txt pyproject.toml || exit 1; \
	done
	@$(BIN)/python -c 'import tomllib; print("setuptools>=68", *tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | \
		$(LOCK) -c requirements/dev.txt $(ARGS) -o requirements/build.txt -
	@$(LOCK) --group tools $(ARGS) -o requirements/tools.txt

# What each image has besides its base, with the time of the commit: a commit has one such file. pyproject.toml is
# given with its version, which it leaves to the package.
sbom: $(TOOLS)/.installed $(PARTS:%=$(VENV)/%/.installed) ## a bill of materials (CycloneDX) for each image, in dist/sbom
	@mkdir -p dist/sbom; project=$$(mktemp -d); trap 'rm -rf "$$project"' EXIT; cp LICENSE README.md "$$project"; \
	sed "s/^dynamic = .*/version = \"$(VERSION)\"/" pyproject.toml >"$$project/pyproject.toml"; \
	for part in $(PARTS); do \
		SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 0) $(TOOLS)/bin/cyclonedx-py environment \
			--pyproject "$$project/pyproject.toml" --mc-type application --output-reproducible --gather-license-texts \
			--output-format JSON --output-file dist/sbom/$$part.cdx.json $(ARGS) $(VENV)/$$part/bin/python || exit 1; \
		echo "dist/sbom/$$part.cdx.json"; \
	done

generate: $(VENV)/.installed-dev ## write what is derived: the table of values in the chart's README, dashboards, docs/metrics.md, docs/logs.md, docs/licences.md, docs/events.md, docs/schemas
	@$(PYTEST) -q tests/chart/test_chart_readme.py tests/chart/test_chart_dashboards.py::test_the_files_are_what_the_code_makes \
		tests/unit/test_metrics_page.py tests/unit/test_logs_page.py tests/unit/test_licences.py \
		tests/unit/test_event_documents.py tests/unit/test_events.py tests/unit/test_api_document.py \
		--update-test-data $(ARGS)

# A test cluster on this machine; where KUBECONFIG is set, that one is taken, with images that its
# nodes can pull (FOREBAY_E2E_VALUES: a file of values that names them).
CLUSTER ?= ../shared/cluster/cluster
E2E ?= tests/e2e
# What the cluster has besides itself: policies that are enforced.
EXTRAS ?= netpol

# Runs $(1) where KUBECONFIG names a cluster, or on one that is started, with images of this checkout.
define on_a_cluster
	@if [ -n "$$KUBECONFIG" ]; then \
		$(1); \
	elif [ -x '$(CLUSTER)' ]; then \
		'$(CLUSTER)' up $(EXTRAS) && \
		for part in $(PARTS); do \
			'$(CLUSTER)' image localhost/forebay-$$part:dev --layers --target $$part . || exit 1; \
		done && \
		eval "$$('$(CLUSTER)' env)" && $(1); \
	else \
		echo "make $@ needs a cluster: set KUBECONFIG and FOREBAY_E2E_VALUES, or CLUSTER to the" \
			"program that starts one." >&2; exit 1; \
	fi
endef

e2e: $(VENV)/.installed-dev ## a release on a real cluster: installed, used, upgraded, removed (minutes)
	$(call on_a_cluster,$(PYTEST) $(E2E) $(ARGS))

e2e-long: ## the same with three servers of NATS that roll at load (5 minutes)
	@$(MAKE) --no-print-directory e2e ARGS="-m long -s $(ARGS)"

system: $(VENV)/.installed-dev $(ALONE)/.installed ## all parts together, and a receiver by itself
	@$(PYTEST) tests/system $(ARGS)

observability: $(VENV)/.installed-dev chart-tools ## every query of dashboards and rules, asked of a real Prometheus about a real run; 1 minute
	@$(PYTEST) tests/observability $(ARGS)

pictures: $(VENV)/.installed-dev chart-tools ## the dashboards with the data of a real run, drawn into docs/images; 5 minutes
	@PYTHONPATH=tests $(BIN)/python -m bench.pictures $(ARGS)

bench-series: $(VENV)/.installed-dev ## series, scrape time and size of each part with 1,000 endpoints; --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.series $(ARGS)

interop: $(VENV)/.installed-dev ## other people's clients, direct and through nginx and HAProxy: those that are on the machine
	@$(PYTEST) tests/interop $(ARGS)

fault: $(VENV)/.installed-dev ## things killed, stopped and filled while traffic runs; FAULT_SEEDS=3 for the short form
	@FAULT_SEEDS=$(or $(FAULT_SEEDS),20) $(PYTEST) tests/fault $(ARGS)

fuzz: $(VENV)/.installed-dev ## any bytes at the receiver, for a minute; FUZZ_SECONDS=0 for the short form
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) $(PYTEST) --timeout 300 tests/fuzz $(ARGS)

bench-receiver: $(VENV)/.installed-dev bench-tools ## the receiver's rate, CPU and latency against other servers (needs wrk and Go); --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.receiver $(ARGS)

VEGETA := github.com/tsenart/vegeta/v12@v12.13.0

bench-tools: $(VENV)/.installed-dev
	@if [ ! -x $(BIN)/vegeta ] && ! command -v vegeta >/dev/null; then \
		if command -v go >/dev/null; then \
			echo 'Installing the load generator vegeta into $(VENV) (once) ...'; \
			GOBIN='$(abspath $(BIN))' go install $(VEGETA); \
		else \
			echo 'Go is missing, so the load generator vegeta is not installed.' >&2; \
		fi; \
	fi

soak: $(VENV)/.installed-dev ## a million webhooks, and what the receiver's memory does (needs wrk); --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.soak $(ARGS)

bench-run: $(VENV)/.installed-dev ## all of Forebay at 1,000 webhooks/s for 30 s; --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.run_thousand $(ARGS)

bench-ill: $(VENV)/.installed-dev ## nine destinations beside one that is dead, or slow; --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.ill_destination $(ARGS)

bench-processor: $(VENV)/.installed-dev ## the processor's rate against bare loops, and its latency; --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.processor $(ARGS)

bench-pipeline: bench-processor ## from RAW to the destination at once, item by item and in batches: a part of bench-processor

bench-storm: $(VENV)/.installed-dev ## live messages while 100,000 statuses drain; --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.storm $(ARGS)

bench-shapes: $(VENV)/.installed-dev ## the worst bodies of 4 MiB: what they cost and what others wait; --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.shapes_receiver $(ARGS)
	@if [ -f tests/bench/shapes_processor.py ]; then PYTHONPATH=tests $(BIN)/python -m bench.shapes_processor $(ARGS); fi

bench-claims: $(VENV)/.installed-dev ## what a retained key costs nats-server; --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.claims $(ARGS)

bench-index: $(VENV)/.installed-dev ## `forebay events` over an index of a million items, and what that costs; --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.index $(ARGS)

bench-operator: $(VENV)/.installed-dev ## the operator with 1,000 endpoints: made, standing still, edited, deleted (KUBEBUILDER_ASSETS); --help, --record
	@PYTHONPATH=tests $(BIN)/python -m bench.operator $(ARGS)

bench-client: $(VENV)/.installed-dev ## what a POST costs: aiohttp, our own client, next to nothing; --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.client $(ARGS)

bench-backlog: $(VENV)/.installed-dev ## what waits: memory, take-over and rate of 50,000 entries; --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.backlog $(ARGS)

bench-postgres: $(VENV)/.installed-dev ## 100,000 items into a PostgreSQL, against bare COPY, and while all is killed; --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.postgres $(ARGS)

drill-redelivery: $(VENV)/.installed-dev ## 10,000 webhooks, each sent three times in a minute; --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.redelivery $(ARGS)

drill-roll: $(VENV)/.installed-dev ## three servers of NATS leave one after the other at 100 webhooks/s: what is answered 503; --record keeps it
	@PYTHONPATH=tests $(BIN)/python -m bench.roll $(ARGS)

drill-campaign: $(VENV)/.installed-dev ## 300,000 messages while their destination is down, on a cluster; --local without; --record keeps it
ifneq ($(findstring --local,$(ARGS)),)
	@PYTHONPATH=tests $(BIN)/python -m bench.campaign $(ARGS)
else
	$(call on_a_cluster,PYTHONPATH=tests $(BIN)/python -m bench.campaign $(ARGS))
endif

# The release's NATS has a proxy before it, which enforced policies would not let receivers reach.
drill-incidents: EXTRAS = monitoring
drill-incidents: $(VENV)/.installed-dev ## seven incidents on a cluster with Prometheus: what fires, and does its runbook name the cause? --record keeps it
	$(call on_a_cluster,PYTHONPATH=tests $(BIN)/python -m bench.incidents $(ARGS))

mutants: $(VENV)/.installed-dev ## faults put into a copy of the code one by one: do the tests notice? --short, --help, --record
	@PYTHONPATH=tests $(BIN)/python -m mutants.run $(ARGS)

REGISTRY ?= localhost
TAG ?= dev
PYTHON_IMAGE ?= python:3.13-slim
# docker without its daemon cannot build; the others need none.
BUILDER ?= $(shell if docker info >/dev/null 2>&1; then echo docker build; \
	elif command -v podman >/dev/null; then echo podman build; \
	elif command -v buildah >/dev/null; then echo buildah build --layers; fi)

images: ## build the images with docker, podman or buildah: REGISTRY=, TAG= and PYTHON_IMAGE= say which
	@builder='$(BUILDER)'; \
	if [ -z "$$builder" ]; then \
		echo "No docker (with its daemon), podman or buildah was found: install one." >&2; exit 1; \
	fi; \
	revision=$$(git rev-parse HEAD 2>/dev/null || echo unknown); \
	for part in $(PARTS); do \
		echo "$$builder: $(REGISTRY)/forebay-$$part:$(TAG)"; \
		$$builder --quiet --target $$part --tag $(REGISTRY)/forebay-$$part:$(TAG) \
			--label org.opencontainers.image.version=$(VERSION) \
			--label org.opencontainers.image.revision=$$revision \
			--label org.opencontainers.image.base.name=$(PYTHON_IMAGE) \
			--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE) . || exit 1; \
	done

coverage: $(VENV)/.installed-dev ## which lines the fast tests reach, the parts' own processes included
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest tests/unit tests/component $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

clean: ## remove .venv, what tools left behind and what `make run` stored
	rm -rf $(VENV) .forebay .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis \
		.coverage .coverage.* htmlcov

# Installing. A stamp says what was installed and is older than pyproject.toml, or what is pinned, when
# that changed.

$(VENV)/.installed-local: pyproject.toml requirements/local.txt requirements/build.txt | $(BIN)/python
	@$(call install,local,$(VENV),local)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml requirements/dev.txt requirements/build.txt | $(BIN)/python
	@$(call install,local$(comma)operator$(comma)dev,$(VENV),dev)
	@# Each of the four workers of `make test` would compile all modules, all at the same time.
	@$(PYTEST) -qq --collect-only tests/unit tests/component >/dev/null || true
	@touch $(VENV)/.installed-local $@

# A part as its image has it: its extra and nothing else.
$(PARTS:%=$(VENV)/%/.installed): $(VENV)/%/.installed: pyproject.toml requirements/%.txt requirements/build.txt | $(BIN)/python
	@$(call environment,$(VENV)/$*)
	@$(call install,$*,$(VENV)/$*,$*)
	@touch $@

# Programs of which Forebay imports nothing.
$(TOOLS)/.installed: requirements/tools.txt | $(BIN)/python
	@$(call environment,$(TOOLS))
	@$(call with_installer,$(TOOLS)); $$install --require-hashes -r requirements/tools.txt
	@touch $@

comma := ,

# An environment beside .venv, with its Python and nothing in it: .venv's pip fills it.
define environment
	rm -rf $(1); \
	if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --python $(BIN)/python $(1); \
	else \
		$(BIN)/python -m venv --without-pip $(1); \
	fi
endef

# Sets $$install to what installs into the environment $(1).
define with_installer
	set -e; \
	if command -v uv >/dev/null 2>&1; then \
		install='uv pip install --quiet --python $(1)/bin/python'; \
	else \
		$(BIN)/python -c 'import pip' 2>/dev/null || $(BIN)/python -m ensurepip >/dev/null; \
		install='$(BIN)/python -m pip --python $(1)/bin/python install --quiet'; \
	fi
endef

# The extras $(1) into $(2): what requirements/$(3).txt pins, then the checkout itself, editable. What builds that (and
# nkeys, of which there is no wheel) is pinned by version alone: pip takes no hashes for it. It has two names for the
# setting, an older and a newer one; uv has its own.
define install
	echo "Installing Forebay and what it needs into $(2) (once; a minute or less) ..."; \
	$(call with_installer,$(2)); \
	if [ '$(LOCKED)' = no ]; then \
		$$install --upgrade --editable '.[$(1)]'; \
	else \
		pins=$$(mktemp); trap 'rm -f "$$pins"' EXIT; \
		sed -n 's/^\([a-z].*==[^ ;]*\).*/\1/p' requirements/build.txt >"$$pins"; \
		export PIP_CONSTRAINT="$$pins" PIP_BUILD_CONSTRAINT="$$pins" UV_BUILD_CONSTRAINT="$$pins"; \
		$$install --require-hashes -r requirements/$(3).txt; \
		$$install --no-deps --editable .; \
	fi
endef

$(BIN)/python:
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python '$(or $(PYTHON),>=3.11)' $(VENV); \
	elif [ -z '$(PYTHON)' ]; then \
		echo "Forebay needs Python 3.11 or newer, and none was found: install one, or name it:" \
			"make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; \
	elif ! $(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null; then \
		echo "Forebay needs Python 3.11 or newer, and $(PYTHON) is not: install one, or name it:" \
			"make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; \
	else \
		$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
			echo "$(PYTHON) cannot make a virtual environment: install its venv module" \
			"(Debian and Ubuntu: python3-venv) or uv, and try again." >&2; exit 1; }; \
	fi
