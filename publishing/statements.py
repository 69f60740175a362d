"""The dbt project as statements: what dbt compiles, once for each state of the project.

Belongs here: having dbt compile, prove and document the project; the order of its statements.
Does not belong here: running them on a day's data (`dbt_build`), reading the project (`catalogue`).

Data reach the models only as `raw.*` of the day's own database, so the statements are the same on
every day and in every home. dbt builds them over nothing, which holds each contract (types do not
depend on data), and documents them. To have dbt run them every day took 10.8 s of 3,000 deals, the
statements take 4.0.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache, cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb

from ingestion.home import Home
from ingestion.sql import identifier
from publishing.catalogue import estimate_tables, manifest_path, nodes, project_state
from publishing.dbt_process import TARGET, invoke, locked
from publishing.warehouse import Warehouse

DOCUMENTATION, STATEMENTS = "index.html", "statements.json"


@dataclass(frozen=True)
class Statement:
    """A model, as what makes its table or view, or a test, as the query of rows that break it.

    `reads`: the keys of the models that it needs.
    """

    key: str
    name: str
    is_test: bool
    text: str
    reads: list[str]

    @cached_property
    def parsed(self) -> duckdb.Statement:
        """As DuckDB has read it: a fifth of a small home's time, once in a process that builds many
        as tests do.
        """
        (statement,) = duckdb.extract_statements(self.text)
        return statement


@cache
def statements() -> list[Statement]:
    """All models, each after those that it reads, and then all tests."""
    text = (compiled() / STATEMENTS).read_text(encoding="utf-8")
    return [Statement(**entry) for entry in json.loads(text)]


def compiled() -> Path:
    """The folder with the statements and the documentation of the project as it stands.

    Raises RuntimeError if the project cannot be built over nothing: a defect.
    """
    manifest_path()
    with locked("compile"):
        folder = TARGET / f"compiled-{project_state()}"
        if not folder.exists():
            for old in TARGET.glob("compiled-*"):
                shutil.rmtree(old)
            temporary = TARGET / "compiling"
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            _compile(temporary)
            temporary.replace(folder)
    return folder


def _compile(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        home = Home.at(Path(scratch) / "home")
        home.prepare()
        warehouse = Warehouse(home, date(2000, 1, 1))
        warehouse.begin([])
        profiles = ["--profiles-dir", str(warehouse.folder)]
        chosen = ["--exclude-resource-type", "unit_test", "exposure", "--no-write-json"]
        results = invoke(["build", *chosen, *profiles], folder / "dbt", parsed_manifest()).results
        if faults := [f"{r.node.name}: {r.message}" for r in results
                      if r.status not in ("success", "pass")]:  # fmt: skip
            raise RuntimeError(f"dbt could not build over nothing: {'; '.join(faults)}")
        queries = {result.node.unique_id: result.node.compiled_code for result in results}
        listed = json.dumps([asdict(statement) for statement in _ordered(queries)])
        (folder / STATEMENTS).write_text(listed, encoding="utf-8")
        _document(folder / "dbt", profiles, warehouse.engine.database)
    (folder / "dbt" / "static_index.html").replace(folder / DOCUMENTATION)
    shutil.rmtree(folder / "dbt")


def _ordered(queries: dict[str, str]) -> Iterator[Statement]:
    kept = {key: nodes()[key] for key in queries}
    reads = {
        key: [parent for parent in node["depends_on"]["nodes"] if parent in kept]
        for key, node in kept.items()
    }
    order = sorted(
        TopologicalSorter(reads).static_order(), key=lambda key: kept[key]["resource_type"]
    )
    for key in order:
        node, text = kept[key], queries[key]
        is_test = node["resource_type"] == "test"
        if not is_test:
            if node["config"]["contract"]["enforced"]:
                text = f"select {', '.join(map(identifier, node['columns']))} from ({text})"
            text = (
                f"create {node['config']['materialized']} main.{identifier(node['name'])} as {text}"
            )
        yield Statement(key, node["name"], is_test, text, reads[key])


def _document(folder: Path, profiles: list[str], database: Path) -> None:
    """dbt's documentation as one page, from the manifest as parsed: the one that a build leaves
    behind holds the paths of its home.
    """
    shutil.copyfile(TARGET / "manifest.json", folder / "manifest.json")
    with _estimates_stand_in(database):
        arguments = ["docs", "generate", "--static", "--no-compile", *profiles]
        invoke(arguments, folder, parsed_manifest())


@contextmanager
def _estimates_stand_in(database: Path) -> Iterator[None]:
    """Empty tables of what analysis will make: dbt documents the types that it finds."""
    with duckdb.connect(str(database)) as connection:
        connection.execute("create schema estimates")
        for table in estimate_tables():
            columns = ", ".join(f"{identifier(name)} {kind}" for name, kind in table.types.items())
            connection.execute(f"create table estimates.{identifier(table.name)} ({columns})")
    yield


def parsed_manifest() -> Any:
    """dbt's own manifest of the project, read anew: dbt changes what it is given."""
    from dbt.contracts.graph.manifest import Manifest

    manifest_path()
    return Manifest.from_msgpack((TARGET / "partial_parse.msgpack").read_bytes())
