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
import posixpath
import re
import stat
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import fastexcel
import pyarrow as pa
from defusedxml import ElementTree

from ingestion.errors import FileRejected
from ingestion.mappings import Dialect, Format
from ingestion.sql import identifier, literal

MAX_COLUMNS = 2_000
# A cell of a workbook holds 32,767 characters, a note in a CRM twice that.
MAX_FIELD_BYTES = 1_000_000
MAX_INFLATED_BYTES = 4_000_000_000
# The simulated exports pack 4 to 10 times; nothing but zeros about 1,000 times.
MAX_RATIO = 100
MAX_MEMBERS = 1_000
CHUNK = 20_000  # rows handed to DuckDB at a time

csv.field_size_limit(MAX_FIELD_BYTES)


@dataclass
class Sheet:
    """Rows of text in the DuckDB table `source` (record_number, c0, c1, …).

    `headers[i]` is the header of column `c{i}`; `defects` are records that could not even be
    split into cells, as (record number, rule); `notes` count what was read but is worth knowing.
    """

    headers: list[str]
    n_records: int
    defects: list[tuple[int, str]] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)


@contextmanager
def _trusted_to_nobody() -> Iterator[None]:
    """A parser's own failure on a hostile file rejects that file and stops no other.

    Rust parsers panic with a class that is no Exception.
    """
    try:
        yield
    except (FileRejected, KeyboardInterrupt, SystemExit, MemoryError, duckdb.OutOfMemoryException):
        raise
    except BaseException as error:
        raise FileRejected(
            "unreadable", f"cannot be read ({type(error).__name__}); open it, save it again"
        ) from error


def format_of(path: Path) -> Format:
    """The format by the file's first bytes; its name is never asked.

    Raises FileRejected for what no reader takes, naming what it really is.
    """
    head = _head(path)
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
    return "jsonl" if start.startswith((b"{", b"[")) else "csv"


def _head(path: Path) -> bytes:
    with _damage_is_truncation(), _unzipped(path) as file:
        return bytes(file.read(512))


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as raw:
        return raw.read(2) == b"\x1f\x8b"


def _unzipped(path: Path) -> Any:
    """The file open for its bytes, or for those inside it if it is gzipped."""
    return gzip.open(path) if _is_gzip(path) else path.open("rb")


def ends_open(path: Path) -> bool:
    """Whether a plain CSV file's last line has no end, as in a file still being written."""
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(max(path.stat().st_size - 4, 0))
        tail = file.read().rstrip(b"\0")
    packed = head.startswith((b"\x1f\x8b", b"PK", b"PAR1", b"\xd0\xcf", b"{", b"[", b"<", b"%PDF"))
    return bool(tail) and not packed and not tail.endswith((b"\n", b"\r"))


@contextmanager
def _damage_is_truncation() -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileRejected(
            "truncated", "is a gzip file cut short or damaged; transfer it again"
        ) from error


def sheets_of(path: Path, file_format: Format) -> list[str | None]:
    """The sheets of a workbook that hold anything; for any other file one that has no name."""
    if file_format != "xlsx":
        return [None]
    with _trusted_to_nobody():
        names = list(_sheet_places(path))
        # One sheet is the common case, and is parsed once, for its headers.
        return [n for n in names if len(names) == 1 or _grid(path, n).cells.num_rows]


def headers_of(path: Path, file_format: Format, dialect: Dialect, sheet: str | None) -> list[str]:
    """The headers of a file as it reads in this dialect. Raises FileRejected if it does not."""
    with _trusted_to_nobody():
        if file_format == "csv":
            start = io.StringIO(_start_of_text(path, dialect), newline="")
            return _first_record(start, dialect)
        if file_format == "xlsx":
            return _workbook_headers(path, dialect, sheet)
        with duckdb.connect() as connection:
            return _load(path, file_format, connection, 100)[0]


