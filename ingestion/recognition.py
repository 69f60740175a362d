"""Recognition: which file mapping a file is for.

Belongs here: matching headers and names, and saying what keeps a file from being recognised.
Does not belong here: what then happens to the file (`landing`).
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ingestion.casting.telling import reads_every_date
from ingestion.errors import FileRejected
from ingestion.mappings.forms import Dialect, Format
from ingestion.mappings.loading import FileKind
from ingestion.readers import archive, encoding, reading
from ingestion.reasons import Rejection


class Partial(NamedTuple):
    """A mapping that a file nearly fits: by name, by this share of its headers."""

    named: bool
    share: float
    file_kind: FileKind
    missing: str
    headers: list[str]


class Recognised(NamedTuple):
    """Per sheet the label of its file mapping, and the sheets that no mapping knows.

    A file that is no workbook has one sheet, None.
    """

    labels: dict[str | None, str]
    others: list[str]


def recognised(
    path: Path, names: list[str], file_kinds: Mapping[str, FileKind], scratch: Path
) -> Recognised:
    """The file mappings for these bytes: all headers there, best if one of `names` fits too.

    A workbook needs one sheet that is recognised; one that nearly is rejects the file.
    Raises FileRejected naming what is missing from the mapping that comes nearest.
    """
    file_format = reading.format_of(path)
    if file_format == "xlsx" and not archive.is_workbook(path):
        raise FileRejected(Rejection.NESTED_ARCHIVE, "is an archive within an archive")
    names = [*names, *(name.removesuffix(".gz") for name in names)]
    labels: dict[str | None, str] = {}
    unknown: dict[str | None, FileRejected] = {}
    sheets = reading.sheets_of(path, file_format)
    for sheet in sheets:
        try:
            called = [*names, sheet] if sheet else names
            labels[sheet] = _recognised(path, sheet, file_format, called, file_kinds, scratch).label
        except FileRejected as error:
            unknown[sheet] = error
    nearly = [error for error in unknown.values() if error.reason is not Rejection.UNRECOGNISED]
    if not labels or nearly:
        raise (nearly or list(unknown.values()) or [no_sheet()])[0]
    return Recognised(labels, [str(sheet) for sheet in unknown])


def no_sheet() -> FileRejected:
    """What a workbook without a cell is told."""
    return FileRejected(Rejection.EMPTY_FILE, "has no sheet with cells in it")


def _recognised(
    path: Path,
    sheet: str | None,
    file_format: Format,
    names: list[str],
    file_kinds: Mapping[str, FileKind],
    scratch: Path,
) -> FileKind:
    found: dict[tuple[object, ...], list[str] | FileRejected] = {}
    complete: list[tuple[bool, int, bool, FileKind]] = []
    unnamed: list[FileKind] = []
    marked = encoding.encoding_marked(path)
    partial: list[Partial] = []
    for file_kind in file_kinds.values():
        mapping = file_kind.mapping
        if file_format not in mapping.formats:
            continue
        dialect = mapping.dialect
        # Headers read the same in dialects that differ only in how cells are written.
        form = (dialect.encoding, dialect.separator, dialect.sheet, dialect.skip_lines)
        if form not in found:
            found[form] = _headers(path, file_format, dialect, sheet)
        headers = found[form]
        if isinstance(headers, FileRejected):
            continue
        named = any(file_kind.matches_name(name) for name in names)
        missing = file_kind.missing_headers(headers)
        if missing:
            share = 1 - len(missing) / len(mapping.headers)
            partial.append(Partial(named, share, file_kind, missing[0], headers))
        elif mapping.named and not named:
            unnamed.append(file_kind)
        else:
            as_marked = marked is None or marked == dialect.encoding
            complete.append((named, file_kind.fitting_headers(headers), as_marked, file_kind))
    if not complete and unnamed:
        raise _unproven(unnamed[0])
    if not complete:
        unreadable = [f for f in found.values() if isinstance(f, FileRejected)]
        raise _unrecognised(partial, unreadable, file_format)
    best = max(fit[:3] for fit in complete)
    winners = [fit[3] for fit in complete if fit[:3] == best]
    if len(winners) > 1 and file_format == "csv":
        # Headers in plain ASCII read alike in most encodings; the records below them may not.
        winners = [
            e for e in winners if encoding.decodes(path, e.mapping.dialect, scratch)
        ] or winners
    if len(winners) > 1:
        # 13/01/2026 was not written with the month first.
        winners = [e for e in winners if reads_every_date(path, sheet, e, scratch)] or winners
    if len(winners) > 1:
        labels = " and ".join(file_kind.label for file_kind in winners)
        raise FileRejected(Rejection.AMBIGUOUS, f"fits {labels}")
    return winners[0]


def _headers(
    path: Path, file_format: Format, dialect: Dialect, sheet: str | None
) -> list[str] | FileRejected:
    try:
        return reading.headers_of(path, file_format, dialect, sheet)
    except FileRejected as error:
        return error


def _unproven(file_kind: FileKind) -> FileRejected:
    names = " or ".join(file_kind.mapping.names)
    return FileRejected(
        Rejection.UNRECOGNISED,
        f"has headers that any system's file may have; as {file_kind.label} it is called {names}",
    )


def _unrecognised(
    partial: list[Partial], unreadable: list[FileRejected], file_format: Format
) -> FileRejected:
    """Say what is missing from the mapping that comes nearest, with the header most like it."""
    nearest = max(partial, key=lambda p: (p.named, p.share), default=None)
    if nearest and file_format == "csv" and len(nearest.headers) <= 1 and not unreadable:
        return FileRejected(
            Rejection.UNRECOGNISED,
            f"reads as a single column in the dialect of {nearest.file_kind.label}: another "
            "separator, or a title above the headers",
        )
    if nearest and ((nearest.named and nearest.share > 0) or nearest.share >= 0.5):
        # In a file without a header row a header is a value: none with digits or @ is shown.
        plain = [header for header in nearest.headers if re.fullmatch(r"[^\d@]{1,40}", header)]
        like = difflib.get_close_matches(nearest.missing, plain, n=1, cutoff=0.4)
        hint = f" (nearest: {like[0]!r})" if like else ""
        return FileRejected(
            Rejection.REQUIRED_COLUMN_MISSING,
            f"looks like {nearest.file_kind.label} but has no column {nearest.missing!r}{hint}",
        )
    if unreadable:
        return unreadable[0]
    if nearest is None:
        return FileRejected(Rejection.UNRECOGNISED, f"is {file_format}, which no mapping takes")
    return FileRejected(
        Rejection.UNRECOGNISED,
        "has headers that no mapping knows in its first row",
    )
