"""Laying out rows of published tables as text.

Belongs here: what every part of the first page needs. Does not belong here: what is shown.
"""

from typing import Any

import duckdb

from ingestion.shown import printable

MAX_ROWS = 8


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
