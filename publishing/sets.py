"""Published sets: a whole set written beside the others, verified, made current by one switch.

Belongs here: the published folder, schema compatibility, retention, rollback.
Does not belong here: what is allowed to be published (`gate`), what the tables hold (dbt).

published/<run>/       marts.duckdb, <table>.parquet, views.sql, site/, docs/, manifest.json; never
                       changed
published/current      symbolic link to one of them, replaced by rename
published/status.js    what is current, and whether a later run was refused; outside the sets
published/switches.json    which sets were current, one after the other
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import Path

import duckdb

from dashboard.site.parts import Check, LandedFile, SetFacts
from ingestion.errors import UserError
from ingestion.files import damaged, file_hash, fsync_folder
from ingestion.home import Home
from ingestion.landing.manifest import LoadManifest, read_manifests
from ingestion.sql import identifier, literal
from ingestion.stored import DamagedFile
from publishing import schema
from publishing.catalogue import PublishedTable
from publishing.content import content_hash
from publishing.failures import Failure
from publishing.gate.checks import CheckResult, Refused
from publishing.lease import Lease
from publishing.marts import VIEWS, create_views
from publishing.set_manifest import (
    FILE_NAME,
    LoadFacts,
    SetManifest,
    TableContent,
    code_version,
    now,
    read_manifest,
)
from publishing.status import Status, read_status, write_status
from publishing.switches import before, read_switches, write_switches
from publishing.verification import verify, verify_in_fresh_process
from publishing.warehouse import Warehouse

# The storage version DuckDB 1.5 reads: BI drivers lag behind the 2.0 client that writes.
STORAGE_VERSION = "v1.5.0"


class PublishedSets:
    """The published folder of a home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.published
        self.link = home.published / "current"

    def current(self) -> Path | None:
        """The folder of the set that readers see."""
        return self.link.resolve() if self.link.exists() else None

    def current_manifest(self) -> SetManifest | None:
        """What the current set is made of. Raises DamagedFile."""
        folder = self.current()
        return read_manifest(folder) if folder else None

    def whole_current(self) -> SetManifest | None:
        """The manifest of the current set, or None where it is damaged: the next set heals that."""
        try:
            return self.current_manifest()
        except DamagedFile:
            return None

    def manifests(self) -> list[tuple[Path, SetManifest]]:
        """All published sets with their manifests, oldest first; the order of their epochs.

        One whose manifest is damaged is none: `mellantid verify` names it.
        """
        found = []
        for folder in (p.parent for p in self.folder.glob(f"*/{FILE_NAME}")):
            with suppress(DamagedFile):
                if not folder.is_symlink():
                    found.append((folder, read_manifest(folder)))
        return sorted(found, key=lambda item: item[1].epoch)

    def sets(self) -> list[Path]:
        """All published sets, oldest first."""
        return [folder for folder, _ in self.manifests()]

    def last_before(self, as_of: date) -> Path | None:
        """The newest set of `as_of` or an earlier day, undamaged: what a run is compared with."""
        sets = [(m.as_of, m.epoch, folder, m) for folder, m in self.manifests() if m.as_of <= as_of]
        whole = (
            f
            for *_, f, m in sorted(sets, reverse=True, key=lambda s: s[:2])
            if not damaged(f, m.files)
        )
        return next(whole, None)

    # --- publishing ------------------------------------------------------------------------------

    def publish(
        self,
        warehouse: Warehouse,
        tables: list[PublishedTable],
        results: list[CheckResult],
        lease: Lease,
        run_id: str,
        write_pages: Callable[[Path, SetFacts], None],
    ) -> SetManifest:
        """Write the set, with what `write_pages` adds to its folder, verify it in a fresh process,
        make it current. Returns its manifest.

        Raises Refused if a published column would go without a new schema version or if what
        was written does not read back the same, LeaseHeld if a later run has taken over.
        """
        name = f"{warehouse.as_of.isoformat()}-{lease.epoch:06d}"
        temporary = self.folder / f".tmp-{name}"
        for left in self.folder.glob(".tmp-*"):
            shutil.rmtree(left)
        temporary.mkdir(parents=True)
        contents, views = _write_tables(warehouse, tables, temporary)
        if warehouse.docs.exists():
            shutil.copytree(warehouse.docs, temporary / "docs")
        inputs = warehouse.inputs()
        loads = read_manifests(self.home, inputs.loads)
        write_pages(temporary, _told(name, warehouse, loads, results))
        written = [path for path in sorted(temporary.rglob("*")) if path.is_file()]
        manifest = SetManifest(
            run=name,
            run_id=run_id,
            as_of=warehouse.as_of,
            epoch=lease.epoch,
            published_at=now(),
            schema_version=schema.SCHEMA_VERSION,
            code_version=code_version(),
            inputs_hash=inputs.content_hash(),
            tables=contents,
            views=views,
            checks=results,
            loads=[LoadFacts.of(load) for load in loads],
            files={path.relative_to(temporary).as_posix(): file_hash(path) for path in written},
        )
        self._check_schema(manifest)
        manifest.write(temporary / FILE_NAME)
        verify_in_fresh_process(temporary)
        _fsync_tree(temporary)
        lease.check()
        folder = self.folder / name
        temporary.replace(folder)
        fsync_folder(self.folder)
        current = self.whole_current()
        if (
            current is None
            or current.as_of <= manifest.as_of
            or self._is_of_a_day_to_come(current, manifest)
        ):
            earlier = [name for name in self._switched() if name != folder.name]
            self._switch(folder, [*earlier, folder.name])
        self.save_status(is_cleared=True)
        self._retire()
        return manifest

    def _is_of_a_day_to_come(self, current: SetManifest, manifest: SetManifest) -> bool:
        """Whether the current set was made while a clock was ahead: it would stay for ever.

        If it is this run's clock that fell back, exports were known after its day.
        """
        company = self.home.company()
        end = f"{company.end_of(manifest.as_of):%Y-%m-%d %H:%M:%S}"
        is_ahead = current.as_of > company.today()
        return is_ahead and all(load.known_at <= end for load in manifest.loads)

    def _check_schema(self, manifest: SetManifest) -> None:
        """Refuse a column that readers had and would lose, unless it was announced."""
        readers = self.whole_current()
        if readers is None:
            return
        found = manifest.columns()
        lost = [
            f"{table}.{column}"
            for table, columns in readers.columns().items()
            for column, kind in columns.items()
            if found.get(table, {}).get(column) != kind
        ]
        is_raised = readers.schema_version < schema.SCHEMA_VERSION
        announced = schema.announced_changes(schema.SCHEMA_VERSION) if is_raised else ""
        silent = [
            column
            for column in lost
            if f"`{column}`" not in announced and f"`{column.partition('.')[0]}`" not in announced
        ]
        if silent:
            raise Refused(
                f"schema: {', '.join(silent)} would be removed, renamed or retyped; raise "
                "SCHEMA_VERSION and name each column under its heading in CHANGELOG.md"
            )

    def _switched(self) -> tuple[str, ...]:
        """The sets that were current, oldest first, the present one last."""
        names = read_switches(self.folder, [manifest for _, manifest in self.manifests()])
        current = self.current()
        return (*before(names, current.name), current.name) if current else names

    def _switch(self, folder: Path, names: Sequence[str]) -> None:
        """Make a set current; `names` are those that were so, this one last."""
        write_switches(self.folder, names)
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
            age = time.time() - (folder / FILE_NAME).stat().st_mtime
            if folder not in (current, previous) and age > days * 86_400:
                shutil.rmtree(folder)

    # --- rollback and status ---------------------------------------------------------------------

    def previous(self) -> Path | None:
        """The set that was current before the current one."""
        earlier = self._switched()[:-1]
        there = [self.folder / name for name in earlier if (self.folder / name).is_dir()]
        return there[-1] if there else None

    def rollback(self) -> SetManifest:
        """Make the set that was current before the current one current again.

        Raises UserError if there is none or if it does not read back as written.
        """
        previous = self.previous()
        if previous is None:
            raise UserError("rollback: there is no earlier published set; nothing was changed")
        if faults := list(verify(previous)):
            raise UserError(
                f"rollback: set {previous.name}: {'; '.join(faults)}; restore it from backup or "
                "delete its folder; nothing was changed"
            )
        self._switch(previous, [*before(self._switched()[:-1], previous.name), previous.name])
        self.save_status()
        return read_manifest(previous)

    def status(self) -> Status:
        """What is current, and whether a later run was refused. Raises DamagedFile."""
        return read_status(self.folder)

    def save_status(self, refused: Failure | None = None, is_cleared: bool = False) -> Status:
        """Replace status.js; see `write_status`."""
        return write_status(self.folder, self.whole_current(), refused, is_cleared)


