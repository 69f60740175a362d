"""Laying out rows of published tables as text.

Belongs here: what every part of the first page needs. Does not belong here: what is shown.
"""

from pathlib import Path
from typing import Any

import duckdb

from ingestion.shown import printable
from ingestion.sql import literal

MAX_ROWS = 8


def opened(folder: Path) -> duckdb.DuckDBPyConnection:
    """A connection with a view over each Parquet file of a published set."""
    connection = duckdb.connect()
    for path in sorted(folder.glob("*.parquet")):
        connection.execute(
            f"create view {path.stem} as select * from read_parquet({literal(str(path))})"
        )
    return connection


def rows_of(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any] | None = None
) -> list[Any]:
    return connection.execute(query, parameters or {}).fetchall()


def are_known(rows: list[Any]) -> bool:
    """Whether any of them is of a known value."""
    return any(label != "(unknown)" for label, *_ in rows)


def more(rows: list[Any]) -> list[str]:
    return [f"… and {len(rows) - MAX_ROWS} more"] if len(rows) > MAX_ROWS else []


def cut(label: str, width: int) -> str:
    label = printable(label)
    return label if len(label) <= width else label[: width - 1] + "…"
