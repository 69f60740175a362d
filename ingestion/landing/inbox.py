"""The inbox: which of its files are exports, and what they are called.

Belongs here: passing over half-written files and litter, names, sidecars.
Does not belong here: what becomes of a file (`deciding`).
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ingestion.errors import FileRejected
from ingestion.home import Home
from ingestion.landing.receipts import SeenName, all_receipts
from ingestion.reasons import Rejection

UNFINISHED = (".part", ".tmp", ".crdownload", ".partial")
LITTER = ("thumbs.db", "desktop.ini")
SIDECAR = ".known_at"
MAX_SIDECAR_BYTES = 64
DATA_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xls", ".jsonl", ".parquet", ".zip", ".gz")


def inbox_files(home: Home) -> Iterator[Path]:
    """Files to be landed, in a fixed order; without hidden, half-written ones and sidecars.

    What cannot be landed is there too, to be told: links, folders called like a file, folders that
    cannot be listed.
    """
    for path in sorted(_listed(home.inbox)):
        parts = path.relative_to(home.inbox).parts
        if any(is_hidden(part) for part in parts):
            continue
        if path.suffix.lower() not in (*UNFINISHED, SIDECAR) and path.name.lower() not in LITTER:
            yield path


def _listed(folder: Path) -> Iterator[Path]:
    unlisted: list[Path] = []

    def refused(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            unlisted.append(Path(error.filename))

    for place, folders, files in os.walk(folder, onerror=refused):
        yield from (Path(place, name) for name in files)
        for path in (Path(place, name) for name in folders):
            if path.is_symlink() or path.suffix.lower() in DATA_SUFFIXES:
                yield path
    yield from unlisted


def is_hidden(name: str) -> bool:
    """Whether a name is one that systems hide. `..csv` is a file whose name was left out."""
    is_nameless = name.startswith("..") and name.lower().endswith(DATA_SUFFIXES)
    return name.startswith((".", "~$")) and not is_nameless


def is_new(home: Home) -> bool:
    """Whether the inbox holds a file that no receipt knows as it is now.

    For the sensor: cheap, and only a trigger. What has landed is decided by content.
    """
    known = {seen.state for receipt in all_receipts(home) for seen in receipt.names}
    for path in inbox_files(home):
        # A link or pipe never gets a receipt; it must not trigger a run a minute.
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        is_plain = stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK)
        if is_plain and seen_name(status, inbox_name(path, home)).state not in known:
            return True
    return False


def seen_name(status: os.stat_result, name: str, is_settled: bool = False) -> SeenName:
    """The file as a receipt remembers it."""
    return SeenName(
        name=name,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        inode=status.st_ino,
        is_settled=is_settled,
    )


def inbox_name(path: Path, home: Home) -> str:
    """A file's name within the inbox; letters that are not UTF-8 become question marks."""
    name = path.relative_to(home.inbox).as_posix()
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def sidecar_text(path: Path) -> str | None:
    """What a file beside this one says of when it was known; None if there is none.

    Raises FileRejected for one that is not a plain file of a few letters: it is read before any
    limit, and by whoever may write into the inbox.
    """
    try:
        handle = os.open(
            path.with_name(path.name + SIDECAR), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        )
    except OSError as error:
        # A name of 255 letters has room for no such file.
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG):
            return None
        raise _no_sidecar() from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _no_sidecar()
        content = os.read(handle, MAX_SIDECAR_BYTES + 1)
    finally:
        os.close(handle)
    if len(content) > MAX_SIDECAR_BYTES:
        raise _no_sidecar()
    return content.decode("utf-8", "replace").strip()


def _no_sidecar() -> FileRejected:
    return FileRejected(
        Rejection.KNOWN_AT_UNREADABLE,
        f"has a {SIDECAR} file beside it that is no plain file of {MAX_SIDECAR_BYTES} bytes",
    )
