"""Publish: a whole set written beside the others, verified, made current by one switch.

Belongs here: the published folder, its manifest, schema compatibility, retention, rollback, the
status that unchanging pages read.
Does not belong here: what is allowed to be published (gate), what the tables hold (dbt).

published/<run>/       marts.duckdb, <table>.parquet, docs/, manifest.json; never changed again
published/current      symbolic link to one of them, replaced by rename
published/status.js    what is current, and whether a later run was refused; outside the sets
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
from ingestion.errors import UserError
from ingestion.files import fsync_folder, write_atomically, write_json
from ingestion.home import Home
from ingestion.landing import manifests
from ingestion.sql import identifier, literal

from dagster_project.dbt_build import Model
from dagster_project.gate import CheckResult, Refused
from dagster_project.lease import Lease
from dagster_project.warehouse import Warehouse, content_hash

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"

# Raised with any removed, renamed or retyped published column; the CHANGELOG names them under
# "## Schema <version>".
SCHEMA_VERSION = 3

# The storage version DuckDB 1.5 reads: BI drivers lag behind the 2.0 client that writes.
STORAGE_VERSION = "v1.5.0"


class Published:
    """The published folder of a home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.published
        self.link = home.published / "current"

    def current(self) -> Path | None:
        return self.link.resolve() if self.link.exists() else None

    def manifest(self, folder: Path | None) -> dict[str, Any]:
        if folder is None:
            return {}
        content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return dict(content)

    def sets(self) -> list[Path]:
        """All published sets, oldest first; the order of their epochs."""
        found = [p.parent for p in self.folder.glob("*/manifest.json") if not p.parent.is_symlink()]
        return sorted(found, key=lambda folder: int(self.manifest(folder)["epoch"]))

    def last_before(self, as_of: date) -> Path | None:
        """The newest set of `as_of` or an earlier day: what a run is compared with."""
        sets = [f for f in self.sets() if self.manifest(f)["as_of"] <= as_of.isoformat()]
        return max(
            sets, key=lambda f: (self.manifest(f)["as_of"], self.manifest(f)["epoch"]), default=None
        )

    # --- publishing ------------------------------------------------------------------------------

    def publish(
        self,
        warehouse: Warehouse,
        models: list[Model],
        results: list[CheckResult],
        lease: Lease,
        run_id: str,
    ) -> dict[str, Any]:
        """Write the set, verify it in a fresh process, make it current. Returns its manifest.

        Raises Refused if a published column would go without a new schema version or if what
        was written does not read back the same, LeaseHeld if a later run has taken over.
        """
        name = f"{warehouse.as_of.isoformat()}-{lease.epoch:06d}"
        temporary = self.folder / f".tmp-{name}"
        for left in self.folder.glob(".tmp-*"):
            shutil.rmtree(left)
        temporary.mkdir(parents=True)
        tables = self._write_tables(warehouse, models, temporary)
        self._check_schema(tables)
        if warehouse.docs.exists():
            shutil.copytree(warehouse.docs, temporary / "docs")
        loads = manifests(self.home, warehouse.loads())
        manifest = {
            "run": name,
            "run_id": run_id,
            "as_of": warehouse.as_of.isoformat(),
            "epoch": lease.epoch,
            "published_at": _now(),
            "schema_version": SCHEMA_VERSION,
            "code_version": code_version(),
            "tables": tables,
            "checks": [asdict(result) for result in results],
            "loads": [_load_facts(load) for load in loads],
            "files": {
                path.relative_to(temporary).as_posix(): _file_hash(path)
                for path in sorted(temporary.rglob("*"))
                if path.is_file()
            },
        }
        write_json(temporary / "manifest.json", manifest)
        _verify_in_fresh_process(temporary)
        _fsync_tree(temporary)
        lease.check()
        folder = self.folder / name
        temporary.replace(folder)
        fsync_folder(self.folder)
        if self.manifest(self.current()).get("as_of", "") <= manifest["as_of"]:
            self._switch(folder)
        self.write_status(cleared=run_id)
        self._retire()
        return manifest

    def _write_tables(
        self, warehouse: Warehouse, models: list[Model], folder: Path
    ) -> dict[str, dict[str, Any]]:
        tables = {}
        database = folder / "marts.duckdb"
        with duckdb.connect() as connection:
            connection.execute(
                f"attach {literal(str(database))} as marts (storage_version '{STORAGE_VERSION}')"
            )
            for model in models:
                source = warehouse.marts / f"{model.name}.parquet"
                shutil.copyfile(source, folder / source.name)
                table = f"marts.{identifier(model.name)}"
                scan = f"read_parquet({literal(str(source))})"
                connection.execute(f"create table {table} as select * from {scan}")
                connection.execute(f"comment on table {table} is {literal(model.description)}")
                for column, text in model.columns.items():
                    connection.execute(
                        f"comment on column {table}.{identifier(column)} is {literal(text)}"
                    )
                columns = connection.execute(f"describe select * from {table}").fetchall()
                rows = connection.execute(f"select count(*) from {table}").fetchone()
                tables[model.name] = {
                    "columns": {row[0]: row[1] for row in columns},
                    "rows": rows[0] if rows else 0,
                    "content_hash": content_hash(connection, table),
                }
            connection.execute("checkpoint marts")
            connection.execute("detach marts")
        if database.with_name("marts.duckdb.wal").exists():
            raise RuntimeError("marts.duckdb was not closed cleanly")
        return tables

    def _check_schema(self, tables: dict[str, dict[str, Any]]) -> None:
        """Refuse a column that readers had and would lose, unless it was announced."""
        before = self.manifest(self.current())
        lost = []
        for table, facts in before.get("tables", {}).items():
            columns = tables.get(table, {}).get("columns", {})
            for column, kind in facts["columns"].items():
                if columns.get(column) != kind:
                    lost.append(f"{table}.{column}")
        if not lost:
            return
        announced = _announced(SCHEMA_VERSION) if before["schema_version"] < SCHEMA_VERSION else ""
        silent = [column for column in lost if f"`{column}`" not in announced]
        if silent:
            raise Refused(
                f"schema: {', '.join(silent)} would be removed, renamed or retyped; raise "
                "SCHEMA_VERSION and name each column under its heading in CHANGELOG.md"
            )

    def _switch(self, folder: Path) -> None:
        temporary = self.folder / f".tmp-current-{os.getpid()}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(folder.name)
        temporary.replace(self.link)
        fsync_folder(self.folder)

    def _retire(self) -> None:
        """Remove sets older than the company keeps them, by time: a slow reader may hold one."""
        days = self.home.company().keep_published_days
        current, previous = self.current(), self.previous()
        for folder in self.sets():
            age = time.time() - (folder / "manifest.json").stat().st_mtime
            if folder not in (current, previous) and age > days * 86_400:
                shutil.rmtree(folder)

    # --- rollback and status ---------------------------------------------------------------------

    def previous(self) -> Path | None:
        """The set published before the current one."""
        current = self.current()
        if current is None:
            return None
        epoch = int(self.manifest(current)["epoch"])
        older = [f for f in self.sets() if int(self.manifest(f)["epoch"]) < epoch]
        return older[-1] if older else None

    def rollback(self) -> Path:
        """Make the set before the current one current. Raises UserError if there is none."""
        previous = self.previous()
        if previous is None:
            raise UserError("rollback: there is no earlier published set; nothing was changed")
        self._switch(previous)
        self.write_status()
        return previous

    def write_status(
        self, refused: dict[str, Any] | None = None, cleared: str | None = None
    ) -> dict[str, Any]:
        """Replace status.js: the current set and, if a later run failed, why and since when.

        `since` is the first failure after the last success. A success clears it.
        """
        status = {"current": None, "refused": None, **self.status()}
        manifest = self.manifest(self.current())
        status["current"] = {
            key: manifest[key] for key in ("run", "as_of", "published_at") if key in manifest
        } or None
        if cleared:
            status["refused"] = None
        if refused:
            since = (status["refused"] or {}).get("since") or _now()
            status["refused"] = {**refused, "since": since, "at": _now()}
        write_atomically(
            self.folder / "status.js", f"window.mellantidStatus = {json.dumps(status)};\n"
        )
        return status

    def status(self) -> dict[str, Any]:
        path = self.folder / "status.js"
        if not path.exists():
            return {}
        text = path.read_text(encoding="utf-8")
        return dict(json.loads(text.partition("=")[2].rstrip().removesuffix(";")))


