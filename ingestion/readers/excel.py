"""A sheet of an .xlsx workbook into the table `source`.

Belongs here: parsed cells, their place below the headers.
Does not belong here: what only the XML tells (`sheet_xml`).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import duckdb
import fastexcel
import pyarrow as pa

from ingestion.mappings.forms import Dialect
from ingestion.readers.limits import reject_broken_workbook, reject_on_failure
from ingestion.readers.sheet_xml import (
    CellTypes,
    check_findings,
    first_column,
    is_1904,
    percent_styles,
    scan_cell_types,
    scan_sheet,
    sheet_places,
)
from ingestion.readers.source import (
    CHUNK,
    Sheet,
    append_columns,
    check_headers,
    columns_with,
    count_rows,
    drop_binary_noise,
    header_row,
    store_rows,
)
from ingestion.reasons import Quarantine


@dataclass(frozen=True)
class ParsedSheet:
    """The cells of a sheet as text, without the empty rows and columns before the first cell.

    `errors` are the places (row, column) of error values such as #REF!.
    """

    cells: pa.RecordBatch
    errors: list[tuple[int, int]]
    is_hidden: bool


@lru_cache(maxsize=1)
def parsed_sheet(path: Path, name: str) -> ParsedSheet:
    """The parsed sheet, kept from its recognition to its reading: 1 s for 150,000 rows."""
    with reject_broken_workbook(fastexcel.FastExcelError):
        sheet = fastexcel.read_excel(str(path)).load_sheet(name, header_row=None, dtypes="string")
        cells, errors = sheet.to_arrow_with_errors()
    return ParsedSheet(
        cells, [e.position for e in errors.errors] if errors else [], sheet.visible != "visible"
    )


def workbook_headers(path: Path, dialect: Dialect, name: str) -> list[str]:
    if dialect.sheet not in (None, name):
        return []
    return _row_of_headers(parsed_sheet(path, name).cells, dialect)


def first_rows(path: Path, name: str, n: int) -> list[list[str]]:
    """The first rows of a sheet as text."""
    with reject_on_failure():
        columns = parsed_sheet(path, name).cells.slice(0, n).to_pydict().values()
        return [[cell or "" for cell in row] for row in zip(*columns, strict=True)]


def _row_of_headers(cells: pa.RecordBatch, dialect: Dialect) -> list[str]:
    row = cells.slice(dialect.skip_lines, 1)
    return header_row([(column[0].as_py() or "") for column in row.columns if len(column)])


# Decimals of which two writers may make two numbers, or more than money has.
DECIMALS = "regexp_matches({}, '^-?\\d+[.]\\d+$')"


def read_workbook(
    path: Path, dialect: Dialect, name: str, connection: duckdb.DuckDBPyConnection
) -> Sheet:
    with ThreadPoolExecutor(1) as beside:
        # Beside the parser, which leaves Python free: 0.5 s for 100 MB of XML.
        scan = beside.submit(scan_sheet, path, sheet_places(path)[name])
        grid = parsed_sheet(path, name)
        found = scan.result()
    headers = _row_of_headers(grid.cells, dialect)
    check_headers(headers)
    check_findings(found, dialect)
    width = len(headers)
    store_rows(connection, max(grid.cells.num_columns, width), iter(()))
    body = grid.cells.slice(dialect.skip_lines + 1)
    if dialect.skip_last_lines:
        body = body.slice(0, max(body.num_rows - dialect.skip_last_lines, 0))
    for start in range(0, body.num_rows, CHUNK):
        part = body.slice(start, CHUNK)
        numbers = pa.array(range(start + 1, start + 1 + part.num_rows), pa.int64())
        append_columns(connection, [numbers, *part.columns])
    above = dialect.skip_lines
    _amend(connection, [(row - above, column, "#ERROR") for row, column in grid.errors])
    if found.long:
        left = first_column(path, sheet_places(path)[name])
        top = found.first_row + above
        _amend(connection, [(row - top, c - left, text) for row, c, text in found.long])
    notes = {"hidden_sheet": int(grid.is_hidden), "hidden_rows": found.n_hidden_rows}
    parsed_sheet.cache_clear()
    defects = _narrowed(connection, width)
    drop_binary_noise(connection)
    types = _cell_types(path, name, found.first_row + above, connection)
    return Sheet(
        headers,
        count_rows(connection) + len(defects),
        defects,
        notes,
        frozenset(range(width)) - types.text if types else frozenset(),
        frozenset(types.percent if types else ()),
        is_1904(path),
    )


def _cell_types(
    path: Path, name: str, header_row: int, connection: duckdb.DuckDBPyConnection
) -> CellTypes | None:
    """What columns hold, where it matters: decimals that text could write otherwise, per cent.

    The parser's text does not tell a number from text; looking costs a second pass over the XML.
    """
    percent = percent_styles(path)
    if not percent and not columns_with(connection, DECIMALS):
        return None
    place = sheet_places(path)[name]
    left = first_column(path, place)
    types = scan_cell_types(path, place, header_row, percent)
    return CellTypes({c - left for c in types.text}, {c - left for c in types.percent})


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
    return [(number, Quarantine.WRONG_NUMBER_OF_CELLS) for (number,) in wide]