def read(
    path: Path,
    file_format: Format,
    dialect: Dialect,
    sheet: str | None,
    connection: duckdb.DuckDBPyConnection,
    scratch: Path,
) -> Sheet:
    """Read a whole file, or one sheet of it, into the table `source`. Raises FileRejected."""
    with _trusted_to_nobody():
        connection.execute("drop table if exists source")
        if file_format == "csv":
            with _strictly(dialect):
                return _read_csv(plain_text(path, dialect, scratch), dialect, connection)
        if file_format == "xlsx":
            return _read_xlsx(path, dialect, sheet, connection)
        headers, defects = _load(path, file_format, connection, None)
        _check_headers(headers)
        return Sheet(headers, _count(connection) + len(defects), defects)


def unpacked(path: Path, scratch: Path) -> list[tuple[str, Path]] | None:
    """The files of a zip archive as (name, place in `scratch`); None if it is a workbook.

    Raises FileRejected for an archive that is damaged, holds archives, or could fill the disk.
    """
    with _trusted_to_nobody():
        try:
            with zipfile.ZipFile(path) as archive:
                entries = [e for e in archive.infolist() if not e.is_dir()]
                names = {entry.filename for entry in entries}
                if "xl/workbook.xml" in names:
                    return None
                _check_archive(entries, names)
                return [
                    (entry.filename, _member(archive, entry, scratch, n))
                    for n, entry in enumerate(sorted(entries, key=lambda e: e.filename))
                    if not _is_litter(entry.filename)
                ]
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise FileRejected(
                "broken_archive", "is damaged, cut short or has a password; transfer it again"
            ) from error


def is_workbook(path: Path) -> bool:
    """Whether a zip archive is a workbook of the one kind that is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except zipfile.BadZipFile as error:
        raise FileRejected(
            "broken_workbook", "cannot be opened as a workbook; save it again"
        ) from error


def _check_archive(entries: list[zipfile.ZipInfo], names: set[str]) -> None:
    if "xl/workbook.bin" in names:
        raise FileRejected("binary_workbook", "is a binary workbook (.xlsb); save it as .xlsx")
    if {"mimetype", "content.xml"} <= names:
        raise FileRejected("open_document", "is an OpenDocument sheet; save it as .xlsx or CSV")
    if "[Content_Types].xml" in names:
        raise FileRejected("not_a_table", "is another Office document; export CSV or XLSX")
    if len(entries) > MAX_MEMBERS:
        raise FileRejected("too_many_members", f"holds more than {MAX_MEMBERS:,} files")
    for entry in entries:
        parts = re.split(r"[/\\]", entry.filename)
        if ".." in parts or parts[0] == "" or ":" in parts[0]:
            raise FileRejected("unsafe_name", "holds a file that would leave its folder")
        if entry.filename.lower().endswith((".zip", ".7z", ".rar", ".tar")):
            raise FileRejected("nested_archive", "holds an archive; unpack it once")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise FileRejected("unsafe_name", "holds a link; put the file itself in")
    _check_inflation(entries)


def _check_inflation(entries: Iterable[zipfile.ZipInfo]) -> None:
    size = packed = 0
    for entry in entries:
        size, packed = size + entry.file_size, packed + entry.compress_size
    if size > MAX_INFLATED_BYTES or (size > packed * MAX_RATIO and size > 1 << 26):
        raise FileRejected("too_large", "unpacks to far more than an export can hold")


def _is_litter(name: str) -> bool:
    return name.startswith("__MACOSX/") or posixpath.basename(name).startswith(".")


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, scratch: Path, n: int) -> Path:
    """Write one member out; its declared size is not believed."""
    target = scratch / f"member-{n}"
    written = 0
    with archive.open(entry) as source, target.open("wb") as out:
        while chunk := source.read(1 << 20):
            written += len(chunk)
            if written > entry.file_size:
                raise FileRejected("too_large", "unpacks to more than it declares")
            out.write(chunk)
    return target


# --- CSV -----------------------------------------------------------------------------------------


def plain_text(path: Path, dialect: Dialect, scratch: Path) -> Path:
    """The file as plain UTF-8 without byte-order mark or Excel's `sep=` line.

    Decoding is strict: a file in another encoding than declared must not become odd letters. A file
    that is all that already is read where it lies; its letters are checked as it is read.
    """
    with path.open("rb") as raw:
        head = raw.read(1 << 16)
    is_plain = dialect.encoding == "utf-8" and not _is_gzip(path) and encoding_of(head) is None
    if is_plain and not dialect.skip_lines and not head.lower().startswith(b"sep="):
        return path
    target = scratch / f"{path.name}.{dialect.encoding}.{dialect.skip_lines}.txt"
    if target.exists():
        return target
    partial = target.with_suffix(".part")
    with (
        _strictly(dialect),
        _damage_is_truncation(),
        _unzipped(path) as file,
        partial.open("w", encoding="utf-8", newline="") as out,
    ):
        _copy_decoded(file, out, dialect, path.stat().st_size)
    partial.rename(target)
    return target


@contextmanager
def _strictly(dialect: Dialect) -> Iterator[None]:
    try:
        yield
    except UnicodeError as error:
        raise FileRejected(
            "wrong_encoding",
            f"is not {dialect.encoding} text; set dialect.encoding in the mapping (often cp1252 "
            "for Swedish Excel) or export as UTF-8",
        ) from error


def _copy_decoded(file: Any, out: io.TextIOBase, dialect: Dialect, packed: int) -> None:
    first = file.read(1 << 16)
    decoder = codecs.getincrementaldecoder(encoding_of(first) or dialect.encoding)("strict")
    inflated = 0
    at_start = True
    for chunk in itertools.chain([first], iter(lambda: file.read(1 << 22), b"")):
        inflated += len(chunk)
        if inflated > MAX_INFLATED_BYTES or (inflated > packed * MAX_RATIO and inflated > 1 << 26):
            raise FileRejected("too_large", "unpacks to far more than an export can hold")
        text = decoder.decode(chunk)
        out.write(_from_headers(text, dialect) if at_start else text)
        at_start = False
    out.write(decoder.decode(b"", final=True))


def decodes(path: Path, dialect: Dialect, scratch: Path) -> bool:
    """Whether a whole text file is in the dialect's encoding."""
    try:
        with _strictly(dialect):
            text = plain_text(path, dialect, scratch)
            with text.open(encoding="utf-8") as file:
                return all(True for _ in iter(lambda: file.read(1 << 22), ""))
    except FileRejected:
        return False


