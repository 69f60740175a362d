"""Which sets were current, one after the other: where a rollback goes back to.

Belongs here: published/switches.json, its form, rebuilding a lost one.
Does not belong here: the switch itself (`sets`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from ingestion.stored import DamagedFile, Stored
from publishing.set_manifest import SetManifest


class Switches(Stored):
    """published/switches.json: names of sets in the order they became current, the last one now.

    A rollback takes the last name away.
    """

    REMEDY: ClassVar[str] = "the next run writes it anew"

    names: tuple[str, ...]


def read_switches(folder: Path, manifests: Sequence[SetManifest]) -> tuple[str, ...]:
    """The names, oldest first; a lost or damaged file is rebuilt from the sets, oldest first."""
    path = folder / "switches.json"
    if path.exists():
        try:
            return Switches.read(path).names
        except DamagedFile:
            pass
    return _as_published(manifests)


def write_switches(folder: Path, names: Sequence[str]) -> None:
    """Replace the file."""
    Switches(names=tuple(names)).write(folder / "switches.json")


def before(names: Sequence[str], current: str) -> tuple[str, ...]:
    """The names before the last time that `current` was switched to."""
    if current not in names:
        return tuple(names)
    last = len(names) - 1 - list(reversed(names)).index(current)
    return tuple(names[:last])


def _as_published(manifests: Sequence[SetManifest]) -> tuple[str, ...]:
    """What a run makes current where nobody rolls back: each set of no earlier day."""
    names: list[str] = []
    as_of = None
    for manifest in manifests:
        if as_of is None or as_of <= manifest.as_of:
            names.append(manifest.run)
            as_of = manifest.as_of
    return tuple(names)
