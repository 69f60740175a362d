"""The lease: one writer per home, and a number that orders writers.

Belongs here: taking, showing and checking the lease.
Does not belong here: what the holder does with it.

The lock is the operating system's (flock), so a killed holder releases it. The epoch grows with
every holder; publish refuses an older one, so that a process that was frozen and comes back after
another has run cannot put its set on top.
"""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingestion.home import Home


class LeaseHeld(Exception):
    """Another process works on this home. The text says who, where and since when."""


@dataclass(frozen=True)
class Lease:
    path: Path
    epoch: int

    def check(self) -> None:
        """Raise LeaseHeld if another holder has come since."""
        if _content(self.path).get("epoch") != self.epoch:
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
        epoch = int(_content(path).get("epoch", 0)) + 1
        record = {
            "epoch": epoch,
            "purpose": purpose,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        _write(handle, record)
        _held[path] = Lease(path, epoch)
        yield _held[path]
    finally:
        _held.pop(path, None)
        os.close(handle)  # releases the lock


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
        content = _content(path)
        if not content:
            return "another run is just starting"
        age = datetime.now(UTC) - datetime.fromisoformat(content["since"])
        return (
            f"{content['purpose']} (process {content['pid']} on {content['host']}) has held this "
            f"home for {int(age.total_seconds())} s, since {content['since']}"
        )
    finally:
        os.close(handle)


def _write(handle: int, record: dict[str, Any]) -> None:
    # In place, not by rename: the lock is on this very file.
    text = json.dumps(record).encode()
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, text + b" " * 64)
    os.ftruncate(handle, len(text))
    os.fsync(handle)


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
