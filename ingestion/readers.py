"""Readers: a file of a declared format into rows of text.

Belongs here: CSV (also gzipped), XLSX, JSONL and Parquet, each through a library; what makes a
file untrustworthy as a whole.
Does not belong here: meaning. Every cell stays text; types come in `casting`.

Nothing is sniffed: DuckDB's sniffer drops rows in silence when a file's width changes, and its
`columns=` is positional, so headers are read first and given back in the file's own order.
"""

import codecs
import csv
import gzip
import io
import itertools
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import python_calamine

from ingestion.errors import FileRejected
from ingestion.mappings import Dialect, Format

MAX_COLUMNS = 2_000
MAX_FIELD_BYTES = 10_000_000
MAX_INFLATED_BYTES = 4_000_000_000
# The simulated exports pack 4 to 10 times; nothing but zeros about 1,000 times.
MAX_RATIO = 200
MAX_CELLS = 50_000_000

csv.field_size_limit(MAX_FIELD_BYTES)


@dataclass
class Sheet:
    """Rows of text in the DuckDB table `source` (record_number, c0, c1, …).

    `headers[i]` is the header of column `c{i}`; `defects` are records that could not even be
    split into cells, as (record number, rule).
    """

    headers: list[str]
    n_records: int
    defects: list[tuple[int, str]] = field(default_factory=list)