# --- verification --------------------------------------------------------------------------------


def verify(folder: Path) -> Iterator[str]:
    """Faults of a written set: tables against the manifest, in both forms, and file hashes."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    damaged = [n for n, digest in manifest["files"].items() if _file_hash(folder / n) != digest]
    if damaged:
        yield f"{', '.join(damaged)} does not read back as written"
        return
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(str(folder / 'marts.duckdb'))} as marts (read_only)")
        for table, facts in manifest["tables"].items():
            parquet = f"read_parquet({literal(str(folder / f'{table}.parquet'))})"
            for relation in (f"marts.{identifier(table)}", parquet):
                if content_hash(connection, relation) != facts["content_hash"]:
                    yield f"{table} differs from what was checked"


def _verify_in_fresh_process(folder: Path) -> None:
    # A fresh process reads what is on disk, not what this one still has in memory.
    command = [sys.executable, "-m", "dagster_project.publish", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()
        raise Refused(f"verification: {reason[-1] if reason else 'no answer'}")


def code_version() -> str:
    """The package version and, in a checkout, its commit."""
    command = ["git", "-C", str(CHANGELOG.parent), "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        commit = done.stdout.strip()
    except OSError:
        commit = ""
    return version("mellantid") + (f"+{commit}" if commit else "")


def _announced(schema_version: int) -> str:
    """The CHANGELOG's text under the heading of this schema version."""
    text = CHANGELOG.read_text(encoding="utf-8")
    _, _, after = text.partition(f"## Schema {schema_version}\n")
    return after.partition("\n## ")[0]


def _load_facts(load: dict[str, Any]) -> dict[str, Any]:
    kept = ("load_id", "sha256", "entry", "known_at", "records", "accepted", "quarantined", "rules")
    return {key: load[key] for key in kept}


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    for path in (*(p for p in folder.rglob("*") if p.is_dir()), folder):
        fsync_folder(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    sys.exit("; ".join(verify(Path(sys.argv[1]))) or 0)
