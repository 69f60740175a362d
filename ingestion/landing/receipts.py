"""The receipt of archived bytes: names they came under, when they were known, what recognised them.

Belongs here: its form, reading and writing it.
Does not belong here: the bytes (`archiving`), what a receipt says (`arriving`, `deciding`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from ingestion.home import Home
from ingestion.stored import Stored

TIME = "%Y-%m-%d %H:%M:%S"


class SeenName(BaseModel):
    """A name the bytes came under, with the file's state then: size, times of writing and of change
    (nanoseconds), place on disk. A state that is not settled may be that of other bytes too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    size: int
    mtime_ns: int
    ctime_ns: int = 0
    inode: int = 0
    is_settled: bool = False

    @property
    def state(self) -> tuple[str, int, int, int, int]:
        return self.name, self.size, self.mtime_ns, self.ctime_ns, self.inode


class Receipt(Stored):
    """archive/<sha256>.json. Times are UTC, as text to the second.

    `known_at` is empty until something has read the file; `file_kinds` are the labels of the file
    mappings by sheet (empty for a file that is no workbook), `other_sheets` what none knows;
    `mappings` is the fingerprint of the mappings that were asked; `members` are the files of a zip
    archive with their SHA-256, once all were taken.
    """

    FORMAT: ClassVar[int] = 3

    sha256: str
    bytes: int
    first_name: str
    names: tuple[SeenName, ...] = ()
    arrived_at: str
    known_at: str = ""
    is_known_at_declared: bool = False
    sidecar: str | None = None
    file_kinds: dict[str, str] = Field(default_factory=dict)
    other_sheets: tuple[str, ...] = ()
    mappings: str = ""
    members: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def upgraded(cls, content: dict[str, Any], version: int) -> dict[str, Any]:
        """Until format 2 file kinds were `entries`, or one `entry` where there were no sheets.
        Until 3 names had no time of change: such a file is read once more.
        """
        if version > 1:
            return content
        label = content.pop("entry", None)
        kinds = content.pop("entries", {"": label} if label else {})
        known_at = content.pop("known_at") or ""
        return {**content, "file_kinds": kinds, "known_at": known_at}


def receipt_file(home: Home, sha256: str) -> Path:
    """Where the receipt of these bytes lies."""
    return home.archive / f"{sha256}.json"


def read_receipt(home: Home, sha256: str) -> Receipt | None:
    """The receipt, or None if the bytes never came. Raises DamagedFile."""
    path = receipt_file(home, sha256)
    return Receipt.read(path) if path.exists() else None


def all_receipts(home: Home) -> Iterator[Receipt]:
    """Every receipt, in the order of hashes. Raises DamagedFile."""
    return (Receipt.read(path) for path in sorted(home.archive.glob("*.json")))


class Receipts:
    """The receipts of a home, read once, and written where they change if `is_written`.

    Raises DamagedFile.
    """

    def __init__(self, home: Home, is_written: bool = True) -> None:
        self._home = home
        self._is_written = is_written
        self._by_hash = {receipt.sha256: receipt for receipt in all_receipts(home)}
        self._settled = {
            seen.state: receipt.sha256
            for receipt in self._by_hash.values()
            for seen in receipt.names
            if seen.is_settled
        }

    def __iter__(self) -> Iterator[Receipt]:
        return iter([self._by_hash[sha256] for sha256 in sorted(self._by_hash)])

    def get(self, sha256: str) -> Receipt | None:
        """The receipt of these bytes; None if they never came."""
        return self._by_hash.get(sha256)

    def settled(self, seen: SeenName) -> Receipt | None:
        """The receipt of the bytes that a file in this state can only hold."""
        return self.get(self._settled.get(seen.state, ""))

    def keep(self, receipt: Receipt) -> Receipt:
        """The receipt, kept from now on."""
        if receipt != self.get(receipt.sha256):
            self._by_hash[receipt.sha256] = receipt
            if self._is_written:
                receipt.write(receipt_file(self._home, receipt.sha256))
        return receipt
