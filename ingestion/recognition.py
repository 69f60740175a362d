"""Recognition: which file mapping a file is for.

Belongs here: matching headers and names, and saying what keeps a file from being recognised.
Does not belong here: what then happens to the file (`landing`).
"""

import difflib
import re
from pathlib import Path
from typing import NamedTuple

from ingestion import readers
from ingestion.errors import FileRejected
from ingestion.mappings import Dialect, Entry, Format, Mappings


class Partial(NamedTuple):
    """A mapping that a file nearly fits: by name, by this share of its headers."""

    named: bool
    share: float
    entry: Entry
    missing: str
    headers: list[str]


def recognised(path: Path, names: list[str], mappings: Mappings, scratch: Path) -> Entry:
    """The file mapping for these bytes: all its headers there, best if one of `names` fits too.

    Raises FileRejected naming what is missing from the mapping that comes nearest.
    """
    file_format = readers.format_of(path)
    names = [*names, *(name.removesuffix(".gz") for name in names)]
    found: dict[Dialect, list[str] | FileRejected] = {}
    complete: list[tuple[bool, int, Entry]] = []
    partial: list[Partial] = []
    for entry in mappings.entries.values():
        mapping = entry.mapping
        if file_format not in mapping.formats:
            continue
        if mapping.dialect not in found:
            found[mapping.dialect] = _headers(path, file_format, mapping.dialect, scratch)
        headers = found[mapping.dialect]
        if isinstance(headers, FileRejected):
            continue
        named = any(entry.matches_name(name) for name in names)
        missing = entry.missing_headers(headers)
        if missing:
            share = 1 - len(missing) / len(mapping.headers)
            partial.append(Partial(named, share, entry, missing[0], headers))
        else:
            complete.append((named, len(mapping.headers), entry))
    if not complete:
        unreadable = [f for f in found.values() if isinstance(f, FileRejected)]
        raise _unrecognised(partial, unreadable, file_format)
    best = max((named, n) for named, n, _ in complete)
    winners = [entry for named, n, entry in complete if (named, n) == best]
    if len(winners) > 1:
        labels = " and ".join(entry.label for entry in winners)
        raise FileRejected(
            "ambiguous", f"fits {labels}; give one of them a name pattern in mappings/"
        )
    return winners[0]


def _headers(
    path: Path, file_format: Format, dialect: Dialect, scratch: Path
) -> list[str] | FileRejected:
    try:
        return readers.headers_of(path, file_format, dialect, scratch)
    except FileRejected as error:
        return error


def _unrecognised(
    partial: list[Partial], unreadable: list[FileRejected], file_format: Format
) -> FileRejected:
    """Say what is missing from the mapping that comes nearest, with the header most like it."""
    nearest = max(partial, key=lambda p: (p.named, p.share), default=None)
    if nearest and (nearest.named or nearest.share >= 0.5):
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
        return FileRejected("unrecognised", f"is {file_format}, which no mapping takes; add one")
    if file_format == "csv" and len(nearest.headers) <= 1:
        return FileRejected(
            "unrecognised",
            "reads as a single column: take away a title above the headers, or set "
            "dialect.separator and encoding in a mapping for it",
        )
    return FileRejected(
        "unrecognised",
        "has headers that no mapping knows in its first row (of its first sheet); add a mapping, "
        "or take it out of the inbox",
    )