def _told(
    name: str, warehouse: Warehouse, loads: list[LoadManifest], results: list[CheckResult]
) -> SetFacts:
    """What pages tell of a set besides its tables."""
    files = [
        LandedFile(load.file_kind, load.known_at, load.accepted, load.quarantined, load.rules)
        for load in loads
    ]
    checks = [Check(result.name, result.outcome, result.detail) for result in results]
    return SetFacts(name, warehouse.as_of, files, checks)


def _write_tables(
    warehouse: Warehouse, tables: list[PublishedTable], folder: Path
) -> tuple[dict[str, TableContent], dict[str, dict[str, str]]]:
    """marts.duckdb with its comments, and one Parquet file a table. Returns tables and views."""
    contents, views, hashes = {}, {}, {}
    database = folder / "marts.duckdb"
    # All of the folder is written to the disk together, later.
    with duckdb.connect(config={"fsync_mode": "NONE"}) as connection, ThreadPoolExecutor(1) as pool:
        for table in (table for table in tables if not table.is_view):
            name = f"{table.name}.parquet"
            shutil.copyfile(warehouse.marts / name, folder / name)
            scan = _scan(folder, table)
            hashes[table.name] = pool.submit(content_hash, connection.cursor(), scan)
        connection.execute(
            f"attach {literal(str(database))} as marts (storage_version '{STORAGE_VERSION}')"
        )
        connection.execute("use marts")
        # One transaction: by itself each of a thousand comments took 1 ms.
        connection.execute("begin")
        for table in (table for table in tables if not table.is_view):
            columns, rows = _write_table(connection, table, folder)
            contents[table.name] = TableContent(
                columns=columns, rows=rows, content_hash=hashes[table.name].result()
            )
        shutil.copyfile(warehouse.marts / VIEWS, folder / VIEWS)
        create_views(connection, folder)
        for table in (table for table in tables if table.is_view):
            views[table.name] = _columns(connection, table.name)
            _comment(connection, table)
        connection.execute("commit")
        connection.execute("checkpoint marts")
        connection.execute("use memory")
        connection.execute("detach marts")
    if database.with_name("marts.duckdb.wal").exists():
        raise RuntimeError("marts.duckdb was not closed cleanly")
    return contents, views


