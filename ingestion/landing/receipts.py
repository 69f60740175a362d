"""The receipt of archived bytes: names they came under, when they were known, what recognised them.

Belongs here: its form, reading and writing it.
Does not belong here: the bytes (`archiving`), deciding what a receipt says (`deciding`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from ingestion.home import Home
from ingestion.stored import Stored


class SeenName(BaseModel):
    """A name the bytes came under, with the size and time (nanoseconds) of the file then."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    size: int
    mtime_ns: int


class Receipt(Stored):
    """archive/<sha256>.json. Times are UTC, as text to the second.

    `known_at` is empty until something has read the file; `file_kinds` are the labels of the file
    mappings by sheet (empty for a file that is no workbook), `other_sheets` what none knows;
    `mappings` is the fingerprint of the mappings that were asked.
    """

    FORMAT: ClassVar[int] = 2

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

    @classmethod
    def upgraded(cls, content: dict[str, Any], _version: int) -> dict[str, Any]:
        """Until format 2 file kinds were `entries`, or one `entry` where there were no sheets."""
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
