"""One build of the dbt project: what came of each model and test.

Belongs here: running the project's statements in a day's warehouse.
Does not belong here: models and tests (dbt/), their statements (`statements`), when to run (`day`).
"""

import shutil
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter

import duckdb

from publishing.catalogue import nodes
from publishing.engines.duckdb_engine import N_AT_ONCE
from publishing.gate.checks import FAILED, PASSED, CheckResult, refuse_failed
from publishing.statements import DOCUMENTATION, Statement, compiled, statements
from publishing.warehouse import Warehouse


@dataclass(frozen=True)
class Built:
    """What one build came to: models built, what broke with why, test results."""

    models: list[str]
    broken: list[str]
    tests: list[CheckResult]

    def faults(self) -> list[str]:
        """What broke or failed, a line each."""
        failed = (test for test in self.tests if test.outcome == FAILED)
        return [*self.broken, *(f"{test.name}: {test.detail}" for test in failed)]

    def refuse_faults(self) -> None:
        """Raise RuntimeError for a model that broke, a defect; Refused for a test that failed."""
        if self.broken:
            raise RuntimeError(f"dbt could not build {'; '.join(self.broken)}")
        refuse_failed(self.tests)


def build(warehouse: Warehouse, say: Callable[[str], None]) -> Built:
    """Build and test every model in the day's warehouse, and put its documentation beside.

    Unit tests are left out: they are about the code, not about today's data. What needs a model
    that broke is left out too: what it was left out for is named.
    """
    built, missing, n_done = Built([], [], []), set[str](), 0
    every = {statement.key: statement for statement in statements()}
    n_needing = _n_needing(every)
    order = TopologicalSorter({key: statement.reads for key, statement in every.items()})
    order.prepare()
    with warehouse.engine.connect() as connection, ThreadPoolExecutor(N_AT_ONCE) as threads:
        running: dict[Future[None], str] = {}
        ready: list[str] = []
        while order.is_active():
            # First what most others wait for, last the tests.
            ready = sorted([*ready, *order.get_ready()], key=lambda key: n_needing[key])
            while ready and len(running) < N_AT_ONCE:
                key, cursor = ready.pop(), connection.cursor()
                running[threads.submit(_run, cursor, every[key], built, missing)] = key
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                done.result()
                order.done(running.pop(done))
                n_done += 1
                if n_done % 40 == 0:
                    say(f"dbt: {n_done} of {len(every)} models and tests")
    warehouse.docs.mkdir(exist_ok=True)
    shutil.copyfile(compiled() / DOCUMENTATION, warehouse.docs / DOCUMENTATION)
    return built


def _n_needing(every: dict[str, Statement]) -> dict[str, int]:
    """How many statements need each, by way of others too; each stands after those it reads."""
    needing: dict[str, set[str]] = {key: set() for key in every}
    for key, statement in reversed(every.items()):
        for read in statement.reads:
            needing[read] |= {key, *needing[key]}
    return {key: len(keys) for key, keys in needing.items()}


def _run(
    connection: duckdb.DuckDBPyConnection, statement: Statement, built: Built, missing: set[str]
) -> None:
    """Run a statement; note in `built` what it came to, in `missing` if it did not."""
    if missing & set(statement.reads):
        missing.add(statement.key)
        return
    try:
        if statement.is_test:
            built.tests.append(_tested(connection, statement))
        else:
            connection.execute(statement.parsed)
            built.models.append(statement.name)
    except duckdb.Error as error:
        missing.add(statement.key)
        built.broken.append(f"{statement.name}: {str(error).splitlines()[0]}")


def _tested(connection: duckdb.DuckDBPyConnection, test: Statement) -> CheckResult:
    """Its rows are told only where they are kept: only tests of names that are no person's are."""
    node = nodes()[test.key]
    if not node["config"].get("store_failures"):
        found = connection.execute(test.parsed).fetchone()
        detail = str(node["description"]) if found else ""
        return CheckResult(test.name, "dbt", FAILED if found else PASSED, detail)
    rows = connection.execute(f"select * from ({test.text}) order by all").fetchall()
    shown = "; ".join(", ".join(str(value) for value in row) for row in rows[:5])
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    if not rows:
        return CheckResult(test.name, "dbt", PASSED)
    return CheckResult(test.name, "dbt", FAILED, f"{shown}{more}. {node['description']}")
