"""The manifest of a load: what came in, what was accepted and what was quarantined.

Belongs here: its form, reading and writing it.
Does not belong here: counting (`loads`), counting anew (`accounting`).
"""

from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from ingestion.files import damaged
from ingestion.home import Home
from ingestion.stored import DamagedFile, Stored

FILE_NAME = "manifest.json"


class TableFacts(BaseModel):
    """One table of a load. `absent` are mapped headers the file lacks; `mapped` counts, per column,
    the cells whose text a value map changed; `ambiguous_times` local times that occur twice.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    absent: list[str]
    mapped: dict[str, int]
    ambiguous_times: int
    rows: int


class Money(BaseModel):
    """Sums of a table's amounts by currency, as text to the öre; `came_in` is the other two."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    came_in: dict[str, str]
    accepted: dict[str, str]
    quarantined: dict[str, str]


class LoadManifest(Stored):
    """landed/<load_id>/manifest.json. `records` are `accepted` and `quarantined`.

    `rules` counts the records that each rule quarantined, `left_out` those accepted without a cell
    that tells one change, `first_rejects` the first of both as (record number, rule); `notes` count
    what was read but is worth knowing. `files` maps every other file of the load to its SHA-256.
    """

    FORMAT: ClassVar[int] = 3
    REMEDY: ClassVar[str] = "delete its folder and run again: it is made from the archive"

    load_id: str
    sha256: str
    sheet: str | None
    file_kind: str
    mapping_hash: str
    known_at: str
    records: int
    accepted: int
    quarantined: int
    rules: dict[str, int]
    left_out: dict[str, int] = Field(default_factory=dict)
    first_rejects: list[tuple[int, str]]
    notes: dict[str, int]
    tables: dict[str, TableFacts]
    unmapped_headers: list[str]
    money: dict[str, Money]
    files: dict[str, str]

    @classmethod
    def upgraded(cls, content: dict[str, Any], version: int) -> dict[str, Any]:
        """Until format 2 the file kind was called `entry`, and money that came in `in`; until 3
        there were no hashes: such a load lands anew.
        """
        content = {"files": {}, **content}
        if version > 1:
            return content
        money = {
            table: {("came_in" if k == "in" else k): sums for k, sums in kinds.items()}
            for table, kinds in content.pop("money").items()
        }
        file_kind = content.pop("entry")
        return {"first_rejects": [], **content, "file_kind": file_kind, "money": money}


def undamaged(folder: Path) -> LoadManifest | None:
    """The manifest of the load in `folder`; None if the load is not there as it was written."""
    try:
        manifest = LoadManifest.read(folder / FILE_NAME)
    except (DamagedFile, FileNotFoundError):
        return None
    return None if damaged(folder, manifest.files) or not manifest.files else manifest


def read_manifests(home: Home, loads: list[str]) -> list[LoadManifest]:
    """The manifests of these loads. Raises DamagedFile."""
    return [LoadManifest.read(home.landed / load / FILE_NAME) for load in loads]
