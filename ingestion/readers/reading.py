"""A file of a declared format into rows of text.

Belongs here: telling formats apart by their first bytes, handing over to the format's reader.
Does not belong here: a format (each has its own file), meaning.
"""

from pathlib import Path

import duckdb

from ingestion.errors import FileRejected
from ingestion.mappings.forms import Dialect, Format
from ingestion.readers import delimited, excel, json_lines, parquet
from ingestion.readers.encoding import open_unzipped, plain_text, reject_wrong_encoding
from ingestion.readers.limits import reject_if_damaged, reject_on_failure
from ingestion.readers.sheet_xml import sheet_places
from ingestion.readers.source import Sheet, drop_unfilled
from ingestion.reasons import Rejection


def format_of(path: Path) -> Format:
    """The format by the file's first bytes; its name is never asked.

    Raises FileRejected for what no reader takes, naming what it really is.
    """
    head = _head(path)
    if not head:
        raise FileRejected(Rejection.EMPTY_FILE, "is empty (0 bytes)")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise FileRejected(
            Rejection.OLD_OR_ENCRYPTED_WORKBOOK,
            "is an old .xls or a password-protected workbook",
        )
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<table", b"<?xml")):
        raise FileRejected(Rejection.MARKUP, "is a web page or XML, whatever its name")
    if start.startswith((b"%pdf", b"\x89png", b"\xff\xd8\xff")):
        raise FileRejected(Rejection.NOT_A_TABLE, "is a document or picture")
    return "jsonl" if start.startswith((b"{", b"[")) else "csv"


def _head(path: Path) -> bytes:
    with reject_if_damaged(), open_unzipped(path) as file:
        return bytes(file.read(512))


def sheets_of(path: Path, file_format: Format) -> list[str | None]:
    """The sheets of a workbook that hold anything; for any other file one that has no name."""
    if file_format != "xlsx":
        return [None]
    with reject_on_failure():
        names = list(sheet_places(path))
        # One sheet is the common case, and is parsed once, for its headers.
        return [n for n in names if len(names) == 1 or excel.parsed_sheet(path, n).cells.num_rows]


def headers_of(path: Path, file_format: Format, dialect: Dialect, sheet: str | None) -> list[str]:
    """The headers of a file as it reads in this dialect. Raises FileRejected if it does not."""
    with reject_on_failure():
        if file_format == "csv":
            return delimited.headers(path, dialect)
        if file_format == "xlsx":
            return excel.workbook_headers(path, dialect, sheet or "")
        with duckdb.connect() as connection:
            if file_format == "jsonl":
                return json_lines.json_headers(path, connection)
            return parquet.load_parquet(path, connection, 100)


def read(
    path: Path,
    file_format: Format,
    dialect: Dialect,
    sheet: str | None,
    connection: duckdb.DuckDBPyConnection,
    scratch: Path,
) -> Sheet:
    """Read a whole file, or one sheet of it, into the table `source`. Raises FileRejected."""
    with reject_on_failure():
        sheet_read = _read(path, file_format, dialect, sheet, connection, scratch)
        drop_unfilled(connection, sheet_read, dialect.prefilled)
        return sheet_read


def _read(
    path: Path,
    file_format: Format,
    dialect: Dialect,
    sheet: str | None,
    connection: duckdb.DuckDBPyConnection,
    scratch: Path,
) -> Sheet:
    connection.execute("drop table if exists source")
    if file_format == "csv":
        with reject_wrong_encoding(dialect):
            text = plain_text(path, dialect, scratch)
            return delimited.read_delimited(text, dialect, connection)
    if file_format == "xlsx":
        return excel.read_workbook(path, dialect, sheet or "", connection)
    if file_format == "jsonl":
        return json_lines.read_json_lines(path, connection)
    return parquet.read_parquet(path, connection)
