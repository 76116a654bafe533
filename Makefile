# `make demo`, `make stack` and `make test` do all their own set-up: they need Python 3.11 or newer, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
STACK ?= stack

.PHONY: demo test test-fast test-long test-kernels lint check audit sbom browser screenshots serve mlflow stack clean

demo: $(VENV)/.demo
	$(BIN)/case-monitor demo --directory $(DEMO)

# Three processes share the tests: while one waits for servers or a browser, two compute, each on one thread unless another
# number is said.
test: $(VENV)/.test lint browser
	OMP_WAIT_POLICY=passive OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n 3

# While you work: no server, no browser, nothing that takes long; in about a minute.
test-fast: $(VENV)/.test
	OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m 'not (slow or server or browser)' --db sqlite \
		--hypothesis-profile fast

# Once before a release: faults by lot, what the service and a worker hold after many rounds, and the tests that take long
# beside others like them. SEED=7 repeats what that seed struck, TRIALS=200 tries each fault so often. As root, disks run full, too.
test-long: $(VENV)/.test
	OMP_WAIT_POLICY=passive OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n 2 -m long \
		$${SEED:+--fault-seed $$SEED} $${TRIALS:+--fault-trials $$TRIALS}

# The tests that compute, under the CPU kernels and numbers of threads that other machines have. Where cores are busy, threads
# that spin while they wait take the time of those that they wait for.
COMPUTING := tests/saliency tests/measuring tests/judging tests/steps tests/isolation tests/benchmarks tests/evidence/test_pictures.py \
	tests/integration/test_ray.py
KERNELS := -uATEN_CPU_CAPABILITY ATEN_CPU_CAPABILITY=default ATEN_CPU_CAPABILITY=avx2 \
	ONEDNN_MAX_CPU_ISA=AVX2 ONEDNN_MAX_CPU_ISA=SSE41 OMP_NUM_THREADS=1 OMP_NUM_THREADS=2
test-kernels: $(VENV)/.test
	@failed=; for setting in $(KERNELS); do echo "$$setting"; \
		env $$setting OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -q $(COMPUTING) || failed="$$failed $$setting"; done; \
		test -z "$$failed" || { echo "failed under$$failed"; exit 1; }

# Format, lint, types, and who may import whom.
lint check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/oxlint case_monitor/dashboard/static

# Known vulnerabilities of what is pinned: asks an advisory database, so this needs the network. What can be asked without it
# is in tests/documents/test_supply_chain.py.
AUDIT := .venv-audit
audit: $(AUDIT)/.tools
	$(AUDIT)/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

# All packages that images, tests and benchmarks may install, as CycloneDX: the same bytes for the same files.
sbom: $(AUDIT)/.tools
	mkdir -p dist
	$(AUDIT)/bin/cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml --output-file dist/sbom.cdx.json constraints.txt

# A Chromium for the tests of the dashboards, where there is none.
browser: $(VENV)/.test
	@$(BIN)/python -m tests.integration.browser.provide_browser

# Every page of the demo's dashboards as a picture, in screenshots/.
screenshots: browser $(VENV)/.demo
	$(BIN)/case-monitor demo --directory $(DEMO)
	$(BIN)/python -m tests.integration.browser.take_screenshots $(DEMO) screenshots

# The dashboards over the demo's results, on http://127.0.0.1:8000.
serve: $(VENV)/.demo
	cd $(DEMO) && $(abspath $(BIN))/case-monitor serve

# MLflow's pages over the demo's registry: versions, runs, pictures.
mlflow: $(VENV)/.demo
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow server --host 127.0.0.1 --port 5000 \
		--backend-store-uri sqlite:///$(abspath $(DEMO))/mlflow.db

# PostgreSQL, MLflow, Prefect, worker and service on loopback until Ctrl-C; data and secrets stay in $(STACK).
stack: $(VENV)/.stack
	@$(BIN)/python docker/local/stack.py $(STACK)

# The data of the stack is kept.
clean:
	rm -rf $(VENV) $(AUDIT) $(DEMO)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = "%d.%d" % sys.version_info[:2]; sys.exit(sys.version_info < (3, 11) and \
		"Python 3.11 or newer is needed, %s came: make PYTHON=python3.11 ..." % v)'
	$(PYTHON) -m venv $(VENV)

$(AUDIT)/.tools: | $(BIN)/python
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check 'cyclonedx-bom>=7.5,<8' 'pip-audit>=2.10,<3'
	@touch $@

# A stamp for each set of packages, renewed when what is asked for changes.
$(VENV)/.%: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@
