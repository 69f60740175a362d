"""dbt, run in this process: the parsed project, one build, what came of each model and test.

Belongs here: calling dbt and reading its results.
Does not belong here: models and tests (dbt/), when to run (definitions).

In process and with the manifest at hand a whole run of a home of five small files took 18.0 s,
where one with two calls of dbt's command line took 32.7 s (30 models, 53 tests, 2 cores).
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from ingestion.files import write_atomically

from dagster_project.gate import FAILED, PASSED, CheckResult
from dagster_project.warehouse import Warehouse

DBT_PROJECT = Path(__file__).parents[1] / "dbt"
TARGET = DBT_PROJECT / "target"

os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")


@dataclass(frozen=True)
class Model:
    """A published table with its columns' descriptions and types, as dbt has them.

    `grain` is declared where no dbt test holds it: for estimates.
    """

    name: str
    description: str
    columns: dict[str, str]
    types: dict[str, str]
    grain: list[str]


@dataclass(frozen=True)
class Built:
    """What one build came to: models built, models that broke with why, test results."""

    models: list[str]
    broken: list[str]
    tests: list[CheckResult]


def manifest_path() -> Path:
    """The parsed project, parsed anew if a file of it has changed.

    Nothing of a home is in it: data reach dbt only as `raw.*` in the day's own database.
    """
    stamp, newest = TARGET / "parsed_at", str(_newest_change())
    TARGET.mkdir(exist_ok=True)
    with (TARGET / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # homes share the parsed project
        if not stamp.exists() or stamp.read_text() != newest:
            invoke(["parse", "--no-partial-parse", "--profiles-dir", str(DBT_PROJECT)], TARGET)
            write_atomically(stamp, newest)
    return TARGET / "manifest.json"


def _newest_change() -> int:
    return max(
        path.stat().st_mtime_ns
        for path in DBT_PROJECT.rglob("*")
        if path.suffix in (".sql", ".yml", ".md") and TARGET not in path.parents
    )


@cache
def nodes() -> dict[str, dict[str, Any]]:
    """Unique id to node, of every model and test."""
    return dict(_parsed()["nodes"])


@cache
def _parsed() -> dict[str, Any]:
    return dict(json.loads(manifest_path().read_text(encoding="utf-8")))


def published_models() -> list[Model]:
    """The models in dbt/models/marts."""
    return [
        _model(node)
        for node in nodes().values()
        if node["resource_type"] == "model" and node["fqn"][1] == "marts"
    ]


def estimate_tables() -> list[Model]:
    """The tables that analysis makes, declared in dbt/models/_estimates.yml."""
    sources = _parsed()["sources"].values()
    return [_model(source) for source in sources if source["source_name"] == "estimates"]


def published_tables() -> list[Model]:
    return [*published_models(), *estimate_tables()]


def _model(node: dict[str, Any]) -> Model:
    columns = node["columns"]
    return Model(
        node["name"],
        node["description"].strip(),
        {name: column["description"] for name, column in columns.items()},
        {name: column["data_type"] for name, column in columns.items()},
        list(node["config"]["meta"].get("grain", [])),
    )


def test_names() -> dict[str, str]:
    """Unique id to name of every data test."""
    return {k: n["name"] for k, n in nodes().items() if n["resource_type"] == "test"}


def build(warehouse: Warehouse, say: Callable[[str], None]) -> Built:
    """Build and test every model in the day's warehouse, and write its documentation.

    Unit tests are left out: they are about the code, not about today's data.
    """
    manifest = _manifest()
    target = warehouse.folder / "dbt"
    total = sum(n["resource_type"] in ("model", "test") for n in nodes().values())
    done = [0]

    def progress(event: Any) -> None:
        if event.info.name == "NodeFinished":
            done[0] += 1
            if done[0] % 20 == 0:
                say(f"dbt: {done[0]} of {total} models and tests")

    profiles = ["--profiles-dir", str(warehouse.folder)]
    invoke(["build", "--exclude-resource-type", "unit_test", *profiles], target, manifest, progress)
    built = _read_results(target / "run_results.json", warehouse)
    if not built.broken:
        warehouse.docs.mkdir(exist_ok=True)
        shutil.copyfile(_documentation(target, profiles), warehouse.docs / "index.html")
    return built


def _documentation(target: Path, profiles: list[str]) -> Path:
    """The project's documentation, written once per state of it.

    From the manifest as parsed: the one a build leaves behind holds the paths of its home.
    """
    stamp = (TARGET / "parsed_at").read_text()
    page = TARGET / f"documentation-{stamp}.html"
    if not page.exists():
        folder = target / "documentation"
        folder.mkdir()
        shutil.copyfile(TARGET / "manifest.json", folder / "manifest.json")
        invoke(["docs", "generate", "--static", "--no-compile", *profiles], folder, _manifest())
        for old in TARGET.glob("documentation-*.html"):
            old.unlink(missing_ok=True)
        (folder / "static_index.html").replace(page)
    return page


def _manifest() -> Any:
    from dbt.contracts.graph.manifest import Manifest

    manifest_path()
    return Manifest.from_msgpack((TARGET / "partial_parse.msgpack").read_bytes())


def invoke(
    arguments: list[str],
    target: Path,
    manifest: Any = None,
    progress: Callable[[Any], None] | None = None,
) -> None:
    """Run dbt. Its own log goes to the target folder; raises what dbt itself could not handle."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    places = ["--project-dir", str(DBT_PROJECT), "--target-path", str(target)]
    logs = ["--log-path", str(target), "--log-level", "none"]
    runner = dbtRunner(manifest=manifest, callbacks=[progress] if progress else [])
    try:
        result = runner.invoke([*arguments, *places, *logs])
    finally:
        # dbt keeps the database open read-write, and nobody else could then open it.
        DuckDBConnectionManager.close_all_connections()
    if result.exception is not None:
        raise result.exception


def _read_results(path: Path, warehouse: Warehouse) -> Built:
    names = test_names()
    models, broken, tests = [], [], []
    for entry in json.loads(path.read_text(encoding="utf-8"))["results"]:
        key, status = entry["unique_id"], entry["status"]
        first_line = (entry["message"] or status).strip().splitlines()[0]
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
    with duckdb.connect(str(warehouse.database), read_only=True) as connection:
        rows = connection.execute(f"select * from {node['relation_name']} order by all").fetchall()
    shown = "; ".join(", ".join(str(value) for value in row) for row in rows[:5])
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"{shown}{more}. {node['description']}"
