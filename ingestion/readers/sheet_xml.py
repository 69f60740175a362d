"""A worksheet's own XML: what the workbook's parser does not tell.

Belongs here: where sheets lie in a workbook, formulas without results, hidden rows, merged headers,
long numbers.
Does not belong here: cells (`excel`).
"""

import posixpath
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from defusedxml import ElementTree

from ingestion.errors import FileRejected
from ingestion.mappings.forms import Dialect
from ingestion.readers.limits import check_inflation, reject_broken_workbook
from ingestion.reasons import Rejection

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


CELL = re.compile(
    rb'<(?:\w+:)?c\b[^>]*?\br="([A-Z]+)(\d+)"([^>]*)>(?:<(?:\w+:)?f\b[^<]*</(?:\w+:)?f>)?'
    rb"<(?:\w+:)?(?:v|is)>"
)
STYLE = re.compile(rb'\bs="(\d+)"')
TEXT = re.compile(rb'\bt="(?:s|str|inlineStr|b|e)"')
# Number formats that Excel has built in for per cent.
PERCENT_FORMATS = {"9", "10"}


def sheet_places(path: Path) -> dict[str, str]:
    errors = (zipfile.BadZipFile, KeyError, ElementTree.ParseError)
    with reject_broken_workbook(*errors), zipfile.ZipFile(path) as archive:
        check_inflation(archive.infolist())
        return _places(archive)


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


@dataclass
class SheetFindings:
    """What the parser does not tell of a sheet; rows as Excel numbers them."""

    first_row: int = 0
    n_formulas: int = 0
    n_hidden_rows: int = 0
    merged: list[tuple[int, int]] = field(default_factory=list)
    long: list[tuple[int, int, str]] = field(default_factory=list)


def scan_sheet(path: Path, place: str) -> SheetFindings:
    found, rest = SheetFindings(), b""
    with zipfile.ZipFile(path) as archive, archive.open(place) as file:
        while chunk := file.read(1 << 20):
            whole, end, rest = (rest + chunk).rpartition(b"row>")
            _scan_rows(whole + end, found)
    _scan_rows(rest, found)
    found.merged = [(int(first), int(last)) for first, last in MERGED.findall(rest)]
    return found


def _scan_rows(rows: bytes, found: SheetFindings) -> None:
    if not found.first_row and (first := FILLED.search(rows)):
        found.first_row = int(first[2])
    if b"<f" in rows or b":f" in rows:
        found.n_formulas += sum(b't="str"' not in match[1] for match in FORMULA.finditer(rows))
    if b"hidden=" in rows:
        found.n_hidden_rows += len(HIDDEN_ROW.findall(rows))
    for column, row, text in LONG_NUMBER.findall(rows):
        found.long.append((int(row), _column_number(column), text.decode()))


def first_column(path: Path, place: str) -> int:
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


def check_findings(found: SheetFindings, dialect: Dialect) -> None:
    headers = found.first_row + dialect.skip_lines
    if any(first <= headers <= last for first, last in found.merged):
        raise FileRejected(
            Rejection.MERGED_HEADERS,
            "has merged cells in its header row",
        )
    if found.n_formulas:
        raise FileRejected(
            Rejection.FORMULAS_WITHOUT_RESULTS,
            f"has {found.n_formulas} formulas without results",
        )


def is_1904(path: Path) -> bool:
    """Whether a workbook counts its days from 1904, as Excel for Mac once did."""
    with zipfile.ZipFile(path) as archive:
        root = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    found = [node.get("date1904") for node in root.iter() if node.tag.endswith("}workbookPr")]
    return any(value in ("1", "true") for value in found)


def percent_styles(path: Path) -> set[str]:
    """The styles of a workbook that show numbers in per cent, by their index."""
    with zipfile.ZipFile(path) as archive:
        if "xl/styles.xml" not in archive.namelist():
            return set()
        root = ElementTree.fromstring(archive.read("xl/styles.xml"))
    formats = PERCENT_FORMATS | {
        node.get("numFmtId", "")
        for node in root.iter()
        if node.tag.endswith("}numFmt") and "%" in node.get("formatCode", "")
    }
    styles = next((node for node in root.iter() if node.tag.endswith("}cellXfs")), None)
    if styles is None:
        return set()
    return {str(i) for i, style in enumerate(styles) if style.get("numFmtId") in formats}


@dataclass
class CellTypes:
    """Columns below the headers, as Excel numbers them, that hold text, or numbers in per cent."""

    text: set[int] = field(default_factory=set)
    percent: set[int] = field(default_factory=set)


def scan_cell_types(path: Path, place: str, header_row: int, percent: set[str]) -> CellTypes:
    """Which columns of a sheet hold text anywhere below `header_row` (as Excel numbers rows)."""
    found, rest = CellTypes(), b""
    with zipfile.ZipFile(path) as archive, archive.open(place) as file:
        while chunk := file.read(1 << 20):
            whole, end, rest = (rest + chunk).rpartition(b"row>")
            for column, row, attributes in CELL.findall(whole + end):
                if int(row) <= header_row:
                    continue
                if TEXT.search(attributes):
                    found.text.add(_column_number(column))
                elif (style := STYLE.search(attributes)) and style[1].decode() in percent:
                    found.percent.add(_column_number(column))
    return found
