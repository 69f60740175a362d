"""JSON Lines into the table `source`: objects flattened with dots, numbers with their digits.

Belongs here: lines, keys, what makes a line no object.
Does not belong here: lists of objects within a cell (`casting`).
"""

import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from ingestion.errors import FileRejected
from ingestion.readers.encoding import open_unzipped
from ingestion.readers.limits import MAX_COLUMNS, MAX_FIELD_BYTES, reject_if_damaged
from ingestion.readers.source import Sheet, check_headers, count_rows, store_rows
from ingestion.reasons import Quarantine, Rejection
from ingestion.sql import literal


def read_json_lines(path: Path, connection: duckdb.DuckDBPyConnection) -> Sheet:
    """Read a whole file. Raises FileRejected."""
    headers, defects = load_json_lines(path, connection, None)
    check_headers(headers)
    return Sheet(headers, count_rows(connection) + len(defects), defects)


def load_json_lines(
    path: Path, connection: duckdb.DuckDBPyConnection, limit: int | None
) -> tuple[list[str], list[tuple[int, str]]]:
    """Load the first records, or all, into `source`; return headers and defects."""
    defects: list[tuple[int, str]] = []
    paths: dict[str, str] = {}
    lines = itertools.islice(_json_lines(path, paths, defects), limit)
    store_rows(connection, 1, ((number, [line]) for number, line in lines))
    connection.execute("create or replace temp table object as from source")
    cells = ", ".join(
        f"json_extract_string(c0, {literal(json_path)}) as c{i}"
        for i, json_path in enumerate(paths.values())
    )
    connection.execute(
        f"create or replace table source as select record_number, {cells or 'null as c0'} "
        "from object"
    )
    return list(paths), defects


def _json_lines(
    path: Path, paths: dict[str, str], defects: list[tuple[int, str]]
) -> Iterator[tuple[int, str]]:
    """The lines that hold one object each, and in `paths` every header any of them has.

    The other lines go to `defects`. Raises FileRejected.
    """
    number, broken = 0, False
    with (
        reject_if_damaged(),
        open_unzipped(path) as file,
        io.TextIOWrapper(file, encoding="utf-8-sig") as lines,
    ):
        try:
            for line in filter(None, map(str.strip, lines)):
                if line in ("{", "[") or (not number and line.startswith("[")):
                    raise FileRejected(
                        Rejection.NOT_JSON_LINES,
                        "is one JSON document",
                    )
                number += 1
                rule = _json_defect(line, paths)
                if len(paths) > MAX_COLUMNS:
                    raise FileRejected(Rejection.TOO_MANY_COLUMNS, "has too many different keys")
                broken = rule == Quarantine.NOT_JSON
                if rule:
                    defects.append((number, rule))
                else:
                    yield number, line
        except UnicodeError as error:
            raise FileRejected(Rejection.WRONG_ENCODING, "is not UTF-8") from error
    if broken:
        raise FileRejected(Rejection.TRUNCATED, "ends within a record: it was cut short")


def _json_defect(line: str, paths: dict[str, str]) -> str | None:
    if len(line) > MAX_FIELD_BYTES:
        return Quarantine.FIELD_TOO_LARGE
    try:
        value = json.loads(line, object_pairs_hook=_unique, parse_int=str, parse_float=str)
    except _DuplicateKey:
        return Quarantine.DUPLICATE_KEY
    except (ValueError, RecursionError):
        return Quarantine.NOT_JSON
    if not isinstance(value, dict):
        return Quarantine.NOT_AN_OBJECT
    paths.update(_flattened(value))
    return None


class _DuplicateKey(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _DuplicateKey
    return found


def _flattened(
    record: dict[str, Any], header: str = "", path: str = "$"
) -> Iterator[tuple[str, str]]:
    for key, value in record.items():
        dotted, below = f"{header}.{key}".lstrip("."), f'{path}."{key}"'
        if isinstance(value, dict) and value:
            yield from _flattened(value, dotted, below)
        else:
            yield dotted, below
