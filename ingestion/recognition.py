"""Recognition: which file mapping a file is for.

Belongs here: matching headers and names, and saying what keeps a file from being recognised.
Does not belong here: what then happens to the file (`landing`).
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ingestion.errors import FileRejected
from ingestion.mappings.forms import Dialect, Format
from ingestion.mappings.loading import Entry
from ingestion.readers import archive, encoding, reading

PROPOSE = "`mellantid map` proposes a mapping for it"


class Partial(NamedTuple):
    """A mapping that a file nearly fits: by name, by this share of its headers."""

    named: bool
    share: float
    entry: Entry
    missing: str
    headers: list[str]


class Recognised(NamedTuple):
    """Per sheet the label of its file mapping, and the sheets that no mapping knows.

    A file that is no workbook has one sheet, None.
    """

    labels: dict[str | None, str]
    others: list[str]


def recognised(
    path: Path, names: list[str], entries: Mapping[str, Entry], scratch: Path
) -> Recognised:
    """The file mappings for these bytes: all headers there, best if one of `names` fits too.

    A workbook needs one sheet that is recognised; one that nearly is rejects the file.
    Raises FileRejected naming what is missing from the mapping that comes nearest.
    """
    file_format = reading.format_of(path)
    if file_format == "xlsx" and not archive.is_workbook(path):
        raise FileRejected("nested_archive", "is an archive within an archive; unpack it once")
    names = [*names, *(name.removesuffix(".gz") for name in names)]
    labels: dict[str | None, str] = {}
    unknown: dict[str | None, FileRejected] = {}
    sheets = reading.sheets_of(path, file_format)
    for sheet in sheets:
        try:
            called = [*names, sheet] if sheet else names
            labels[sheet] = _recognised(path, sheet, file_format, called, entries, scratch).label
        except FileRejected as error:
            unknown[sheet] = error
    nearly = [error for error in unknown.values() if error.rule != "unrecognised"]
    if not labels or nearly:
        raise (nearly or list(unknown.values()) or [_no_sheet()])[0]
    return Recognised(labels, [str(sheet) for sheet in unknown])


def _no_sheet() -> FileRejected:
    return FileRejected("empty_file", "has no sheet with cells in it; export it again")


def _recognised(
    path: Path,
    sheet: str | None,
    file_format: Format,
    names: list[str],
    entries: Mapping[str, Entry],
    scratch: Path,
) -> Entry:
    found: dict[tuple[object, ...], list[str] | FileRejected] = {}
    complete: list[tuple[bool, int, bool, Entry]] = []
    marked = encoding.encoding_marked(path)
    partial: list[Partial] = []
    for entry in entries.values():
        mapping = entry.mapping
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
        named = any(entry.matches_name(name) for name in names)
        missing = entry.missing_headers(headers)
        if missing:
            share = 1 - len(missing) / len(mapping.headers)
            partial.append(Partial(named, share, entry, missing[0], headers))
        else:
            as_marked = marked is None or marked == dialect.encoding
            complete.append((named, len(mapping.headers), as_marked, entry))
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
        labels = " and ".join(entry.label for entry in winners)
        raise FileRejected(
            "ambiguous", f"fits {labels}; give one of them a name pattern in mappings/"
        )
    return winners[0]


def _headers(
    path: Path, file_format: Format, dialect: Dialect, sheet: str | None
) -> list[str] | FileRejected:
    try:
        return reading.headers_of(path, file_format, dialect, sheet)
    except FileRejected as error:
        return error


def _unrecognised(
    partial: list[Partial], unreadable: list[FileRejected], file_format: Format
) -> FileRejected:
    """Say what is missing from the mapping that comes nearest, with the header most like it."""
    nearest = max(partial, key=lambda p: (p.named, p.share), default=None)
    if nearest and file_format == "csv" and len(nearest.headers) <= 1 and not unreadable:
        return FileRejected(
            "unrecognised",
            f"reads as a single column in the dialect of {nearest.entry.label}: another separator, "
            f"or a title above the headers; {PROPOSE}",
        )
    if nearest and ((nearest.named and nearest.share > 0) or nearest.share >= 0.5):
        # In a file without a header row a header is a value: none with digits or @ is shown.
        plain = [header for header in nearest.headers if re.fullmatch(r"[^\d@]{1,40}", header)]
        like = difflib.get_close_matches(nearest.missing, plain, n=1, cutoff=0.4)
        hint = f" (nearest: {like[0]!r})" if like else ""
        return FileRejected(
            "required_column_missing",
            f"looks like {nearest.entry.label} but has no column {nearest.missing!r}{hint}; export "
            "it with that column, or name the new header in mappings/",
        )
    if unreadable:
        return unreadable[0]
    if nearest is None:
        return FileRejected("unrecognised", f"is {file_format}, which no mapping takes; {PROPOSE}")
    return FileRejected(
        "unrecognised",
        f"has headers that no mapping knows in its first row; {PROPOSE}, or take it out of the "
        "inbox",
    )
