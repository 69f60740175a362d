"""When the bytes of each load were seen, and in which order what was seen was made.

Belongs here: the days that a file's names declare, the order of exports of one moment.
Does not belong here: fixing when a load was first known (`deciding`).

The same bytes delivered again under another day are the same state on that day: a list that returns
to what it was is that again, not an older one.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ingestion.company import Company
from ingestion.home import Home
from ingestion.landing.known_at import day_in, known_by_name
from ingestion.landing.manifest import read_manifests
from ingestion.landing.receipts import TIME, Receipt, SeenName, read_receipt
from ingestion.mappings.loading import FileKind, Mappings

# What a browser adds to the name of a second download.
COPY = re.compile(r"\((\d{1,3})\)(?=\.\w+(\.gz)?$)")
# A time of day behind the day: 2026-10-01T18:30, 2026-10-01_1830, 2026-10-01 18.30.05.
CLOCK = re.compile(r"[T _-]?([01]\d|2[0-3])[-:.h]?([0-5]\d)(?:[-:.m]?[0-5]\d)?s?(?!\d)")


class Sighting(NamedTuple):
    """A load seen at a moment (UTC, as text; None where its rows say when), and its place in time.

    `made_number` orders exports as they were made: by moment, time of day in the name, number of
    the download, arrival. `series` are the exports of one kind whose names differ only in days and
    numbers: one list, exported again and again.
    """

    load_id: str
    known_at: str | None
    made_number: int
    series: str


def sightings(home: Home, loads: list[str], company: Company, mappings: Mappings) -> list[Sighting]:
    """Every sighting of these loads. Raises DamagedFile."""
    found = []
    for manifest in read_manifests(home, loads):
        receipt = read_receipt(home, manifest.sha256)
        kind = mappings.file_kinds.get(manifest.file_kind)
        if receipt is None or kind is None:
            continue
        moments = _moments(receipt, kind, company)
        found += [(*moment, manifest.file_kind, manifest.load_id) for moment in moments]
    return [
        Sighting(load_id, known_at, number, _series(file_kind, name))
        for number, (known_at, _, _, _, name, file_kind, load_id) in enumerate(
            sorted(found, key=_order), start=1
        )
    ]


def _series(file_kind: str, name: str) -> str:
    letters = re.sub(r"[\W\d_]+", "", name.lower())
    return f"{file_kind} {letters}"


def _order(
    moment: tuple[str | None, str, int, str, str, str, str],
) -> tuple[str, str, int, str, str]:
    known_at, clock, copy, arrived_at, name, _, load_id = moment
    return known_at or "", clock, copy, arrived_at, f"{name} {load_id}"


def _moments(
    receipt: Receipt, kind: FileKind, company: Company
) -> Iterable[tuple[str | None, str, int, str, str]]:
    """Of each sighting: moment, time of day in the name, number of the download, arrival, name."""
    own_rows = kind.mapping.known_at.column is not None
    for seen in receipt.names or (SeenName(name=receipt.first_name, size=0, mtime_ns=0),):
        day = known_by_name(kind, seen.name, company)
        known_at = f"{day:{TIME}}" if day else receipt.known_at
        name = Path(seen.name).name
        copy = COPY.search(name)
        yield (
            None if own_rows else known_at,
            _clock(kind, name),
            int(copy.group(1)) if copy else 0,
            receipt.arrived_at,
            name,
        )


def _clock(kind: FileKind, name: str) -> str:
    match = day_in(kind.mapping.known_at.file_name, name)
    behind = CLOCK.match(name, match.end(1)) if match else None
    return "".join(behind.groups()) if behind else ""