def _start_of_text(path: Path, dialect: Dialect) -> str:
    """The first megabytes as text: enough for the headers of any file that is taken."""
    with _strictly(dialect), _damage_is_truncation():
        with _unzipped(path) as file:
            start = file.read(2 * MAX_FIELD_BYTES)
        decoder = codecs.getincrementaldecoder(encoding_of(start) or dialect.encoding)("strict")
        text = decoder.decode(start)
    return _from_headers(text, dialect)


def encoding_of(start: bytes) -> str | None:
    """The encoding that a file's first bytes leave no doubt of; None where it must be declared.

    Text in UTF-16 that lacks its mark shows by a NUL in every other place.
    """
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    pairs = len(start) // 2
    for places, encoding in ((start[1::2], "utf-16-le"), (start[0::2], "utf-16-be")):
        if pairs and places.count(0) >= 0.9 * pairs:
            return encoding
    return None


def encoding_marked(path: Path) -> str | None:
    """The dialect's word for the encoding that a file's first bytes leave no doubt of, if any."""
    with path.open("rb") as file:
        found = encoding_of(file.read(512))
    return found[:6].rstrip("-") if found else None


def _from_headers(text: str, dialect: Dialect) -> str:
    """The start of a text, past the lines above the headers."""
    for _ in range(dialect.skip_lines + text.lower().startswith("sep=")):
        text = text.partition("\n")[2]
    return text


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
        sheet = Sheet(headers, _count(connection))
    _check_swallowed(connection, len(headers), dialect)
    if _is_open(text, dialect) and not dialect.open_end:
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
            "unterminated_quote",
            f"has a cell in record {row[0]} that holds whole lines: a quotation mark is missing; "
            "export it again",
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
        sheet.defects.append((last, "last_line_without_end"))


