"""How a file is written: encoding, separator, sheet, lines above the headers.

Belongs here: what the bytes themselves show. Does not belong here: numbers and dates in cells.
"""

import csv
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

from ingestion.mappings.forms import Dialect, Format
from ingestion.proposing.findings import Finding
from ingestion.readers import encoding, excel, reading
from ingestion.recognition import no_sheet


def find_dialect(
    path: Path, file_format: Format, scratch: Path
) -> Finding[tuple[Dialect, str | None]]:
    """The dialect, and of a workbook the sheet that is meant. Raises FileRejected."""
    if file_format == "xlsx":
        return _sheet_dialect(path)
    if file_format != "csv":
        return Finding((Dialect(), None))
    name, why = _encoding(path, scratch)
    separator, skip, width = _separator(_first_lines(path, name, scratch))
    words: dict[str, tuple[Any, str]] = {}
    if name != "utf-8":
        words["encoding"] = (name, why)
    if separator != ",":
        words["separator"] = (separator, f"gives {width} cells a line")
    if skip:
        words["skip_lines"] = (skip, "lines above the headers")
    questions = []
    if encoding.ends_open(path):
        questions.append(
            "The last line has no end, as in a file cut short. If such files are whole, set "
            "open_end: true; the last line is quarantined otherwise."
        )
    dialect = Dialect(encoding=name, separator=separator, skip_lines=skip, open_end=True)
    return Finding((dialect, None), tuple(questions), words)


def _sheet_dialect(path: Path) -> Finding[tuple[Dialect, str | None]]:
    sheets = reading.sheets_of(path, "xlsx")
    if not sheets:
        raise no_sheet()
    widths = {s: len(reading.headers_of(path, "xlsx", Dialect(), s)) for s in sheets}
    widest = max(sheets, key=lambda s: widths[s])
    questions = []
    if len(sheets) > 1:
        others = ", ".join(f"{s!r}" for s in sheets if s != widest)
        questions.append(
            f"The workbook has several sheets; this is about {widest!r}. Map {others} too "
            "if they hold records."
        )
    rows = excel.first_rows(path, widest or "", 50)
    skip = _titles(rows, max(map(len, rows)))
    words = {"skip_lines": (skip, "rows above the headers")} if skip else {}
    return Finding((Dialect(skip_lines=skip), widest), tuple(questions), words)


def _encoding(path: Path, scratch: Path) -> tuple[Any, str]:
    if marked := encoding.encoding_marked(path):
        return marked, "its first bytes say so"
    if encoding.decodes(path, Dialect(), scratch):
        return "utf-8", "valid throughout"
    return "cp1252", "not UTF-8; what Windows writes in Western Europe"


def _first_lines(path: Path, name: Any, scratch: Path) -> list[str]:
    text = encoding.plain_text(path, Dialect(encoding=name), scratch)
    with text.open(encoding="utf-8-sig", newline="") as file:
        return list(itertools.islice(file, 200))


def _separator(lines: list[str]) -> tuple[str, int, int]:
    """(separator, lines above the headers, cells a line) that split most lines alike."""
    best = (0.0, 0, ",", 0)
    for separator in (",", ";", "\t", "|"):
        try:
            rows = list(csv.reader(lines, delimiter=separator))
        except csv.Error:
            continue
        widths = [len(row) for row in rows if row]
        if not widths:
            continue
        width, n = Counter(widths).most_common(1)[0]
        if width > 1:
            skip = _titles(rows, width)
            best = max(best, (n / len(widths), width, separator, skip))
    share, width, separator, skip = best
    return (separator, skip, width) if share >= 0.5 else (",", 0, 1)


def _titles(rows: list[list[str]], width: int) -> int:
    """How many rows stand above the headers: the first row as full as the ones below it."""
    counts = [sum(1 for cell in row if cell.strip()) for row in rows]
    usual = Counter(n for n in counts if n).most_common(1)[0][0]
    return next(
        (i for i, row in enumerate(rows) if len(row) == width and counts[i] >= 0.6 * usual), 0
    )
