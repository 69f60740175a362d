"""The content hash of a table: its schema and its rows, whatever file or engine holds them.

Belongs here: hashing content. Does not belong here: hashes of files (`set_manifest`).
"""

import hashlib
import json

import duckdb

from ingestion.sql import identifier


def content_hash(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    """SHA-256 of a table's column names and types, and of the multiset of its rows.

    Rows are counted and their MD5 added up, half of it, so that neither order nor file bytes, file
    split or threads matter; nothing is sorted. `relation` is SQL after `from`.
    """
    columns = [row[:2] for row in connection.execute(f"describe from {relation}").fetchall()]
    rows = connection.execute(
        f"select count(*), sum(md5_number_lower({_as_text(columns)})) from {relation}"
    ).fetchone()
    return hashlib.sha256(json.dumps([columns, *map(str, rows or ())]).encode()).hexdigest()


def is_same(connection: duckdb.DuckDBPyConnection, one: str, other: str) -> bool:
    """Whether two relations have the same rows: by DuckDB's own hash, a tenth of the time."""
    found = [
        connection.execute(f"select count(*), sum(hash(rows)) from {relation} as rows").fetchall()
        for relation in (one, other)
    ]
    return found[0] == found[1]


def _as_text(columns: list[tuple[str, str]]) -> str:
    """SQL for a row as text. Of texts the length stands first, so that none runs into the next."""
    texts = [
        f"coalesce(length({name}) || ':' || {name}, '-')"
        if kind == "VARCHAR"
        else f"coalesce({name}::varchar, '-')"
        for name, kind in ((identifier(column), kind) for column, kind in columns)
    ]
    return f"concat_ws(' ', {', '.join(texts)})"