def _read_csv_carefully(
    text: Path, headers: list[str], dialect: Dialect, connection: duckdb.DuckDBPyConnection
) -> Sheet:
    """Record by record, for a file that DuckDB refuses: keep what has the right width.

    DuckDB names the first broken line but not the others. 300,000 records: 2.2 s against 0.2 s.
    """
    defects: list[tuple[int, str]] = []

    def good() -> Iterator[tuple[int, list[str | None]]]:
        width = len(headers)
        for number, record in _numbered(text, dialect, defects):
            if len(record) == width or (len(record) > width and not any(record[width:])):
                yield number, [cell or None for cell in record[:width]]
            else:
                defects.append((number, "wrong_number_of_cells"))

    _store(connection, len(headers), good())
    return Sheet(headers, _count(connection) + len(defects), defects)


def _numbered(
    text: Path, dialect: Dialect, defects: list[tuple[int, str]]
) -> Iterator[tuple[int, list[str]]]:
    """The records that can be split into cells; the others go to `defects`.

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
                        "unterminated_quote",
                        f"{where} a quotation that opens after record {number - 1}; it may be "
                        "cut short, export it again",
                    ) from error
                too_large = "field limit" in str(error)
                defects.append((number, "field_too_large" if too_large else "broken_quotes"))
                continue
            if record:
                number += 1
                if any(cell.strip() for cell in record):
                    yield number, record


# --- XLSX ----------------------------------------------------------------------------------------

PACKAGE = "{http://schemas.openxmlformats.org/package/2006/relationships}"
OFFICE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
# A formula without its result: no value beside it, or an empty one that is not said to be text.
# Tags may have a prefix (<x:c>).
FORMULA = re.compile(
    rb"<(?:\w+:)?c\b([^>]*)>\s*<(?:\w+:)?f\b[^>]*(?:/>|>[^<]*</(?:\w+:)?f>)\s*"
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
HIDDEN_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*\bhidden="(?:1|true)"')
MERGED = re.compile(rb'<(?:\w+:)?mergeCell ref="[A-Z]+(\d+):[A-Z]+(\d+)"')
FILLED = re.compile(
    rb'<(?:\w+:)?c\b[^>]*?\br="([A-Z]+)(\d+)"[^>]*>\s*'
    rb"(?:<(?:\w+:)?f\b[^>]*(?:/>|>[^<]*</(?:\w+:)?f>)\s*)?<(?:\w+:)?(?:v|is)>"
)
# A number of more digits than Excel keeps (15): an id whose end is lost, unless it is all written.
LONG_NUMBER = re.compile(
    rb'<(?:\w+:)?c r="([A-Z]+)(\d+)"(?: s="\d+")?(?: t="n")?>'
    rb"(?:<(?:\w+:)?f\b[^<]*</(?:\w+:)?f>)?"
    rb"<(?:\w+:)?v>(-?(?:\d{16,}|\d(?:\.\d+)?[eE]\+\d+))</(?:\w+:)?v>"
)


@dataclass(frozen=True)
class _Grid:
    """The cells of a sheet as text, without the empty rows and columns before the first cell.

    `errors` are the places (row, column) of error values such as #REF!.
    """

    cells: pa.RecordBatch
    errors: list[tuple[int, int]]
    is_hidden: bool


def _sheet_places(path: Path) -> dict[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            _check_inflation(archive.infolist())
            return _places(archive)
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError) as error:
        raise FileRejected(
            "broken_workbook", "cannot be opened as a workbook; save it again"
        ) from error


def _places(archive: zipfile.ZipFile) -> dict[str, str]:
    """Worksheet name to the file of it within the workbook; charts are none."""
    links = {
        link.get("Id"): posixpath.normpath(posixpath.join("/xl", link.get("Target", "")))[1:]
        for link in ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels")).iter(
            f"{PACKAGE}Relationship"
        )
        if (link.get("Type") or "").endswith("/worksheet")
    }
    sheets = ElementTree.fromstring(archive.read("xl/workbook.xml")).iter()
    named = ((sheet.get("name"), links.get(sheet.get(f"{OFFICE}id"))) for sheet in sheets)
    return {name: place for name, place in named if name and place}


@lru_cache(maxsize=1)
def _grid(path: Path, name: str) -> _Grid:
    """The parsed sheet, kept from its recognition to its reading: 1 s for 150,000 rows."""
    try:
        sheet = fastexcel.read_excel(str(path)).load_sheet(name, header_row=None, dtypes="string")
        cells, errors = sheet.to_arrow_with_errors()
    except fastexcel.FastExcelError as error:
        raise FileRejected(
            "broken_workbook", "cannot be opened as a workbook; save it again"
        ) from error
    return _Grid(
        cells, [e.position for e in errors.errors] if errors else [], sheet.visible != "visible"
    )


def _workbook_headers(path: Path, dialect: Dialect, name: str | None) -> list[str]:
    assert name is not None
    if dialect.sheet not in (None, name):
        return []
    return _row_of_headers(_grid(path, name).cells, dialect)


def first_rows(path: Path, name: str, n: int) -> list[list[str]]:
    """The first rows of a sheet as text."""
    with _trusted_to_nobody():
        columns = _grid(path, name).cells.slice(0, n).to_pydict().values()
        return [[cell or "" for cell in row] for row in zip(*columns, strict=True)]


def _row_of_headers(cells: pa.RecordBatch, dialect: Dialect) -> list[str]:
    row = cells.slice(dialect.skip_lines, 1)
    return _header_row([(column[0].as_py() or "") for column in row.columns if len(column)])


def _read_xlsx(
    path: Path, dialect: Dialect, name: str | None, connection: duckdb.DuckDBPyConnection
) -> Sheet:
    assert name is not None
    with ThreadPoolExecutor(1) as beside:
        # Beside the parser, which leaves Python free: 0.5 s for 100 MB of XML.
        scan = beside.submit(_scan, path, _sheet_places(path)[name])
        grid = _grid(path, name)
        found = scan.result()
    headers = _row_of_headers(grid.cells, dialect)
    _check_headers(headers)
    _check_findings(found, dialect)
    width = len(headers)
    _store(connection, max(grid.cells.num_columns, width), iter(()))
    body = grid.cells.slice(dialect.skip_lines + 1)
    for start in range(0, body.num_rows, CHUNK):
        part = body.slice(start, CHUNK)
        numbers = pa.array(range(start + 1, start + 1 + part.num_rows), pa.int64())
        _append(connection, [numbers, *part.columns])
    above = dialect.skip_lines
    _amend(connection, [(row - above, column, "#ERROR") for row, column in grid.errors])
    if found.long:
        left = _first_column(path, _sheet_places(path)[name])
        top = found.first_row + above
        _amend(connection, [(row - top, c - left, text) for row, c, text in found.long])
    notes = {"hidden_sheet": int(grid.is_hidden), "hidden_rows": found.n_hidden_rows}
    _grid.cache_clear()
    defects = _narrowed(connection, width)
    return Sheet(headers, _count(connection) + len(defects), defects, notes)


@dataclass
class _Findings:
    """What the parser does not tell of a sheet; rows as Excel numbers them."""

    first_row: int = 0
    n_formulas: int = 0
    n_hidden_rows: int = 0
    merged: list[tuple[int, int]] = field(default_factory=list)
    long: list[tuple[int, int, str]] = field(default_factory=list)


def _scan(path: Path, place: str) -> _Findings:
    found, rest = _Findings(), b""
    with zipfile.ZipFile(path) as archive, archive.open(place) as file:
        while chunk := file.read(1 << 20):
            whole, end, rest = (rest + chunk).rpartition(b"row>")
            _scan_rows(whole + end, found)
    _scan_rows(rest, found)
    found.merged = [(int(first), int(last)) for first, last in MERGED.findall(rest)]
    return found


def _scan_rows(rows: bytes, found: _Findings) -> None:
    if not found.first_row and (first := FILLED.search(rows)):
        found.first_row = int(first[2])
    if b"<f" in rows or b":f" in rows:
        found.n_formulas += sum(b't="str"' not in match[1] for match in FORMULA.finditer(rows))
    if b"hidden=" in rows:
        found.n_hidden_rows += len(HIDDEN_ROW.findall(rows))
    for column, row, text in LONG_NUMBER.findall(rows):
        found.long.append((int(row), _column_number(column), text.decode()))


def _first_column(path: Path, place: str) -> int:
    """The first column with anything in it: where the parsed cells begin."""
    first, rest = 1 << 14, b""
    with zipfile.ZipFile(path) as archive, archive.open(place) as file:
        while chunk := file.read(1 << 20):
            whole, end, rest = (rest + chunk).rpartition(b"row>")
            columns = {column for column, _ in FILLED.findall(whole + end)}
            first = min(first, *map(_column_number, columns)) if columns else first
    return first


def _column_number(letters: bytes) -> int:
    """A is 0, Z is 25, AA is 26."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number - 1


