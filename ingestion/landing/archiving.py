"""Bytes into the archive: copied under their hash before any parser sees them.

Belongs here: what is taken at all (whole, plain files), members of zip archives.
Does not belong here: receipts, what a file holds.
"""

import errno
import hashlib
import os
import stat
import time
from pathlib import Path
from typing import BinaryIO

from ingestion.errors import FileHeld, FileRejected
from ingestion.landing.inbox import SIDECAR
from ingestion.readers import archive, encoding
from ingestion.reasons import Rejection
from ingestion.worker import READERS

# How long a text whose last line has no end counts as still being written.
UNFINISHED_SECONDS = 60


def archive_bytes(path: Path, folder: Path) -> tuple[str, os.stat_result]:
    """Copy the bytes under their hash; refuse what is not a plain file. Returns hash and status.

    Raises FileHeld for a file that changes meanwhile, cannot be opened now, or looks cut short
    and is so new that it may still be being written.
    """
    handle = _opened(path)
    before = os.fstat(handle)
    if not stat.S_ISREG(before.st_mode) or before.st_nlink > 1:
        os.close(handle)
        what = "a hard link" if stat.S_ISREG(before.st_mode) else "not a plain file"
        raise FileRejected(Rejection.NOT_A_FILE, f"is {what}")
    with os.fdopen(handle, "rb") as source:
        temporary = folder / f".tmp-{os.getpid()}"
        digest = hashlib.sha256()
        with temporary.open("wb") as target:
            while chunk := _read(source):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        after = os.fstat(handle)
    is_fresh = 0 <= time.time() - after.st_mtime < UNFINISHED_SECONDS
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or (
        is_fresh and encoding.ends_open(temporary)
    ):
        temporary.unlink()
        raise FileHeld("may still be being written; the next run takes it up")
    temporary.chmod(0o600)
    temporary.replace(folder / digest.hexdigest())
    return digest.hexdigest(), after


def _opened(path: Path) -> int:
    if path.name.startswith(".."):
        raise FileRejected(Rejection.UNSAFE_NAME, "has no name before its ending")
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileRejected(Rejection.NOT_A_FILE, "is a link") from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise FileRejected(Rejection.NOT_PERMITTED, "may not be read") from error
        if error.errno == errno.ENOENT:
            raise FileHeld("was taken away meanwhile; the next run looks again") from error
        raise FileHeld("cannot be opened now; the next run tries again") from error


def _read(source: BinaryIO) -> bytes:
    try:
        return source.read(1 << 22)
    except OSError as error:
        raise FileRejected(Rejection.LOST_ON_DISK, "cannot be read from its disk") from error


def archive_members(archived: Path, scratch: Path) -> list[tuple[str, Path]] | None:
    """The files of a zip archive as (name, place in `scratch`); None if it is none."""
    with archived.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return None
    folder = scratch / f"members-{archived.name}"
    folder.mkdir(exist_ok=True)
    found = READERS.call(archive.unpacked, archived, folder, size=archived.stat().st_size)
    if found is None:
        return None
    places = {member: place for member, place in found if not member.endswith(SIDECAR)}
    if not places:
        raise FileRejected(Rejection.EMPTY_FILE, "is an archive with nothing in it")
    for member, place in found:
        beside = places.get(member.removesuffix(SIDECAR))
        if beside and member.endswith(SIDECAR):
            place.replace(beside.with_name(beside.name + SIDECAR))
    return list(places.items())
