"""From the inbox into the archive: which bytes each file holds, and their receipt.

Belongs here: looking at every file, members of zip archives, what need not be read again.
Does not belong here: what becomes of the bytes (`deciding`), copying them (`archiving`).

A file is not read again while its receipt remembers it as it is: name, size, time of writing, time
of change and place on disk. Whoever writes into a file and sets its time of writing back still
moves its time of change. Of a file that was read within SETTLED_SECONDS of its last change a later
change may bear the same time: that one is read once more.
"""

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ingestion.errors import FileHeld, FileRejected
from ingestion.home import Home
from ingestion.landing.archiving import archive_bytes, archive_members
from ingestion.landing.inbox import inbox_name, seen_name, sidecar_text
from ingestion.landing.receipts import TIME, Receipt, Receipts
from ingestion.landing.report import FileOutcome, rejected
from ingestion.shown import printable

# The coarsest clock of a file system in use (FAT).
SETTLED_SECONDS = 2


class Arrival(NamedTuple):
    """Bytes that lie in the archive, under the name they are told by."""

    name: str
    sha256: str
    archived: Path
    has_left_inbox: bool = False


class Arrivals:
    """One look at the inbox. What is new goes into `folder`; `scratch` is for unpacking."""

    def __init__(self, home: Home, receipts: Receipts, folder: Path, scratch: Path) -> None:
        self.home = home
        self.receipts = receipts
        self.folder = folder
        self.scratch = scratch

    def of(self, path: Path) -> list[Arrival | FileOutcome]:
        """The bytes that a file in the inbox holds, or its members; or why it was not taken."""
        return self._arrived(path, inbox_name(path, self.home))

    def _arrived(self, path: Path, name: str) -> list[Arrival | FileOutcome]:
        shown = printable(name)
        try:
            receipt = self._known(path, name) or self._taken(path, name)
            archived = self._place(receipt)
            if receipt.members and all(map(self._is_kept, receipt.members.values())):
                return [self._member(f"{name}/{m}", sha) for m, sha in receipt.members.items()]
            if members := archive_members(archived, self.scratch):
                return self._unpacked(receipt, name, members)
            return [Arrival(shown, receipt.sha256, archived)]
        except FileHeld as held:
            return [FileOutcome(name=shown, outcome="held", message=f"{shown}: {held}")]
        except FileRejected as error:
            return [rejected(shown, f"{shown}: {error}", error)]

    def _known(self, path: Path, name: str) -> Receipt | None:
        """The receipt of a file that need not be read; None if it must be."""
        try:
            seen = seen_name(path.lstat(), name)
        except FileNotFoundError as error:
            raise FileHeld("was taken away meanwhile; the next run looks again") from error
        receipt = self.receipts.settled(seen)
        if receipt is None or not self._is_kept(receipt.sha256):
            return None
        sidecar = sidecar_text(path) or receipt.sidecar
        return self.receipts.keep(receipt.model_copy(update={"sidecar": sidecar}))

    def _taken(self, path: Path, name: str) -> Receipt:
        """The receipt of bytes copied into the archive, with this name and the file's state."""
        begin = time.time()
        sha256, status = archive_bytes(path, self.folder)
        is_settled = begin - status.st_ctime > SETTLED_SECONDS
        seen = seen_name(status, name, is_settled)
        receipt = self.receipts.get(sha256) or Receipt(
            sha256=sha256,
            bytes=seen.size,
            first_name=name,
            arrived_at=f"{datetime.now(UTC):{TIME}}",
        )
        others = tuple(n for n in receipt.names if n.name != name)
        sidecar = sidecar_text(path) or receipt.sidecar
        update = {"names": (*others, seen), "sidecar": sidecar}
        return self.receipts.keep(receipt.model_copy(update=update))

    def _place(self, receipt: Receipt) -> Path:
        """Where the bytes lie: in the archive, or where this pass has put them."""
        new = self.folder / receipt.sha256
        return new if new.exists() else self.home.archive / receipt.sha256

    def _is_kept(self, sha256: str) -> bool:
        return self.receipts.get(sha256) is not None and (self.home.archive / sha256).exists()

    def _member(self, name: str, sha256: str) -> Arrival:
        return Arrival(printable(name), sha256, self.home.archive / sha256)

    def _unpacked(
        self, receipt: Receipt, name: str, members: list[tuple[str, Path]]
    ) -> list[Arrival | FileOutcome]:
        """The members of an archive; remembered in its receipt if all of them were taken."""
        written_at = next(seen.mtime_ns for seen in receipt.names if seen.name == name)
        arrived: dict[str, list[Arrival | FileOutcome]] = {}
        for member, place in members:
            os.utime(place, ns=(written_at, written_at))
            arrived[member] = self._arrived(place, f"{name}/{member}")
        taken = {
            member: arrival.sha256
            for member, found in arrived.items()
            for arrival in found
            if isinstance(arrival, Arrival) and len(found) == 1
        }
        if len(taken) == len(members):
            self.receipts.keep(receipt.model_copy(update={"members": taken}))
        return [arrival for found in arrived.values() for arrival in found]
