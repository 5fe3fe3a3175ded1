# The commands of this project; `make help` lists them. Nothing but make and a Python from 3.11 to 3.13 is needed.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV := .venv
KEYSTONE_VENV := .venv-keystone
CLIENTS_VENV := .venv-clients
BENCH_VENV := .venv-bench
DIST_VENV := .venv-dist
AUDIT_VENV := .venv-audit
DOCS_VENV := .venv-docs
E2E_VENV := .venv-e2e
CLUSTER_VENV := .venv-cluster
PY := $(VENV)/bin/python

# A new one for every run of the tests, so that no state of an earlier run, and no one's ~/airflow, takes part.
TEST_AIRFLOW_HOME := .airflow-test

OUTCOME ?= complete
# How many processes run the tests; 0: the one that was started. Twice as many as CI has cores: on a quiet machine the
# tests wait for half of their time.
TEST_WORKERS ?= 4
LAB ?= complete
LAB_ARGS ?=
NETNS ?=
PYTEST_ARGS ?=
# What somebody does at a prompt, from end to end: `make e2e` runs them, and `make test` does not.
END_TO_END := tests/lab tests/test_playground.py tests/test_tutorial.py
# What needs a scheduler, a triggerer and workers: `make test-scheduler` runs them, on three Airflows side by side.
WITH_SCHEDULER := $(addprefix tests/airflow/test_,examples.py fleet_standalone.py killed_freeze.py killed_workers.py \
	standalone.py switchover_ended_in_triggerer.py two_runs.py)
BENCH_ARGS ?=
MATRIX_ARGS ?=
E2E_ARGS ?=
CLUSTER_ARGS ?=
N ?= 100000
MINUTES ?= 60
# Airflow is many processes: without bytecode, each of them compiles it all for itself, which takes seconds.
unexport PYTHONDONTWRITEBYTECODE
# Which interpreter the environments are made with; empty: the newest suitable one on the PATH.
export PYTHON

.PHONY: help
help: ## List the commands
	@grep -E '^[a-z0-9-]+:.*## ' Makefile | sed -E 's/^([a-z0-9-]+):.*## /\1	/' | expand -t 8

.PHONY: test
test: $(VENV)/.installed $(AUDIT_VENV)/.installed $(KEYSTONE_VENV)/.installed $(CLIENTS_VENV)/.installed ## Run the checks and tests (PYTEST_ARGS="..." is handed to pytest)
	@rm -rf $(TEST_AIRFLOW_HOME) && mkdir $(TEST_AIRFLOW_HOME)
	@# Beside the tests, which mostly wait; told at the end.
	@$(MAKE) --no-print-directory lint >$(TEST_AIRFLOW_HOME)/lint.txt 2>&1 & lint=$$!; \
	AIRFLOW_HOME='$(CURDIR)/$(TEST_AIRFLOW_HOME)' AIRFLOW__CORE__LOAD_EXAMPLES=False \
		SLIPCOVER_ENABLED=1 SLIPCOVER_SOURCE=airflow_provider_drs \
		$(PY) -m pytest -n $(TEST_WORKERS) --dist loadgroup $(patsubst %,--ignore=%,$(END_TO_END) $(WITH_SCHEDULER)) $(PYTEST_ARGS); tests=$$?; \
	wait $$lint; lint=$$?; cat $(TEST_AIRFLOW_HOME)/lint.txt; [ $$tests$$lint = 00 ]

.PHONY: lint
lint: $(VENV)/.installed $(AUDIT_VENV)/.installed ## Check style, types, and what is known of unsafe code and dependencies
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(AUDIT_VENV)/bin/python -m bandit --quiet --severity-level medium --recursive airflow_provider_drs
	$(AUDIT_VENV)/bin/python .ci/audit.py "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

.PHONY: test-scheduler
test-scheduler: $(VENV)/.installed ## Run the tests with a scheduler: workers killed, tasks cleared, fleets, the examples
	@rm -rf $(TEST_AIRFLOW_HOME) && mkdir $(TEST_AIRFLOW_HOME)
	AIRFLOW_HOME='$(CURDIR)/$(TEST_AIRFLOW_HOME)' AIRFLOW__CORE__LOAD_EXAMPLES=False \
		$(PY) -m pytest -n 3 --dist loadgroup $(WITH_SCHEDULER) $(PYTEST_ARGS)

