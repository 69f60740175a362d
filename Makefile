# The commands of the house. Everything is installed into .venv from hash-locked requirements.
PYTHON ?= python3
BIN := .venv/bin
export DO_NOT_TRACK := 1
export DAGSTER_DISABLE_TELEMETRY := true

.PHONY: help run test campaign calibrate bench parity pictures bi test-bi compare dev lint sources lock clean

help:
	@echo "make run    build the demo company's figures and print the first page"
	@echo "make test   run the tests"
	@echo "make campaign  the long tests: 10,000 histories, a year of daily drops"
	@echo "make calibrate  hold the estimates against known truth; writes docs/calibration*.md"
	@echo "make bench     what the house weighs, at up to 10 M stage events; writes docs/performance.md"
	@echo "make parity    the models on Spark, row by row as on DuckDB (needs Java 17)"
	@echo "make pictures  the README's pictures, from the demo"
	@echo "make bi     Apache Superset on what is published (127.0.0.1:8088), three dashboards"
	@echo "make test-bi   the same, started and asked by tests"
	@echo "make compare OLD=… NEW=…  two published sets, row by row"
	@echo "make dev    open Dagster's UI on the demo home (127.0.0.1:3000)"
	@echo "make lint   style, types, SQL"
	@echo "make lock   resolve the dependencies anew (needs uv)"

# Set-up: once, and again when the requirements change.
.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else 'Python 3.11 to 3.13 is needed; set PYTHON=python3.12, say')"
	@echo "Setting up .venv from requirements.txt: once, a minute or two."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --disable-pip-version-check -qq --require-hashes --no-deps -r requirements.txt
	@$(BIN)/pip install --disable-pip-version-check -qq --no-deps --no-build-isolation -e .
	@touch $@

demo/inbox: | .venv/ready
	$(BIN)/mellantid simulate --deals 3000 --seed 7 --out demo

run: .venv/ready demo/inbox
	$(BIN)/mellantid --home demo run

# Three workers on two cores: one often waits for a process or a browser.
# numpy's own threads would be in their way.
test: export OPENBLAS_NUM_THREADS := 1
test: .venv/ready
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

campaign: .venv/ready
	CAMPAIGN=1 $(BIN)/pytest -n 2 -m campaign

calibrate: .venv/ready
	$(BIN)/python -m measure.calibrate
	$(BIN)/python -m measure.causes
	$(BIN)/python -m measure.experiments
	$(BIN)/python -m measure.tocome

bench: .venv/ready
	$(BIN)/python -m measure.bench

# Spark in an environment of its own.
.venv-spark/ready: requirements-spark.txt
	@echo "Setting up .venv-spark from requirements-spark.txt: once, a minute or two."
	@$(PYTHON) -m venv .venv-spark
	@.venv-spark/bin/pip install --disable-pip-version-check -qq --require-hashes --no-deps \
		-r requirements-spark.txt
	@touch $@

parity: .venv/ready .venv-spark/ready
	$(BIN)/pytest -m parity

# What the README shows, anew from the demo.
pictures: run
	$(BIN)/python -m measure.pictures demo

# Superset in an environment of its own; BI_HOME is the home it reads.
BI_HOME ?= demo
BI_PORT ?= 8088
BI_SETTINGS = SUPERSET_HOME=$(abspath $(BI_HOME))/superset \
	SUPERSET_CONFIG_PATH=$(CURDIR)/dashboard/superset/superset_config.py

.venv-superset/ready: requirements-superset.txt
	@echo "Setting up .venv-superset from requirements-superset.txt: once, a minute or two."
	@$(PYTHON) -m venv .venv-superset
	@.venv-superset/bin/pip install --disable-pip-version-check -qq --no-compile --require-hashes \
		--no-deps -r requirements-superset.txt
	@touch $@

# Shown in the terminal until Ctrl-C.
bi: .venv-superset/ready
	@test -e $(BI_HOME)/published/current || $(MAKE) run
	@mkdir -p -m 700 $(BI_HOME)/superset
	@echo "Making Superset ready: half a minute the first time."
	@$(BI_SETTINGS) .venv-superset/bin/python dashboard/superset/make_ready.py \
		$(BI_HOME)/published/current/marts.duckdb 2>> $(BI_HOME)/superset/log.txt \
		| sed 's|: /|: http://127.0.0.1:$(BI_PORT)/|'
	@echo "Ctrl-C stops it; what it says besides goes to $(BI_HOME)/superset/log.txt"
	@$(BI_SETTINGS) .venv-superset/bin/gunicorn --workers 1 --worker-class gthread --threads 8 \
		--bind 127.0.0.1:$(BI_PORT) --no-control-socket --graceful-timeout 2 \
		"superset.app:create_app()" >> $(BI_HOME)/superset/log.txt 2>&1

test-bi: .venv/ready .venv-superset/ready
	$(BIN)/pytest -m bi

dev: .venv/ready demo/inbox
	mkdir -p demo/dagster
	cp -n dagster_project/dagster.yaml demo/dagster/ || true
	MELLANTID_HOME=$(CURDIR)/demo DAGSTER_HOME=$(CURDIR)/demo/dagster \
		$(BIN)/dg dev --host 127.0.0.1 --workspace workspace.yaml

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfluff lint dbt --disable-progress-bar
	$(BIN)/mypy

# Two published sets, row by row: what a change of the house must not change.
compare: .venv/ready
	$(BIN)/python -m measure.compare_sets $(OLD) $(NEW)

# dbt's list of input tables, from the one declaration in ingestion/tables.py.
sources: .venv/ready
	$(BIN)/python -m ingestion.tables

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		pyproject.toml --extra dev -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-strip-extras requirements-spark.in -o requirements-spark.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-strip-extras requirements-superset.in -o requirements-superset.txt

clean:
	rm -rf demo dbt/target dashboard/site/.bundles
