"""The lease: one writer per home, and a number that orders writers.

Belongs here: taking, showing and checking the lease.
Does not belong here: what the holder does with it.

The lock is the operating system's (flock), so a killed holder releases it. The epoch grows with
every holder, also where its file was lost; publish refuses an older one, so that a process that was
frozen and comes back after another has run cannot put its set on top.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ingestion.home import Home
from ingestion.stored import DamagedFile, Stored


class LeaseHeld(Exception):
    """Another process works on this home. The text says who, where and since when."""


class LeaseRecord(Stored):
    """.lease: who holds the home, or held it last. `since` is UTC, ISO 8601."""

    epoch: int
    purpose: str
    pid: int
    host: str
    since: str


@dataclass(frozen=True)
class Lease:
    path: Path
    epoch: int

    def check(self) -> None:
        """Raise LeaseHeld if another holder has come since."""
        record = _record(self.path)
        if record is None or record.epoch != self.epoch:
            raise LeaseHeld("this run was overtaken by a later one; its result is not used")


_held: dict[Path, Lease] = {}


@contextmanager
def lease(home: Home, purpose: str) -> Iterator[Lease]:
    """Hold the home for `purpose`. Within one process an inner call joins the outer one.

    Raises LeaseHeld at once if another process holds it.
    """
    path = home.root / ".lease"
    if path in _held:
        yield _held[path]
        return
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LeaseHeld(holder(home) or "another run holds this home") from error
        before = _record(path)
        record = LeaseRecord(
            epoch=1 + max(before.epoch if before else 0, _last_published(home)),
            purpose=purpose,
            pid=os.getpid(),
            host=socket.gethostname(),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        _write(handle, record)
        _held[path] = Lease(path, record.epoch)
        yield _held[path]
    finally:
        _held.pop(path, None)
        os.close(handle)  # releases the lock


def _last_published(home: Home) -> int:
    """The latest epoch that a published set is called after: a lost lease file goes on from it."""
    names = (path.name.rpartition("-")[2] for path in home.published.glob("*-*-*-*"))
    return max((int(epoch) for epoch in names if epoch.isdigit()), default=0)


def holder(home: Home) -> str | None:
    """One line about who holds the home, or None if nobody does."""
    path = home.root / ".lease"
    if not path.exists():
        return None
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        record = _record(path)
        if record is None:
            return "another run is just starting"
        age = datetime.now(UTC) - datetime.fromisoformat(record.since)
        return (
            f"{record.purpose} (process {record.pid} on {record.host}) has held this "
            f"home for {int(age.total_seconds())} s, since {record.since}"
        )
    finally:
        os.close(handle)


def _write(handle: int, record: LeaseRecord) -> None:
    # In place, not by rename: the lock is on this very file.
    text = record.as_text().encode()
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, text + b" " * 64)
    os.ftruncate(handle, len(text))
    os.fsync(handle)


def _record(path: Path) -> LeaseRecord | None:
    """What the file says; None while a holder is writing it, or before the first."""
    try:
        return LeaseRecord.read(path)
    except (OSError, DamagedFile):
        return None
