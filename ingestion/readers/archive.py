"""Zip archives: the files in them, and which of them are workbooks.

Belongs here: members, and what makes an archive unsafe.
Does not belong here: the home's archive of landed bytes (`landing`).
"""

import posixpath
import re
import stat
import zipfile
import zlib
from collections import Counter
from pathlib import Path

from ingestion.errors import FileRejected
from ingestion.readers.limits import (
    MAX_MEMBERS,
    check_inflation,
    reject_broken_workbook,
    reject_on_failure,
)
from ingestion.reasons import Rejection


def unpacked(path: Path, scratch: Path) -> list[tuple[str, Path]] | None:
    """The files of a zip archive as (name, place in `scratch`); None if it is a workbook.

    Raises FileRejected for an archive that is damaged, holds archives, or could fill the disk.
    """
    with reject_on_failure():
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
                Rejection.BROKEN_ARCHIVE, "is damaged, cut short or has a password"
            ) from error


def is_workbook(path: Path) -> bool:
    """Whether a zip archive is a workbook of the one kind that is read."""
    with reject_broken_workbook(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        return "xl/workbook.xml" in archive.namelist()


def _check_archive(entries: list[zipfile.ZipInfo], names: set[str]) -> None:
    if "xl/workbook.bin" in names:
        raise FileRejected(Rejection.BINARY_WORKBOOK, "is a binary workbook (.xlsb)")
    if {"mimetype", "content.xml"} <= names:
        raise FileRejected(Rejection.OPEN_DOCUMENT, "is an OpenDocument sheet")
    if "[Content_Types].xml" in names:
        raise FileRejected(Rejection.NOT_A_TABLE, "is another Office document")
    twice = [name for name, n in Counter(e.filename for e in entries).items() if n > 1]
    if twice:
        raise FileRejected(Rejection.DUPLICATE_MEMBER, f"holds {len(twice)} names more than once")
    if len(entries) > MAX_MEMBERS:
        raise FileRejected(Rejection.TOO_MANY_MEMBERS, f"holds more than {MAX_MEMBERS:,} files")
    for entry in entries:
        parts = re.split(r"[/\\]", entry.filename)
        if ".." in parts or parts[0] == "" or ":" in parts[0]:
            raise FileRejected(Rejection.UNSAFE_NAME, "holds a file that would leave its folder")
        if parts[-1].startswith(".."):
            raise FileRejected(Rejection.UNSAFE_NAME, "holds a file without a name")
        if entry.filename.lower().endswith((".zip", ".7z", ".rar", ".tar")):
            raise FileRejected(Rejection.NESTED_ARCHIVE, "holds an archive")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise FileRejected(Rejection.UNSAFE_NAME, "holds a link")
    check_inflation(entries)


def _is_litter(name: str) -> bool:
    base = posixpath.basename(name)
    return name.startswith("__MACOSX/") or (base.startswith(".") and not base.startswith(".."))


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, scratch: Path, n: int) -> Path:
    """Write one member out; its declared size is not believed."""
    target = scratch / f"member-{n}"
    written = 0
    with archive.open(entry) as source, target.open("wb") as out:
        while chunk := source.read(1 << 20):
            written += len(chunk)
            if written > entry.file_size:
                raise FileRejected(Rejection.TOO_LARGE, "unpacks to more than it declares")
            out.write(chunk)
    return target
