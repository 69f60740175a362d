"""The inbox: which of its files are exports, and what they are called.

Belongs here: passing over half-written files and litter, names, sidecars.
Does not belong here: what becomes of a file (`deciding`).
"""

import stat
from collections.abc import Iterator
from pathlib import Path

from ingestion.home import Home
from ingestion.landing.receipts import SeenName, all_receipts

UNFINISHED = (".part", ".tmp", ".crdownload", ".partial")
LITTER = ("thumbs.db", "desktop.ini")
SIDECAR = ".known_at"
DATA_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xls", ".jsonl", ".parquet", ".zip", ".gz")


def inbox_files(home: Home) -> Iterator[Path]:
    """Files to be landed, in a fixed order; without hidden, half-written ones and sidecars."""
    for path in sorted(home.inbox.rglob("*")):
        parts = path.relative_to(home.inbox).parts
        if any(part.startswith((".", "~$")) for part in parts):
            continue
        # A folder that is called like a file would be passed over without a word.
        if path.is_dir() and not path.is_symlink() and path.suffix.lower() not in DATA_SUFFIXES:
            continue
        if path.suffix.lower() not in (*UNFINISHED, SIDECAR) and path.name.lower() not in LITTER:
            yield path


def is_new(home: Home) -> bool:
    """Whether the inbox holds a file that no receipt knows by name, size and time.

    For the sensor: cheap, and only a trigger. What has landed is decided by content.
    """
    known = {seen for receipt in all_receipts(home) for seen in receipt.names}
    for path in inbox_files(home):
        # A link or pipe never gets a receipt; it must not trigger a run a minute.
        if (
            stat.S_ISREG(path.lstat().st_mode)
            and seen_name(path, inbox_name(path, home)) not in known
        ):
            return True
    return False


def seen_name(path: Path, name: str) -> SeenName:
    """The file as a receipt remembers it."""
    status = path.lstat()
    return SeenName(name=name, size=status.st_size, mtime_ns=status.st_mtime_ns)


def inbox_name(path: Path, home: Home) -> str:
    """A file's name within the inbox; letters that are not UTF-8 become question marks."""
    name = path.relative_to(home.inbox).as_posix()
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def sidecar_text(path: Path) -> str | None:
    """What a file beside this one says of when it was known."""
    sidecar = path.with_name(path.name + SIDECAR)
    return (
        sidecar.read_text(encoding="utf-8", errors="replace").strip()[:40]
        if sidecar.is_file()
        else None
    )
