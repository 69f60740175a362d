"""A folder of marts, built or published: a Parquet file a table, and views.sql for what follows.

Belongs here: opening such a folder, the form of views.sql.
Does not belong here: which tables and views there are (dbt), making them (`engines`).

What follows from stored facts by adding up is stored nowhere: views.sql holds a statement for each
such view, over the tables by their bare names. It is the same text in marts.duckdb and beside the
Parquet files.
"""

import os
import tempfile
from pathlib import Path
from types import MappingProxyType

import duckdb

from ingestion.sql import identifier, literal

VIEWS = "views.sql"
# Half the size of the default (snappy), and no slower to write or read.
PARQUET = "format parquet, parquet_version v2, compression zstd"
# What DuckDB may hold before it spills to disk: half of the machine's memory, at most 8 GB, so that
# the models of 10 M stage events stay within 11. Two are built at once: 1 M needs more than 1.9 GB.
MAX_MEMORY_BYTES = 8 * 10**9
MACHINE_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
MEMORY = MappingProxyType({"memory_limit": f"{min(MACHINE_BYTES // 2, MAX_MEMORY_BYTES)}B"})
# Reading has an eighth of that: two processes estimate, each beside its own arrays. Entries of 10 M
# are read within 1 GB in 32 s, within 8 in 29.
READING = MappingProxyType({"memory_limit": f"{min(MACHINE_BYTES // 2, MAX_MEMORY_BYTES) // 8}B"})


def connect() -> duckdb.DuckDBPyConnection:
    """A connection for reading marts."""
    # It spills where this machine keeps such files, not into the folder that we were called from.
    connection = duckdb.connect(config={**READING, "temp_directory": tempfile.gettempdir()})
    # A process forked for estimates looks interactive: DuckDB would draw its progress there.
    connection.execute("set enable_progress_bar = false")
    return connection


def opened(folder: Path, *tables: str) -> duckdb.DuckDBPyConnection:
    """A connection in which every table and view of the folder has its name, or `tables` alone: to
    open all takes 50 ms of small marts.
    """
    connection = connect()
    for table in tables:
        _name(connection, folder / f"{table}.parquet", "main")
    if not tables:
        attach(connection, folder, "main")
    return connection


def names_of(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Names of the tables and views of an opened folder."""
    query = "select view_name from duckdb_views() where not internal order by view_name"
    return [name for (name,) in connection.execute(query).fetchall()]


def attach(connection: duckdb.DuckDBPyConnection, folder: Path, schema: str) -> None:
    """Give every table and view of the folder its name in `schema`, made if it is not there."""
    connection.execute(f"create schema if not exists {identifier(schema)}")
    for path in sorted(folder.glob("*.parquet")):
        _name(connection, path, schema)
    connection.execute(f"set schema = {literal(schema)}")
    create_views(connection, folder)
    connection.execute("set schema = 'main'")


def _name(connection: duckdb.DuckDBPyConnection, path: Path, schema: str) -> None:
    table = f"{identifier(schema)}.{identifier(path.stem)}"
    connection.execute(f"create view {table} as from read_parquet({literal(str(path))})")


def create_views(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Create the derived views where the connection stands, over tables that it has."""
    if (folder / VIEWS).exists():
        connection.execute((folder / VIEWS).read_text(encoding="utf-8"))
