"""CSV and its relatives into the table `source`.

Belongs here: records, quotation marks, widths.
Does not belong here: encodings (`encoding`), what a cell means.

Nothing is sniffed: DuckDB's sniffer drops rows in silence when a file's width changes, and its
`columns=` is positional, so headers are read first and given back in the file's own order.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from ingestion.errors import FileRejected
from ingestion.mappings.forms import Dialect
from ingestion.readers.encoding import start_of_text
from ingestion.readers.limits import MAX_FIELD_BYTES
from ingestion.readers.source import Sheet, check_headers, count_rows, header_row, store_rows
from ingestion.reasons import Quarantine, Rejection
from ingestion.sql import literal

# A report says below its records whose it is, in lines of one cell after an empty one.
MAX_FOOTERS = 10


def _csv_records(file: Any, dialect: Dialect) -> Iterator[list[str]]:
    return csv.reader(file, delimiter=dialect.separator, strict=True)


def headers(path: Path, dialect: Dialect) -> list[str]:
    """The headers of a file in this dialect; only its start is read. Raises FileRejected."""
    return _first_record(io.StringIO(start_of_text(path, dialect), newline=""), dialect)


def _first_record(file: Any, dialect: Dialect) -> list[str]:
    try:
        return header_row(next(_csv_records(file, dialect), []))
    except csv.Error as error:
        raise FileRejected(
            Rejection.BROKEN_QUOTES, "has a broken quotation mark in its headers"
        ) from error


def read_delimited(text: Path, dialect: Dialect, connection: duckdb.DuckDBPyConnection) -> Sheet:
    with text.open(encoding="utf-8", newline="") as file:
        headers = _first_record(file, dialect)
    check_headers(headers)
    columns = {f"c{i}": "VARCHAR" for i in range(len(headers))}
    empty = " and ".join(f"coalesce(trim({column}), '') = ''" for column in columns)
    try:
        connection.execute(
            f"""
            create table source as
            select * from (
                select row_number() over () as record_number, *
                from read_csv(
                    $path, auto_detect = false, header = true, columns = {columns}, delim = $delim,
                    quote = '"', escape = '"', null_padding = false, strict_mode = true,
                    max_line_size = {MAX_FIELD_BYTES}, hive_partitioning = false,
                    compression = 'none'
                )
            )
            -- Lines of nothing but separators, as spreadsheets leave them below a table.
            where not ({empty})
            """,
            {"path": str(text), "delim": dialect.separator},
        )
    except duckdb.InvalidInputException:
        connection.execute("drop table if exists source")
        sheet = _read_csv_carefully(text, headers, dialect, connection)
    else:
        sheet = Sheet(headers, count_rows(connection))
    _check_swallowed(connection, len(headers), dialect)
    if _is_open(text, dialect) and not dialect.open_end and not sheet.notes:
        _set_last_aside(sheet, connection)
    return sheet


def _check_swallowed(connection: duckdb.DuckDBPyConnection, width: int, dialect: Dialect) -> None:
    """A cell with lines as wide as records has swallowed some: a quotation mark is missing."""
    if width < 3:
        return
    lines = "string_split({column}, chr(10))"
    separators = f"len(line) - len(replace(line, {literal(dialect.separator)}, ''))"
    swallowed = " or ".join(
        f"(contains({column}, chr(10)) and len(list_filter({lines.format(column=column)}, "
        f"lambda line: {separators} >= {width - 1})) > 0)"
        for column in (f"c{i}" for i in range(width))
    )
    row = connection.execute(f"select min(record_number) from source where {swallowed}").fetchone()
    if row and row[0] is not None:
        raise FileRejected(
            Rejection.UNTERMINATED_QUOTE,
            f"has a cell in record {row[0]} that holds whole lines: a quotation mark is missing",
        )


def _is_open(text: Path, dialect: Dialect) -> bool:
    """Whether the last line has no end, and is more than spaces and separators."""
    with text.open("rb") as file:
        file.seek(max(text.stat().st_size - MAX_FIELD_BYTES, 0))
        last = file.read().replace(b"\r", b"\n").rpartition(b"\n")[2]
    return bool(last.decode(errors="replace").strip(f" {dialect.separator}"))


def _set_last_aside(sheet: Sheet, connection: duckdb.DuckDBPyConnection) -> None:
    """`…,1000` may have been 1000000: a last line without an end looks the same either way."""
    row = connection.execute("select max(record_number) from source").fetchone()
    last = row[0] if row else None
    if last is not None and last > max((number for number, _ in sheet.defects), default=0):
        connection.execute("delete from source where record_number = ?", [last])
        sheet.defects.append((last, Quarantine.LAST_LINE_WITHOUT_END))


def _read_csv_carefully(
    text: Path, headers: list[str], dialect: Dialect, connection: duckdb.DuckDBPyConnection
) -> Sheet:
    """Record by record, for a file that DuckDB refuses: keep what has the right width.

    DuckDB names the first broken line but not the others. 300,000 records: 2.2 s against 0.2 s.
    """
    defects: list[tuple[int, str]] = []
    footers: list[int] = []  # lines of one cell since the last empty line, if nothing else came

    def good() -> Iterator[tuple[int, list[str | None]]]:
        width, is_below = len(headers), False
        for number, record in _numbered(text, dialect, defects):
            if not record:
                is_below, footers[:] = True, []
            elif len(record) == width or (len(record) > width and not any(record[width:])):
                is_below, footers[:] = False, []
                yield number, [cell or None for cell in record[:width]]
            else:
                defects.append((number, Quarantine.WRONG_NUMBER_OF_CELLS))
                if is_below and len(record) == 1 and width > 2:
                    footers.append(number)

    store_rows(connection, len(headers), good())
    last = max((number for number, _ in defects), default=0)
    if not footers or footers[-1] != last or len(footers) > MAX_FOOTERS:
        footers.clear()
    kept = [(number, rule) for number, rule in defects if number not in footers]
    notes = {"lines below the records": len(footers)}
    return Sheet(headers, count_rows(connection) + len(kept), kept, notes if footers else {})


def _numbered(
    text: Path, dialect: Dialect, defects: list[tuple[int, str]]
) -> Iterator[tuple[int, list[str]]]:
    """The records that can be split into cells, an empty one for an empty line; the others go to
    `defects`.

    After a broken one the next line begins anew, so that a stray quotation mark costs one record.
    """
    with text.open(encoding="utf-8", newline="") as file:
        records: Any = _csv_records(file, dialect)
        next(records)
        number = 0
        while True:
            before = records.line_num
            try:
                record = next(records)
            except StopIteration:
                return
            except csv.Error as error:
                number += 1
                is_at_end = "end of data" in str(error)
                if is_at_end or records.line_num - before > 1:
                    where = "ends within" if is_at_end else "has lines within"
                    raise FileRejected(
                        Rejection.UNTERMINATED_QUOTE,
                        f"{where} a quotation that opens after record {number - 1}: it may be cut "
                        "short",
                    ) from error
                too_large = "field limit" in str(error)
                defects.append(
                    (number, Quarantine.FIELD_TOO_LARGE if too_large else Quarantine.BROKEN_QUOTES)
                )
                continue
            if not record:
                yield number, []
                continue
            number += 1
            if any(cell.strip() for cell in record):
                yield number, record
