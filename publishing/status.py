"""The status that unchanging pages read: what is current, and whether a later run was refused.

Belongs here: published/status.js, its form, reading and writing it.
Does not belong here: why a run failed (`failures`), switching sets (`sets`).
"""

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from ingestion.files import write_atomically
from ingestion.stored import DamagedFile, Stored
from publishing.failures import Failure
from publishing.set_manifest import SetManifest, now

BEFORE, AFTER = "window.mellantidStatus = ", ";\n"


class CurrentSet(BaseModel):
    """The set that readers see."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    run: str
    as_of: str
    published_at: str


class Refusal(Failure):
    """A run that did not publish; `since` is the first such after the last success, UTC."""

    since: str
    at: str


class Status(Stored):
    """published/status.js: outside the sets, replaced atomically."""

    REMEDY: ClassVar[str] = "the next run writes it anew"

    current: CurrentSet | None = None
    refused: Refusal | None = None


def read_status(folder: Path) -> Status:
    """The status in the published folder; an empty one before the first. Raises DamagedFile."""
    path = folder / "status.js"
    if not path.exists():
        return Status()
    text = path.read_text(encoding="utf-8").strip()
    return Status.from_text(text.removeprefix(BEFORE).removesuffix(";"), path)


def write_status(
    folder: Path,
    current: SetManifest | None,
    refused: Failure | None = None,
    is_cleared: bool = False,
) -> Status:
    """Replace the status. A refusal stays until `is_cleared`: since the first failure."""
    try:
        before = read_status(folder).refused
    except DamagedFile:  # it can be written anew; what a reader sees must not stay damaged
        before = None
    if is_cleared:
        before = None
    if refused is not None:
        since = before.since if before else now()
        before = Refusal(**refused.model_dump(), since=since, at=now())
    shown = None
    if current is not None:
        shown = CurrentSet(
            run=current.run, as_of=current.as_of.isoformat(), published_at=current.published_at
        )
    status = Status(current=shown, refused=before)
    write_atomically(folder / "status.js", f"{BEFORE}{status.as_text().rstrip()}{AFTER}")
    return status