def _check_findings(found: _Findings, dialect: Dialect) -> None:
    headers = found.first_row + dialect.skip_lines
    if any(first <= headers <= last for first, last in found.merged):
        raise FileRejected(
            "merged_headers",
            "has merged cells in its header row; unmerge them, one header a column",
        )
    if found.n_formulas:
        raise FileRejected(
            "formulas_without_results",
            f"has {found.n_formulas} formulas without results; open it in Excel, let it calculate, "
            "save it",
        )


def _amend(connection: duckdb.DuckDBPyConnection, cells: list[tuple[int, int, str]]) -> None:
    """Replace these cells (record number, column, text); in columns there are."""
    for column in {column for _, column, _ in cells}:
        rows = [(row, text) for row, c, text in cells if c == column]
        amended = pa.table(  # noqa: F841  (read by name below)
            [[row for row, _ in rows], [text for _, text in rows]], names=["row", "text"]
        )
        connection.execute(
            f"update source set c{column} = text from amended where record_number = row"
        )


def _narrowed(connection: duckdb.DuckDBPyConnection, width: int) -> list[tuple[int, str]]:
    """Drop empty rows and the columns beyond the headers; rows that fill those are defects."""
    columns = [row[0] for row in connection.execute("describe source").fetchall()][1:]
    connection.execute(f"delete from source where coalesce({', '.join(columns)}) is null")
    if not (beyond := columns[width:]):
        return []
    is_wide = f"coalesce({', '.join(beyond)}) is not null"
    wide = connection.execute(f"select record_number from source where {is_wide}").fetchall()
    connection.execute(f"delete from source where {is_wide}")
    for column in beyond:
        connection.execute(f"alter table source drop column {column}")
    return [(number, "wrong_number_of_cells") for (number,) in wide]


