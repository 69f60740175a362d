# The commands of the house. Everything is installed into .venv from hash-locked requirements.
PYTHON ?= python3
BIN := .venv/bin
export DO_NOT_TRACK := 1
export DAGSTER_DISABLE_TELEMETRY := true

.PHONY: help run test campaign calibrate bench parity compare dev lint sources lock clean

help:
	@echo "make run    build the demo company's figures and print the first page"
	@echo "make test   run the tests"
	@echo "make campaign  the long tests: 10,000 histories, a year of daily drops"
	@echo "make calibrate  hold the estimates against known truth; writes docs/calibration*.md"
	@echo "make bench     what the house weighs, at up to 10 M stage events; writes docs/performance.md"
	@echo "make parity    the models on Spark, row by row as on DuckDB (needs Java 17)"
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

test: .venv/ready
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

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

clean:
	rm -rf demo dbt/target
