"""JSON Lines into the table `source`: objects flattened with dots, numbers with their digits.

Belongs here: lines, keys, what makes a line no object.
Does not belong here: lists of objects within a cell (`casting`).
"""

import io
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from ingestion.errors import FileRejected
from ingestion.readers.encoding import open_unzipped
from ingestion.readers.limits import MAX_COLUMNS, MAX_FIELD_BYTES, reject_if_damaged
from ingestion.readers.source import Sheet, check_headers, count_rows, drop_binary_noise, store_rows
from ingestion.reasons import Quarantine, Rejection
from ingestion.sql import literal


def read_json_lines(path: Path, connection: duckdb.DuckDBPyConnection) -> Sheet:
    """Read a whole file. Raises FileRejected."""
    keys, defects = _load(path, connection, None)
    headers = list(keys.paths)
    check_headers(headers)
    drop_binary_noise(connection)
    numbers = frozenset(i for i, header in enumerate(headers) if header not in keys.written)
    return Sheet(headers, count_rows(connection) + len(defects), defects, numbers=numbers)


def json_headers(path: Path, connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The keys of the first records."""
    return list(_load(path, connection, 100)[0].paths)


@dataclass
class _Keys:
    """Header to JSON path, and the headers under which some record has text, not a number."""

    paths: dict[str, str] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)


class _Number(str):
    """A JSON number with the digits it was written with."""


def _load(
    path: Path, connection: duckdb.DuckDBPyConnection, limit: int | None
) -> tuple[_Keys, list[tuple[int, str]]]:
    """Load the first records, or all, into `source`; return keys and defects."""
    defects: list[tuple[int, str]] = []
    keys = _Keys()
    lines = itertools.islice(_json_lines(path, keys, defects), limit)
    store_rows(connection, 1, ((number, [line]) for number, line in lines))
    connection.execute("create or replace temp table object as from source")
    cells = ", ".join(
        f"json_extract_string(c0, {literal(json_path)}) as c{i}"
        for i, json_path in enumerate(keys.paths.values())
    )
    connection.execute(
        f"create or replace table source as select record_number, {cells or 'null as c0'} "
        "from object"
    )
    return keys, defects


def _json_lines(
    path: Path, keys: _Keys, defects: list[tuple[int, str]]
) -> Iterator[tuple[int, str]]:
    """The lines that hold one object each, and in `keys` every header any of them has.

    The other lines go to `defects`. Raises FileRejected.
    """
    number, broken = 0, False
    with (
        reject_if_damaged(),
        open_unzipped(path) as file,
        io.TextIOWrapper(file, encoding="utf-8-sig") as lines,
    ):
        try:
            for written in filter(None, map(str.strip, lines)):
                line = LONE_SURROGATE.sub(r"\\ufffd", written) if "\\u" in written else written
                if line in ("{", "[") or (not number and line.startswith("[")):
                    raise FileRejected(
                        Rejection.NOT_JSON_LINES,
                        "is one JSON document",
                    )
                number += 1
                rule = _json_defect(line, keys)
                if len(keys.paths) > MAX_COLUMNS:
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


def _json_defect(line: str, keys: _Keys) -> str | None:
    if len(line) > MAX_FIELD_BYTES:
        return Quarantine.FIELD_TOO_LARGE
    try:
        value = json.loads(line, object_pairs_hook=_unique, parse_int=_Number, parse_float=_Number)
    except _DuplicateKey:
        return Quarantine.DUPLICATE_KEY
    except (ValueError, RecursionError):
        return Quarantine.NOT_JSON
    if not isinstance(value, dict):
        return Quarantine.NOT_AN_OBJECT
    for header, (json_path, cell) in _flattened(value):
        keys.paths[header] = json_path
        if cell is not None and not isinstance(cell, _Number):
            keys.written.add(header)
    return None


# Half of a pair that JSON needs for letters beyond the first 65,536: DuckDB refuses the whole file.
LONE_SURROGATE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


class _DuplicateKey(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _DuplicateKey
    return found


def _flattened(
    record: dict[str, Any], header: str = "", path: str = "$"
) -> Iterator[tuple[str, tuple[str, Any]]]:
    for key, value in record.items():
        dotted, below = f"{header}.{key}".lstrip("."), f'{path}."{key}"'
        if isinstance(value, dict) and value:
            yield from _flattened(value, dotted, below)
        else:
            yield dotted, (below, value)
