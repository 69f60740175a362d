"""The table `source`: the rows of a file as text, before they are typed.

Belongs here: its form, writing it, its headers. Every cell is text; types come in `casting`.
Does not belong here: reading a format.
"""

import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from ingestion.errors import FileRejected
from ingestion.readers.limits import MAX_COLUMNS
from ingestion.reasons import Rejection

CHUNK = 20_000  # rows handed to DuckDB at a time


@dataclass
class Sheet:
    """Rows of text in the DuckDB table `source` (record_number, c0, c1, …).

    `headers[i]` is the header of column `c{i}`; `defects` are records that could not even be
    split into cells, as (record number, rule); `notes` count what was read but is worth knowing.
    `numbers` are columns in which the file itself holds numbers, not text written by somebody;
    `fractions` those of them shown in per cent; `is_1904` says from when a workbook counts days.
    """

    headers: list[str]
    n_records: int
    defects: list[tuple[int, str]] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    numbers: frozenset[int] = frozenset()
    fractions: frozenset[int] = frozenset()
    is_1904: bool = False


def header_row(cells: list[str]) -> list[str]:
    """Headers without odd spaces, the `*` of required columns and curly quotation marks."""
    plain = (cell.replace("\ufeff", "").replace("’", "'").rstrip("* \u00a0") for cell in cells)
    headers = [unicodedata.normalize("NFC", " ".join(cell.split())) for cell in plain]
    while headers and not headers[-1]:
        headers.pop()
    return headers


def check_headers(headers: list[str]) -> None:
    if len(headers) > MAX_COLUMNS:
        raise FileRejected(Rejection.TOO_MANY_COLUMNS, f"has {len(headers)} columns")
    folded = [header.casefold() for header in headers]
    counts = Counter(folded)
    twice = [i for i, h in enumerate(folded, start=1) if h and counts[h] > 1]
    twice.sort(key=lambda i: folded[i - 1])
    if twice:
        # By number: in a file without a header row these would be values.
        raise FileRejected(
            Rejection.DUPLICATE_HEADER,
            f"has the same header in columns {twice[0]} and {twice[1]}",
        )


def store_rows(
    connection: duckdb.DuckDBPyConnection, width: int, rows: Iterator[tuple[int, list[str | None]]]
) -> None:
    """Write rows into the table `source`, a chunk at a time: memory stays flat."""
    connection.execute("drop table if exists source")
    columns = ", ".join(f"c{i} varchar" for i in range(width))
    connection.execute(f"create table source (record_number bigint, {columns})")
    while chunk := list(itertools.islice(rows, CHUNK)):
        arrays = [pa.array([number for number, _ in chunk], pa.int64())]
        arrays += [pa.array([cells[i] for _, cells in chunk], pa.string()) for i in range(width)]
        append_columns(connection, arrays)


def append_columns(connection: duckdb.DuckDBPyConnection, arrays: list[Any]) -> None:
    names = ["record_number", *(f"c{i}" for i in range(len(arrays) - 1))]
    arrow_rows = pa.table(arrays, names=names)  # noqa: F841  (read by name below)
    connection.execute("insert into source from arrow_rows")


def count_rows(connection: duckdb.DuckDBPyConnection) -> int:
    return int(connection.execute("select count(*) from source").fetchall()[0][0])


def columns_with(connection: duckdb.DuckDBPyConnection, condition: str) -> set[int]:
    """Columns of `source` with a cell for which `condition` (SQL, `{}` the cell) holds."""
    columns = [row[0] for row in connection.execute("describe source").fetchall()][1:]
    if not columns:
        return set()
    asked = ", ".join(f"bool_or({condition.format(column)})" for column in columns)
    found = connection.execute(f"select {asked} from source").fetchall()[0]
    return {i for i, holds in enumerate(found) if holds}


def drop_binary_noise(connection: duckdb.DuckDBPyConnection) -> None:
    """Write numbers of more digits than a double holds as spreadsheets show them: with 15.

    A reader that turns doubles into text gives 13235294.119999999 for 13235294.12.
    """
    noisy = "regexp_matches({0}, '^-?\\d+[.]\\d+$') and length(translate({0}, '-.', '')) > 15"
    for i in columns_with(connection, noisy):
        connection.execute(
            f"update source set c{i} = printf('%.15g', cast(c{i} as double)) "
            f"where {noisy.format(f'c{i}')}"
        )


def drop_unfilled(
    connection: duckdb.DuckDBPyConnection, sheet: Sheet, prefilled: tuple[str, ...]
) -> None:
    """Take rows that nobody has filled out of `source`: only columns `prefilled` hold anything."""
    given = {header.casefold() for header in prefilled}
    asked = [
        f"nullif(trim(c{i}), '')" for i, h in enumerate(sheet.headers) if h.casefold() not in given
    ]
    if not prefilled or not asked:
        return
    connection.execute(f"delete from source where coalesce({', '.join(asked)}) is null")
    sheet.n_records = count_rows(connection) + len(sheet.defects)