def _write_table(
    connection: duckdb.DuckDBPyConnection, table: PublishedTable, folder: Path
) -> tuple[dict[str, str], int]:
    """A table of marts.duckdb from its Parquet file; types of its columns, how many rows it has."""
    name = identifier(table.name)
    connection.execute(f"create table {name} as from {_scan(folder, table)}")
    _comment(connection, table)
    (rows,) = connection.execute(f"select count(*) from {name}").fetchall()
    return _columns(connection, table.name), rows[0]


def _scan(folder: Path, table: PublishedTable) -> str:
    return f"read_parquet({literal(str(folder / f'{table.name}.parquet'))})"


def _columns(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, str]:
    rows = connection.execute(f"describe {identifier(name)}").fetchall()
    return {row[0]: row[1] for row in rows}


def _comment(connection: duckdb.DuckDBPyConnection, table: PublishedTable) -> None:
    """Its description, and that of each column, where readers look."""
    name, kind = identifier(table.name), "view" if table.is_view else "table"
    comments = [f"comment on {kind} {name} is {literal(table.description)}"]
    comments += [
        f"comment on column {name}.{identifier(column)} is {literal(text)}"
        for column, text in table.columns.items()
    ]
    connection.execute("; ".join(comments))


def _fsync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    for path in (*(p for p in folder.rglob("*") if p.is_dir()), folder):
        fsync_folder(path)