.PHONY: e2e
e2e: e2e-browser e2e-commands ## Use it as people do: a whole Airflow in a browser, then playground, tutorials and lab

.PHONY: e2e-browser
e2e-browser: $(VENV)/.installed $(E2E_VENV)/.installed ## The part in a browser (E2E_ARGS="-k approve")
	@.ci/chromium >/dev/null
	@rm -rf $(TEST_AIRFLOW_HOME) && mkdir $(TEST_AIRFLOW_HOME)
	AIRFLOW_HOME='$(CURDIR)/$(TEST_AIRFLOW_HOME)' $(E2E_VENV)/bin/python -m pytest tests/e2e $(E2E_ARGS)

.PHONY: e2e-commands
e2e-commands: $(VENV)/.installed
	@rm -rf $(TEST_AIRFLOW_HOME) && mkdir $(TEST_AIRFLOW_HOME)
	AIRFLOW_HOME='$(CURDIR)/$(TEST_AIRFLOW_HOME)' AIRFLOW__CORE__LOAD_EXAMPLES=False \
		$(PY) -m pytest -n 2 --dist loadgroup $(END_TO_END)

.PHONY: screenshots
screenshots: $(E2E_VENV)/.installed ## Make the pictures of README and docs anew, in docs/pictures
	@.ci/chromium >/dev/null
	@rm -rf $(TEST_AIRFLOW_HOME) && mkdir $(TEST_AIRFLOW_HOME)
	AIRFLOW_HOME='$(CURDIR)/$(TEST_AIRFLOW_HOME)' $(E2E_VENV)/bin/python -m tests.e2e.pictures docs/pictures

.PHONY: matrix
matrix: $(VENV)/.installed ## Run every case on every Airflow that README names (MATRIX_ARGS="3.0.6 --only cutover --keep")
	$(PY) -m tests.matrix $(MATRIX_ARGS)

.PHONY: matrix-ci
matrix-ci: $(VENV)/.installed ## Run the part of the matrix that CI runs
	$(PY) -m tests.matrix --ci $(MATRIX_ARGS)

.PHONY: cluster
cluster: $(CLUSTER_VENV)/.installed ## Run cutovers on Celery, Redis and PostgreSQL while parts are killed (N=200: that many more)
	@.ci/redis
	$(CLUSTER_VENV)/bin/python -m tests.cluster $(if $(findstring command,$(origin N)),--more $(N)) $(CLUSTER_ARGS)

.PHONY: cluster-ci
cluster-ci: $(CLUSTER_VENV)/.installed ## Run the part of the cluster's waves that CI runs
	@.ci/redis
	$(CLUSTER_VENV)/bin/python -m tests.cluster --ci $(CLUSTER_ARGS)

.PHONY: soak
soak: $(VENV)/.installed ## Let waits join and leave for MINUTES, and see whether sockets, tasks, memory or masks grow
	$(PY) -m tests.soak --minutes $(MINUTES)

.PHONY: edges
edges: $(VENV)/.installed ## Test core, clients and simulator with the oldest dependencies, and with the newest
	.ci/edges

.PHONY: dist
dist: $(VENV)/.installed $(DIST_VENV)/.installed ## Build wheel and sdist, check them, and use both
	.ci/dist

.PHONY: docs
docs: $(DOCS_VENV)/.installed ## Make the site of the docs in build/docs; a warning is an error
	AIRFLOW_HOME='$(CURDIR)/build/airflow' AIRFLOW__CORE__LOAD_EXAMPLES=False \
		$(DOCS_VENV)/bin/python -m sphinx -q -W --keep-going -b html -c .ci . build/docs
	@echo "build/docs/docs/index.html; links within the site are checked, links to other sites are not"

.PHONY: bench
bench: $(BENCH_VENV)/.installed ## Measure many waits at once, beside the alternatives (BENCH_ARGS="--only waits1000 --quick")
	$(BENCH_VENV)/bin/python -m tests.benchmarks $(BENCH_ARGS)