# --- JSONL and Parquet ---------------------------------------------------------------------------


def _load(
    path: Path, file_format: Format, connection: duckdb.DuckDBPyConnection, limit: int | None
) -> tuple[list[str], list[tuple[int, str]]]:
    """Load the first records, or all, into `source`; return headers and defects."""
    if file_format == "jsonl":
        return _load_jsonl(path, connection, limit)
    try:
        return _load_parquet(path, connection, limit), []
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise FileRejected("unreadable", "is not whole and valid Parquet; export again") from error


def _load_jsonl(
    path: Path, connection: duckdb.DuckDBPyConnection, limit: int | None
) -> tuple[list[str], list[tuple[int, str]]]:
    """JSON Lines: objects flattened with dots. Numbers keep their digits, as text."""
    defects: list[tuple[int, str]] = []
    paths: dict[str, str] = {}
    lines = itertools.islice(_json_lines(path, paths, defects), limit)
    _store(connection, 1, ((number, [line]) for number, line in lines))
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
        _damage_is_truncation(),
        _unzipped(path) as file,
        io.TextIOWrapper(file, encoding="utf-8-sig") as lines,
    ):
        try:
            for line in filter(None, map(str.strip, lines)):
                if line in ("{", "[") or (not number and line.startswith("[")):
                    raise FileRejected(
                        "not_json_lines",
                        "is one JSON document; write one object a line (JSON Lines)",
                    )
                number += 1
                rule = _json_defect(line, paths)
                if len(paths) > MAX_COLUMNS:
                    raise FileRejected("too_many_columns", "has too many different keys")
                broken = rule == "not_json"
                if rule:
                    defects.append((number, rule))
                else:
                    yield number, line
        except UnicodeError as error:
            raise FileRejected("wrong_encoding", "is not UTF-8; export it as UTF-8") from error
    if broken:
        raise FileRejected("truncated", "ends within a record; it was cut short, export it again")