@contextmanager
def _trusted_to_nobody() -> Iterator[None]:
    """A parser's own failure on a hostile file rejects that file and stops no other.

    Rust parsers panic with a class that is no Exception.
    """
    try:
        yield
    except (FileRejected, KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        raise FileRejected(
            "unreadable", f"cannot be read ({type(error).__name__}); open it, save it again"
        ) from error


def format_of(path: Path) -> Format:
    """The format by the file's first bytes; its name is never asked.

    Raises FileRejected for what no reader takes, naming what it really is.
    """
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise FileRejected("empty_file", "is empty (0 bytes); export it again")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise FileRejected(
            "old_or_encrypted_workbook",
            "is an old .xls or a password-protected workbook; save it as plain .xlsx or CSV",
        )
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<table", b"<?xml")):
        raise FileRejected("markup", "is a web page or XML, whatever its name; export CSV or XLSX")
    if start.startswith((b"%pdf", b"\x89png", b"\xff\xd8\xff")):
        raise FileRejected("not_a_table", "is a document or picture; export CSV or XLSX")
    return "jsonl" if start.startswith(b"{") else "csv"


def headers_of(path: Path, file_format: Format, dialect: Dialect, scratch: Path) -> list[str]:
    """The headers of a file as it reads in this dialect. Raises FileRejected if it does not."""
    with _trusted_to_nobody():
        return _headers_of(path, file_format, dialect, scratch)


def _headers_of(path: Path, file_format: Format, dialect: Dialect, scratch: Path) -> list[str]:
    if file_format == "csv":
        with _csv_text(path, dialect, scratch).open(encoding="utf-8", newline="") as file:
            return _first_record(file, dialect)
    if file_format == "xlsx":
        return _header_row([_cell_text(cell) for cell in next(_workbook_rows(path, dialect), [])])
    with duckdb.connect() as connection:
        return _load(path, file_format, connection, "limit 1")


def read(
    path: Path,
    file_format: Format,
    dialect: Dialect,
    connection: duckdb.DuckDBPyConnection,
    scratch: Path,
) -> Sheet:
    """Read a whole file into the table `source`. Raises FileRejected."""
    with _trusted_to_nobody():
        return _read(path, file_format, dialect, connection, scratch)


def _read(
    path: Path,
    file_format: Format,
    dialect: Dialect,
    connection: duckdb.DuckDBPyConnection,
    scratch: Path,
) -> Sheet:
    connection.execute("drop table if exists source")
    if file_format == "csv":
        return _read_csv(_csv_text(path, dialect, scratch), dialect, connection)
    if file_format == "xlsx":
        return _read_xlsx(path, dialect, connection)
    headers = _load(path, file_format, connection, "")
    _check_headers(headers)
    return Sheet(headers, _count(connection))


# --- CSV -----------------------------------------------------------------------------------------


def _csv_text(path: Path, dialect: Dialect, scratch: Path) -> Path:
    """The file as plain UTF-8 without byte-order mark or Excel's `sep=` line.

    Decoding is strict: a file in another encoding than declared must not become odd letters.
    """
    target = scratch / f"{path.name}.{dialect.encoding}.txt"
    if target.exists():
        return target
    partial = target.with_suffix(".part")
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    try:
        with (
            gzip.open(path) if zipped else path.open("rb") as file,
            partial.open("w", encoding="utf-8", newline="") as out,
        ):
            _copy_decoded(file, out, dialect, path.stat().st_size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileRejected(
            "truncated", "is a gzip file cut short or damaged; transfer it again"
        ) from error
    except UnicodeError as error:
        raise FileRejected(
            "wrong_encoding",
            f"is not {dialect.encoding} text; set dialect.encoding in the mapping (often cp1252 "
            "for Swedish Excel) or export as UTF-8",
        ) from error
    partial.rename(target)
    return target


def _copy_decoded(file: Any, out: io.TextIOBase, dialect: Dialect, packed: int) -> None:
    first = file.read(1 << 16)
    encoding: str = dialect.encoding
    if first.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    elif first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    inflated = 0
    at_start = True
    for chunk in itertools.chain([first], iter(lambda: file.read(1 << 22), b"")):
        inflated += len(chunk)
        if inflated > MAX_INFLATED_BYTES or (inflated > packed * MAX_RATIO and inflated > 1 << 26):
            raise FileRejected("too_large", "unpacks to far more than an export can hold")
        text = decoder.decode(chunk)
        if at_start and text.lower().startswith("sep="):
            text = text.partition("\n")[2]
        at_start = False
        out.write(text)
    out.write(decoder.decode(b"", final=True))


def _csv_records(file: Any, dialect: Dialect) -> Iterator[list[str]]:
    return csv.reader(file, delimiter=dialect.separator, strict=True)


def _first_record(file: Any, dialect: Dialect) -> list[str]:
    try:
        return _header_row(next(_csv_records(file, dialect), []))
    except csv.Error as error:
        raise FileRejected(
            "broken_quotes", "has a broken quotation mark in its headers; export it again"
        ) from error


def _read_csv(text: Path, dialect: Dialect, connection: duckdb.DuckDBPyConnection) -> Sheet:
    with text.open(encoding="utf-8", newline="") as file:
        headers = _first_record(file, dialect)
    _check_headers(headers)
    columns = {f"c{i}": "VARCHAR" for i in range(len(headers))}
    try:
        connection.execute(
            f"""
            create table source as
            select row_number() over () as record_number, *
            from read_csv(
                $path, auto_detect = false, header = true, columns = {columns}, delim = $delim,
                quote = '"', escape = '"', null_padding = false, strict_mode = true,
                max_line_size = {MAX_FIELD_BYTES}, hive_partitioning = false, compression = 'none'
            )
            """,
            {"path": str(text), "delim": dialect.separator},
        )
    except duckdb.InvalidInputException:
        return _read_csv_carefully(text, headers, dialect, connection)
    # Lines of nothing but separators, as spreadsheets leave them below a table.
    connection.execute(
        "delete from source where "
        + " and ".join(f"coalesce(trim({column}), '') = ''" for column in columns)
    )
    return Sheet(headers, _count(connection))


def _read_csv_carefully(
    text: Path, headers: list[str], dialect: Dialect, connection: duckdb.DuckDBPyConnection
) -> Sheet:
    """Record by record, for a file that DuckDB refuses: keep what has the right width.

    DuckDB names the first broken line but not the others. 300,000 records: 2.2 s against 0.2 s.
    """
    width = len(headers)
    good: list[tuple[int, list[str | None]]] = []
    defects: list[tuple[int, str]] = []
    number = blank = 0
    try:
        with text.open(encoding="utf-8", newline="") as file:
            records = _csv_records(file, dialect)
            next(records)
            for record in records:
                if not record:
                    continue
                number += 1
                if not any(cell.strip() for cell in record):
                    blank += 1
                    continue
                if len(record) == width or (not any(record[width:]) and len(record) > width):
                    good.append((number, [cell or None for cell in record[:width]]))
                else:
                    defects.append((number, "wrong_number_of_cells"))
    except csv.Error as error:
        rule = "unterminated_quote" if "end of data" in str(error) else "broken_quotes"
        raise FileRejected(
            rule,
            f"has a broken quotation mark after record {number}; it may be cut short, export again",
        ) from error
    _store(connection, width, good)
    return Sheet(headers, number - blank, defects)


# --- XLSX ----------------------------------------------------------------------------------------


def _workbook_rows(path: Path, dialect: Dialect) -> Iterator[list[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = {entry.filename for entry in entries}
            size = sum(entry.file_size for entry in entries)
            packed = sum(entry.compress_size for entry in entries)
        if "xl/workbook.xml" not in names:
            raise FileRejected("zip", "is a zip archive; unpack it into the inbox")
        if size > MAX_INFLATED_BYTES or (size > packed * MAX_RATIO and size > 1 << 26):
            raise FileRejected("too_large", "unpacks to far more than an export can hold")
        workbook = python_calamine.CalamineWorkbook.from_path(str(path))
        sheet_names = workbook.sheet_names
        if dialect.sheet is not None and dialect.sheet not in sheet_names:
            raise FileRejected("sheet_missing", "lacks the sheet that the mapping names")
        sheet = workbook.get_sheet_by_name(dialect.sheet or sheet_names[0])
    except (zipfile.BadZipFile, python_calamine.CalamineError) as error:
        raise FileRejected(
            "broken_workbook", "cannot be opened as a workbook; save it again"
        ) from error
    if sheet.total_height * sheet.total_width > MAX_CELLS:
        raise FileRejected("too_large", "has a cell far outside its table; delete the empty area")
    return iter(sheet.iter_rows())


def _cell_text(cell: Any) -> str:
    """A cell as the text a person would type; Excel itself keeps 15 digits of a number."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        if cell.is_integer() and abs(cell) < 1e15:
            return str(int(cell))
        return f"{cell:.15g}"
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    if isinstance(cell, date):
        return cell.isoformat()
    return str(cell)


def _read_xlsx(path: Path, dialect: Dialect, connection: duckdb.DuckDBPyConnection) -> Sheet:
    rows = _workbook_rows(path, dialect)
    headers = _header_row([_cell_text(cell) for cell in next(rows, [])])
    _check_headers(headers)
    width = len(headers)
    good: list[tuple[int, list[str | None]]] = []
    defects = []
    for number, row in enumerate(rows, start=1):
        cells = [_cell_text(cell) or None for cell in row]
        if any(cells[width:]):
            defects.append((number, "wrong_number_of_cells"))
        elif any(cells):
            good.append((number, cells[:width] + [None] * (width - len(cells))))
    _store(connection, width, good)
    return Sheet(headers, len(good) + len(defects), defects)


# --- JSONL and Parquet ---------------------------------------------------------------------------


def _load(
    path: Path, file_format: Format, connection: duckdb.DuckDBPyConnection, limit: str
) -> list[str]:
    """Load the first records, or all, into `source`; return the headers."""
    load = _load_jsonl if file_format == "jsonl" else _load_parquet
    try:
        return load(path, connection, limit)
    except duckdb.Error as error:
        kind = "JSON, one object a line" if file_format == "jsonl" else "Parquet"
        raise FileRejected("unreadable", f"is not whole and valid {kind}; export again") from error


def _load_jsonl(path: Path, connection: duckdb.DuckDBPyConnection, limit: str) -> list[str]:
    """JSON Lines: objects flattened with dots. Numbers keep their digits, as text."""
    connection.execute(
        f"""
        create or replace temp table object as
        select row_number() over () as record_number, json
        from read_ndjson_objects($path, maximum_object_size = {MAX_FIELD_BYTES},
            hive_partitioning = false, compression = 'auto_detect') {limit}
        """,
        {"path": str(path)},
    )
    row = connection.execute("select json_group_structure(json) from object").fetchone()
    paths = dict(_flattened(json.loads(row[0]) if row and row[0] else {}))
    cells = ", ".join(
        f"json_extract_string(json, {literal(json_path)}) as c{i}"
        for i, json_path in enumerate(paths.values())
    )
    connection.execute(
        f"create or replace table source as select record_number, {cells or 'null as c0'} "
        "from object"
    )
    return list(paths)


def _flattened(
    structure: dict[str, Any], header: str = "", path: str = "$"
) -> Iterator[tuple[str, str]]:
    for key, value in structure.items():
        dotted, below = f"{header}.{key}".lstrip("."), f'{path}."{key}"'
        if isinstance(value, dict):
            yield from _flattened(value, dotted, below)
        else:
            yield dotted, below


def _load_parquet(path: Path, connection: duckdb.DuckDBPyConnection, limit: str) -> list[str]:
    scan = f"read_parquet({literal(str(path))}, hive_partitioning = false)"
    headers = [row[0] for row in connection.execute(f"describe select * from {scan}").fetchall()]
    columns = ", ".join(
        f"cast({identifier(header)} as varchar) as c{i}" for i, header in enumerate(headers)
    )
    connection.execute(
        f"create or replace table source as "
        f"select row_number() over () as record_number, {columns} from {scan} {limit}"
    )
    return headers


# --- shared --------------------------------------------------------------------------------------


def literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _header_row(cells: list[str]) -> list[str]:
    headers = [" ".join(cell.replace("\ufeff", "").split()) for cell in cells]
    while headers and not headers[-1]:
        headers.pop()
    return headers


def _check_headers(headers: list[str]) -> None:
    if len(headers) > MAX_COLUMNS:
        raise FileRejected("too_many_columns", f"has {len(headers)} columns; export fewer")
    twice = [i for i, h in enumerate(headers, start=1) if h and headers.count(h) > 1]
    if twice:
        # By number: in a file without a header row these would be values.
        raise FileRejected(
            "duplicate_header",
            f"has the same header in columns {twice[0]} and {twice[1]}; rename one",
        )


def _store(
    connection: duckdb.DuckDBPyConnection, width: int, rows: list[tuple[int, list[str | None]]]
) -> None:
    arrays = [pa.array([number for number, _ in rows], pa.int64())]
    arrays += [pa.array([cells[i] for _, cells in rows], pa.string()) for i in range(width)]
    names = ["record_number", *(f"c{i}" for i in range(width))]
    arrow_rows = pa.table(arrays, names=names)  # noqa: F841  (read by name below)
    connection.execute("create table source as select * from arrow_rows")


def _count(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("select count(*) from source").fetchone()
    assert row is not None
    return int(row[0])