.PHONY: histories
histories: $(VENV)/.installed ## Check the core against N random histories of faults (N=1000000)
	@rm -rf $(TEST_AIRFLOW_HOME) && mkdir $(TEST_AIRFLOW_HOME)
	AIRFLOW_HOME='$(CURDIR)/$(TEST_AIRFLOW_HOME)' AIRFLOW__CORE__LOAD_EXAMPLES=False $(PY) -m tests.histories $(N) --processes $(TEST_WORKERS)

.PHONY: mutants
mutants: $(VENV)/.installed ## Put faults into the core, one at a time, and name those that no test catches
	$(PY) -m tests.mutants

.PHONY: demo
demo: $(VENV)/.installed ## Wait for a simulated switchover in a real Airflow (OUTCOME=complete or failed)
	@$(PY) example_dags/run_demo.py --outcome $(OUTCOME)

.PHONY: playground
playground: $(VENV)/.installed ## An Airflow with its UI and a simulated DRS, to try it all in the browser (PORT=8080)
	@$(PY) example_dags/run_playground.py $(if $(PORT),--port $(PORT))

.PHONY: lab
lab: $(VENV)/.installed ## Switch a real database over, in a real Airflow (LAB=disputed, unknown, failed, killed-worker ...; N=200: random)
	@$(PY) -m tests.lab $(LAB) $(if $(findstring command,$(origin N)),--runs $(N)) $(if $(NETNS),--netns) $(LAB_ARGS)

.PHONY: clean
clean: ## Remove what the other commands made
	rm -rf $(VENV) $(AUDIT_VENV) $(KEYSTONE_VENV) $(CLIENTS_VENV) $(BENCH_VENV) $(DIST_VENV) $(DOCS_VENV) $(E2E_VENV) $(CLUSTER_VENV) .venv-edges .venv-matrix .bench $(TEST_AIRFLOW_HOME) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find airflow_provider_drs example_dags tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml tests/mariadb.txt .ci/venv
	@.ci/venv $(VENV) --editable '.[dev]'
	@.ci/venv $(VENV) --no-deps --requirement tests/mariadb.txt
	@touch $@

$(KEYSTONE_VENV)/.installed: tests/keystone/requirements.txt .ci/venv
	@.ci/venv $(KEYSTONE_VENV) --requirement tests/keystone/requirements.txt
	@touch $@

$(CLIENTS_VENV)/.installed: tests/real_clients/requirements.txt .ci/venv
	@.ci/venv $(CLIENTS_VENV) --requirement tests/real_clients/requirements.txt
	@touch $@

$(AUDIT_VENV)/.installed: .ci/venv
	@.ci/venv $(AUDIT_VENV) 'bandit>=1.8' 'pip-audit>=2.8'
	@touch $@

$(DIST_VENV)/.installed: .ci/venv
	@.ci/venv $(DIST_VENV) build hatchling twine check-wheel-contents cyclonedx-bom
	@touch $@

$(DOCS_VENV)/.installed: pyproject.toml .ci/hatch_build.py tests/matrix/pins/3.3.2.txt .ci/venv
	@.ci/venv $(DOCS_VENV) 'sphinx>=8' myst-parser furo sphinxcontrib-mermaid --requirement tests/matrix/pins/3.3.2.txt --editable .
	@touch $@

$(E2E_VENV)/.installed: pyproject.toml tests/e2e/requirements.txt .ci/venv
	@.ci/venv $(E2E_VENV) --requirement tests/e2e/requirements.txt --editable .
	@touch $@

$(CLUSTER_VENV)/.installed: pyproject.toml tests/cluster/requirements.txt tests/matrix/pins/3.3.2.txt .ci/venv
	@.ci/venv $(CLUSTER_VENV) --requirement tests/cluster/requirements.txt --editable .
	@touch $@

$(BENCH_VENV)/.installed: pyproject.toml .ci/venv
	@.ci/venv $(BENCH_VENV) --editable '.[bench]'
	@touch $@
