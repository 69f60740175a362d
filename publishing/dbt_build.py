"""One build of the dbt project: what came of each model and test, and its documentation.

Belongs here: building a day's warehouse and reading the results.
Does not belong here: models and tests (dbt/), when to run (`day`).

In process and with the manifest at hand a whole run of a home of five small files took 18.0 s,
where one with two calls of dbt's command line took 32.7 s (30 models, 53 tests, 2 cores).
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from ingestion.sql import identifier
from publishing.catalogue import estimate_tables, manifest_path, nodes, test_names
from publishing.dbt_process import TARGET, invoke
from publishing.gate.checks import FAILED, PASSED, CheckResult, refuse_failed
from publishing.warehouse import Warehouse


@dataclass(frozen=True)
class Built:
    """What one build came to: models built, models that broke with why, test results."""

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
    """Build and test every model in the day's warehouse, and write its documentation.

    Unit tests are left out: they are about the code, not about today's data.
    """
    manifest = parsed_manifest()
    target = warehouse.folder / "dbt"
    total = sum(n["resource_type"] in ("model", "test") for n in nodes().values())
    done = [0]

    def progress(event: Any) -> None:
        if event.info.name == "NodeFinished":
            done[0] += 1
            if done[0] % 20 == 0:
                say(f"dbt: {done[0]} of {total} models and tests")

    profiles = ["--profiles-dir", str(warehouse.folder)]
    # Its manifest and results as files would cost half a second.
    chosen = ["--exclude-resource-type", "unit_test", "exposure", "--no-write-json"]
    found = invoke(["build", *chosen, *profiles], target, manifest, progress)
    built = _results(found, warehouse)
    if not built.broken:
        warehouse.docs.mkdir(exist_ok=True)
        shutil.copyfile(
            _documentation(target, profiles, warehouse.engine.database),
            warehouse.docs / "index.html",
        )
    return built


@contextmanager
def _estimates_stand_in(database: Path) -> Iterator[None]:
    """Empty tables of what analysis will make: dbt documents the types that it finds."""
    with duckdb.connect(str(database)) as connection:
        connection.execute("create schema estimates")
        for table in estimate_tables():
            columns = ", ".join(f"{identifier(name)} {kind}" for name, kind in table.types.items())
            connection.execute(f"create table estimates.{identifier(table.name)} ({columns})")
    yield
    with duckdb.connect(str(database)) as connection:
        connection.execute("drop schema estimates cascade")


def _documentation(target: Path, profiles: list[str], database: Path) -> Path:
    """The project's documentation, written once per state of it.

    From the manifest as parsed: the one a build leaves behind holds the paths of its home.
    """
    stamp = (TARGET / "parsed_at").read_text()
    page = TARGET / f"documentation-{stamp}.html"
    if not page.exists():
        folder = target / "documentation"
        folder.mkdir()
        shutil.copyfile(TARGET / "manifest.json", folder / "manifest.json")
        with _estimates_stand_in(database):
            invoke(
                ["docs", "generate", "--static", "--no-compile", *profiles],
                folder,
                parsed_manifest(),
            )
        for old in TARGET.glob("documentation-*.html"):
            old.unlink(missing_ok=True)
        (folder / "static_index.html").replace(page)
    return page


def parsed_manifest() -> Any:
    """dbt's own manifest of the project, read anew: dbt changes what it is given."""
    from dbt.contracts.graph.manifest import Manifest

    manifest_path()
    return Manifest.from_msgpack((TARGET / "partial_parse.msgpack").read_bytes())


def _results(found: Any, warehouse: Warehouse) -> Built:
    names = test_names()
    models, broken, tests = [], [], []
    for entry in found.results:
        key, status = entry.node.unique_id, str(entry.status)
        # Of an error, its first line says in which model, its second what is wrong.
        first_line = " ".join((entry.message or status).split("\n")[:2]).strip()
        if status == "skipped":
            continue  # what it was skipped for is named
        if key not in names:
            if status == "success":
                models.append(nodes()[key]["name"])
            else:
                broken.append(f"{nodes()[key]['name']}: {first_line}")
        elif status == "pass":
            tests.append(CheckResult(names[key], "dbt", PASSED))
        else:
            detail = _failures(nodes()[key], warehouse) if status == "fail" else first_line
            tests.append(CheckResult(names[key], "dbt", FAILED, detail or first_line))
    return Built(models, broken, tests)


def _failures(node: dict[str, Any], warehouse: Warehouse) -> str:
    """What a failed test found, where it keeps that: only tests of names that are no person's."""
    if not node["config"].get("store_failures"):
        return str(node["description"])
    with duckdb.connect(str(warehouse.engine.database), read_only=True) as connection:
        rows = connection.execute(f"select * from {node['relation_name']} order by all").fetchall()
    shown = "; ".join(", ".join(str(value) for value in row) for row in rows[:5])
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"{shown}{more}. {node['description']}"
