"""The private build of one day: landed files in, marts out as Parquet.

Belongs here: the folder warehouse/<as_of>/, registering `raw.*` before dbt starts, handing the
built marts on, the content hash.
Does not belong here: models (dbt), what is published (publish).
"""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from datetime import date

import duckdb
from ingestion.home import Home
from ingestion.sql import identifier, literal
from ingestion.tables import TABLES

# What exports said by a day, or what the CRM knew by then as later exports tell: never mixed.
AS_KNOWN, AS_RECONSTRUCTED = "as_known", "as_reconstructed"


class Warehouse:
    """warehouse/<as_of>/: nobody else opens it, and it can always be built again.

    A build of the other cut has a folder of its own, and is never published.
    """

    def __init__(self, home: Home, as_of: date, cut: str = AS_KNOWN) -> None:
        self.home = home
        self.as_of = as_of
        self.cut = cut
        name = as_of.isoformat() if cut == AS_KNOWN else f"{as_of.isoformat()}-{cut}"
        self.folder = home.warehouse / name
        self.database = self.folder / "build.duckdb"
        self.marts = self.folder / "marts"
        self.docs = self.folder / "docs"

    def begin(self, loads: list[str]) -> None:
        """A fresh folder, `raw.*` over exactly these loads, and the profile dbt runs with."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.marts.mkdir(parents=True)
        (self.folder / "loads.json").write_text(json.dumps(loads))
        company = self.home.company()
        with duckdb.connect(str(self.database)) as connection:
            connection.execute("create schema raw")
            for table in TABLES:
                connection.execute(f"create view raw.{table} as {self._landed(table, loads)}")
            connection.execute(
                "create table raw.run as select cast(? as date) as as_of, "
                "cast(? as timestamp) as as_of_at, ? as cut, ? as zone, ? as currency, "
                "cast(? as bigint) as correction_grace_seconds, "
                "cast(? as bigint) as reopen_grace_seconds, cast(? as bigint) as bulk_deals, "
                "cast(? as bigint) as idle_days",
                [
                    self.as_of,
                    company.end_of(self.as_of),
                    self.cut,
                    company.zone,
                    company.currency,
                    60 * company.correction_grace_minutes,
                    86_400 * company.reopen_grace_days,
                    company.bulk_deals,
                    company.idle_days,
                ],
            )
            connection.execute("checkpoint")
        (self.folder / "profiles.yml").write_text(
            "mellantid:\n  target: duckdb\n  outputs:\n    duckdb:\n      type: duckdb\n"
            f"      path: {json.dumps(str(self.database))}\n      threads: 2\n"
        )

    def _landed(self, table: str, loads: list[str]) -> str:
        files = [self.home.landed / load / f"{table}.parquet" for load in loads]
        paths = ", ".join(literal(str(path)) for path in files if path.exists())
        if paths:
            return f"select * from read_parquet([{paths}], hive_partitioning = false)"
        columns = (f"cast(null as {kind}) as {c}" for c, kind in TABLES[table].schema.items())
        return f"select {', '.join(columns)} where false"

    def loads(self) -> list[str]:
        content = json.loads((self.folder / "loads.json").read_text())
        return [str(load) for load in content]

    def hand_over(self, tables: list[str]) -> None:
        """Write the built marts as Parquet, rows in canonical order, so that files compare too."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            for table in tables:
                connection.execute(
                    f"copy (select * from {identifier(table)} order by all) "
                    f"to {literal(str(self.marts / f'{table}.parquet'))} (format parquet)"
                )

    def retire_others(self, keep: int) -> None:
        """Remove all but the latest `keep` builds, this one always kept."""
        folders = sorted(self.home.warehouse.glob("????-??-??*"), reverse=True)
        for folder in [f for f in folders if f != self.folder][max(keep - 1, 0) :]:
            shutil.rmtree(folder, ignore_errors=True)


def content_hash(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    """SHA-256 of a table's column names, types and rows in canonical order.

    Independent of file bytes, file split, row order and threads: rows are sorted by all columns
    and written as CSV in which null and empty text differ. `relation` is SQL after `from`.
    """
    columns = connection.execute(f"describe select * from {relation}").fetchall()
    digest = hashlib.sha256(json.dumps([row[:2] for row in columns]).encode())
    for batch in _csv_chunks(connection, relation):
        digest.update(batch)
    return digest.hexdigest()


def _csv_chunks(connection: duckdb.DuckDBPyConnection, relation: str) -> Iterator[bytes]:
    """The rows as CSV bytes, streamed through a pipe: memory stays flat."""
    read_end, write_end = os.pipe()
    query = (
        f"copy (select * from {relation} order by all) to '/dev/fd/{write_end}' "
        "(format csv, header false, force_quote *, nullstr '\\N')"
    )
    failure: list[BaseException] = []

    def write() -> None:
        try:
            connection.execute(query)
        except BaseException as error:
            failure.append(error)
        finally:
            os.close(write_end)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(read_end, "rb") as pipe:
        while chunk := pipe.read(1 << 20):
            yield chunk
    writer.join()
    if failure:
        raise failure[0]
