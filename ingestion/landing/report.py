"""What became of each file of one pass over the inbox.

Belongs here: the form of the report, reading and writing it.
Does not belong here: showing it (`cli`).
"""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from ingestion.errors import FileRejected
from ingestion.home import Home
from ingestion.stored import Stored


class FileOutcome(BaseModel):
    """What became of one file, or one sheet of it.

    `outcome`: landed, relanded, already_landed, rejected, or held until it is whole. `notes` count
    what was read but is worth knowing; `unused` are headers and sheets that no mapping asks for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    outcome: str
    sha256: str = ""
    load_id: str = ""
    file_kind: str = ""
    known_at: str = ""
    records: int = 0
    accepted: int = 0
    quarantined: int = 0
    rules: dict[str, int] = Field(default_factory=dict)
    left_out: dict[str, int] = Field(default_factory=dict)
    first_rejects: list[tuple[int, str]] = Field(default_factory=list)
    rule: str = ""
    message: str = ""
    notes: dict[str, int] = Field(default_factory=dict)
    unused: list[str] = Field(default_factory=list)


class Report(Stored):
    """landed/last_report.json. `loads` are the load ids in force since then.

    `unknown_stages`, of a dry run only: (pipeline, stage, records) that no mapping declares.
    """

    FORMAT: ClassVar[int] = 2
    REMEDY: ClassVar[str] = "the next run writes it anew"

    files: list[FileOutcome]
    loads: list[str]
    unknown_stages: list[tuple[str | None, str, int]] = Field(default_factory=list)

    @classmethod
    def upgraded(cls, content: dict[str, Any], _version: int) -> dict[str, Any]:
        """Until format 2 it held the run's id and check results, and kinds were `entry`."""
        files = [
            {("file_kind" if key == "entry" else key): value for key, value in file.items()}
            for file in content["files"]
        ]
        return {"files": files, "loads": content["loads"]}

    def having(self, *outcomes: str) -> list[FileOutcome]:
        """The files with one of these outcomes."""
        return [file for file in self.files if file.outcome in outcomes]

    def counted(self) -> str:
        """How many files landed, landed again, and had landed before."""
        kinds = ("landed", "relanded", "already_landed")
        return ", ".join(f"{len(self.having(kind))} {kind}" for kind in kinds)


def rejected(name: str, message: str, error: FileRejected, sha256: str = "") -> FileOutcome:
    """The outcome of a file that was not taken in."""
    return FileOutcome(
        name=name, outcome="rejected", sha256=sha256, rule=error.reason, message=message
    )


def save_report(home: Home, report: Report) -> None:
    report.write(home.landed / "last_report.json")


def last_report(home: Home) -> Report | None:
    """The report of the last pass; None before the first. Raises DamagedFile."""
    path = home.landed / "last_report.json"
    return Report.read(path) if path.exists() else None