def _json_defect(line: str, paths: dict[str, str]) -> str | None:
    if len(line) > MAX_FIELD_BYTES:
        return "field_too_large"
    try:
        value = json.loads(line, object_pairs_hook=_unique, parse_int=str, parse_float=str)
    except _DuplicateKey:
        return "duplicate_key"
    except (ValueError, RecursionError):
        return "not_json"
    if not isinstance(value, dict):
        return "not_an_object"
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


def _load_parquet(
    path: Path, connection: duckdb.DuckDBPyConnection, limit: int | None
) -> list[str]:
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
    if kind not in ("DOUBLE", "FLOAT"):
        return text
    is_whole = f"{column} = trunc({column}) and abs({column}) < 1e15"
    return f"case when {is_whole} then cast(cast({column} as bigint) as varchar) else {text} end"


# --- shared --------------------------------------------------------------------------------------


def _header_row(cells: list[str]) -> list[str]:
    """Headers without odd spaces, the `*` of required columns and curly quotation marks."""
    plain = (cell.replace("\ufeff", "").replace("’", "'").rstrip("* \u00a0") for cell in cells)
    headers = [unicodedata.normalize("NFC", " ".join(cell.split())) for cell in plain]
    while headers and not headers[-1]:
        headers.pop()
    return headers


def _check_headers(headers: list[str]) -> None:
    if len(headers) > MAX_COLUMNS:
        raise FileRejected("too_many_columns", f"has {len(headers)} columns; export fewer")
    folded = [header.casefold() for header in headers]
    counts = Counter(folded)
    twice = [i for i, h in enumerate(folded, start=1) if h and counts[h] > 1]
    twice.sort(key=lambda i: folded[i - 1])
    if twice:
        # By number: in a file without a header row these would be values.
        raise FileRejected(
            "duplicate_header",
            f"has the same header in columns {twice[0]} and {twice[1]}; rename one",
        )


def _store(
    connection: duckdb.DuckDBPyConnection, width: int, rows: Iterator[tuple[int, list[str | None]]]
) -> None:
    """Write rows into the table `source`, a chunk at a time: memory stays flat."""
    connection.execute("drop table if exists source")
    columns = ", ".join(f"c{i} varchar" for i in range(width))
    connection.execute(f"create table source (record_number bigint, {columns})")
    while chunk := list(itertools.islice(rows, CHUNK)):
        arrays = [pa.array([number for number, _ in chunk], pa.int64())]
        arrays += [pa.array([cells[i] for _, cells in chunk], pa.string()) for i in range(width)]
        _append(connection, arrays)


def _append(connection: duckdb.DuckDBPyConnection, arrays: list[Any]) -> None:
    names = ["record_number", *(f"c{i}" for i in range(len(arrays) - 1))]
    arrow_rows = pa.table(arrays, names=names)  # noqa: F841  (read by name below)
    connection.execute("insert into source from arrow_rows")


def _count(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("select count(*) from source").fetchone()
    assert row is not None
    return int(row[0])
