"""The dbt project as parsed: its models, tests and the published tables they describe.

Belongs here: what the project says of itself, whatever home it runs for.
Does not belong here: compiling it (`statements`), running it (`dbt_build`).
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ingestion.files import write_atomically
from publishing.dbt_process import DBT_PROJECT, TARGET, invoke, locked


@dataclass(frozen=True)
class PublishedTable:
    """A published table with its columns' descriptions and types, as dbt has them.

    `grain` is declared where no dbt test holds it: for estimates. A view is derived from others.
    """

    name: str
    description: str
    columns: dict[str, str]
    types: dict[str, str]
    grain: list[str]
    is_view: bool


@dataclass(frozen=True)
class Exposure:
    """Who looks at published tables: a page, a dashboard."""

    label: str
    description: str
    tables: list[str]


def manifest_path() -> Path:
    """The parsed project, parsed anew if a file of it has changed.

    Nothing of a home is in it: data reach dbt only as `raw.*` in the day's own database.
    """
    stamp, state = TARGET / "parsed_at", project_state()
    with locked("parse"):
        if not stamp.exists() or stamp.read_text() != state:
            invoke(["parse", "--no-partial-parse", "--profiles-dir", str(DBT_PROJECT)], TARGET)
            write_atomically(stamp, state)
    return TARGET / "manifest.json"


def project_state() -> str:
    """A hash of the project's files and of dbt's version: times of files tell nothing of one that
    was taken away or copied from elsewhere.
    """
    digest = hashlib.sha256(f"{version('dbt-core')} {version('dbt-duckdb')}".encode())
    for path in sorted(DBT_PROJECT.rglob("*")):
        if path.suffix in (".sql", ".yml", ".md") and TARGET not in path.parents:
            digest.update(f"{path.relative_to(DBT_PROJECT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def nodes() -> dict[str, dict[str, Any]]:
    """Unique id to node, of every model and test."""
    return dict(_parsed()["nodes"])


@cache
def _parsed() -> dict[str, Any]:
    return dict(json.loads(manifest_path().read_text(encoding="utf-8")))


def published_models() -> list[PublishedTable]:
    """The models with a contract, each after those it reads."""
    reads = {key: node["depends_on"]["nodes"] for key, node in nodes().items()}
    ordered = (nodes().get(key, {}) for key in TopologicalSorter(reads).static_order())
    return [_table(node) for node in ordered if node.get("contract", {}).get("enforced")]


def estimate_tables() -> list[PublishedTable]:
    """The tables that analysis makes, declared in dbt/models/_estimates.yml."""
    sources = _parsed()["sources"].values()
    return [_table(source) for source in sources if source["source_name"] == "estimates"]


def exposures() -> dict[str, Exposure]:
    """Pages and dashboards by name, declared in dbt/models/_exposures.yml."""
    return {
        node["name"]: Exposure(
            node["label"],
            node["description"],
            [key.split(".")[-1] for key in node["depends_on"]["nodes"]],
        )
        for node in _parsed()["exposures"].values()
    }


def published_tables() -> list[PublishedTable]:
    """Everything that is published: tables, views derived from them, estimates."""
    return [*published_models(), *estimate_tables()]


def _table(node: dict[str, Any]) -> PublishedTable:
    columns = node["columns"]
    return PublishedTable(
        node["name"],
        node["description"].strip(),
        {name: column["description"] for name, column in columns.items()},
        {name: column["data_type"] for name, column in columns.items()},
        list(node["config"]["meta"].get("grain", [])),
        node["config"].get("materialized") == "view",
    )


def test_names() -> dict[str, str]:
    """Unique id to name of every data test."""
    return {k: n["name"] for k, n in nodes().items() if n["resource_type"] == "test"}
