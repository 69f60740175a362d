"""The manifest of a published set: what it holds, what it was made of, what was checked.

Belongs here: its form, reading and writing it.
Does not belong here: making a set (`sets`), comparing it with what lies on disk (`verification`).
"""

import subprocess
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from ingestion.landing.manifest import LoadManifest
from ingestion.stored import Stored
from publishing.gate.checks import CheckResult

FILE_NAME = "manifest.json"


class TableContent(BaseModel):
    """One table of a set; `columns` maps names to DuckDB types. The hash is empty where it was
    made in a way that nobody computes any more.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    columns: dict[str, str]
    rows: int
    content_hash: str


class LoadFacts(BaseModel):
    """One load that a set was made of; see LoadManifest."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    load_id: str
    sha256: str
    file_kind: str
    known_at: str
    records: int
    accepted: int
    quarantined: int
    rules: dict[str, int]

    @classmethod
    def of(cls, manifest: LoadManifest) -> "LoadFacts":
        return cls(**{name: getattr(manifest, name) for name in cls.model_fields})


class SetManifest(Stored):
    """published/<run>/manifest.json. `files` maps every other file of the set to its SHA-256;
    `views` are derived from the tables, columns by their DuckDB types; `inputs_hash` is that of the
    inputs it was built from, empty where none was kept.
    """

    FORMAT: ClassVar[int] = 4
    REMEDY: ClassVar[str] = "delete the set's folder, or restore it from backup"

    run: str
    run_id: str
    as_of: date
    epoch: int
    published_at: str
    schema_version: int
    code_version: str
    inputs_hash: str
    tables: dict[str, TableContent]
    views: dict[str, dict[str, str]]
    checks: list[CheckResult]
    loads: list[LoadFacts]
    files: dict[str, str]

    @classmethod
    def upgraded(cls, content: dict[str, Any], version: int) -> dict[str, Any]:
        """Until format 2 the file kind of a load was called `entry`; until 3 there were no views,
        and content hashes were of sorted rows; until 4 no hash of the inputs.
        """
        content = {**content, "inputs_hash": ""}
        if version > 2:
            return content
        loads = [
            {("file_kind" if key == "entry" else key): value for key, value in load.items()}
            for load in content["loads"]
        ]
        tables = {name: {**table, "content_hash": ""} for name, table in content["tables"].items()}
        return {**content, "loads": loads, "tables": tables, "views": {}}

    def columns(self) -> dict[str, dict[str, str]]:
        """What readers find: columns of each table and view, by their DuckDB types."""
        return {**{name: table.columns for name, table in self.tables.items()}, **self.views}


def read_manifest(folder: Path) -> SetManifest:
    """The manifest of the set in `folder`. Raises DamagedFile."""
    return SetManifest.read(folder / FILE_NAME)


def code_version() -> str:
    """The package version and, in a checkout, its commit."""
    checkout = Path(__file__).parents[1]
    command = ["git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        commit = done.stdout.strip()
    except OSError:
        commit = ""
    return version("mellantid") + (f"+{commit}" if commit else "")


def now() -> str:
    """The time of the clock on the wall, in UTC, for manifests and status: never for data."""
    return datetime.now(UTC).isoformat(timespec="seconds")
