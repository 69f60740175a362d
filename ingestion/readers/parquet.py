"""Parquet into the table `source`.

Belongs here: its columns as text.
Does not belong here: types, which the declaration gives (`casting`).
"""

from pathlib import Path

import duckdb

from ingestion.errors import FileRejected
from ingestion.readers.source import Sheet, check_headers, count_rows, drop_binary_noise
from ingestion.reasons import Rejection
from ingestion.sql import identifier, literal

BINARY = ("DOUBLE", "FLOAT")


def read_parquet(path: Path, connection: duckdb.DuckDBPyConnection) -> Sheet:
    """Read a whole file. Raises FileRejected."""
    headers = load_parquet(path, connection, None)
    check_headers(headers)
    drop_binary_noise(connection)
    scan = f"read_parquet({literal(str(path))}, hive_partitioning = false)"
    types = [row[1] for row in connection.execute(f"describe from {scan}").fetchall()]
    numbers = frozenset(i for i, kind in enumerate(types) if kind in BINARY)
    return Sheet(headers, count_rows(connection), numbers=numbers)


def load_parquet(path: Path, connection: duckdb.DuckDBPyConnection, limit: int | None) -> list[str]:
    """Load the first records, or all, into `source`; return the headers."""
    try:
        return _loaded(path, connection, limit)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise FileRejected(Rejection.UNREADABLE, "is not whole and valid Parquet") from error


def _loaded(path: Path, connection: duckdb.DuckDBPyConnection, limit: int | None) -> list[str]:
    scan = f"read_parquet({literal(str(path))}, hive_partitioning = false)"
    described = connection.execute(f"describe select * from {scan}").fetchall()
    headers = [row[0] for row in described]
    columns = ", ".join(
        f"{_as_text(identifier(header), kind)} as c{i}"
        for i, (header, kind, *_) in enumerate(described)
    )
    connection.execute(
        f"create or replace table source as "
        f"select row_number() over () as record_number, {columns} from {scan}"
        + (f" limit {limit}" if limit else "")
    )
    return headers


def _as_text(column: str, kind: str) -> str:
    """Text of a column; ids that a tool wrote as doubles, for some are null, without their `.0`."""
    text = f"cast({column} as varchar)"
    if kind not in BINARY:
        return text
    is_whole = f"{column} = trunc({column}) and abs({column}) < 1e15"
    return f"case when {is_whole} then cast(cast({column} as bigint) as varchar) else {text} end"
