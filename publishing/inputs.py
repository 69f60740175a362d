"""What dbt reads of a home: the landed files of each input table, and the run's own row.

Belongs here: choosing them once, for every engine alike.
Does not belong here: telling an engine about them (`engines`).
"""

from datetime import date, datetime
from pathlib import Path
from typing import ClassVar, Literal

from ingestion.company import Company
from ingestion.home import Home
from ingestion.landing.sightings import sightings
from ingestion.stored import Stored
from ingestion.tables import TABLES

# What exports said by a day, or what the CRM knew by then as later exports tell: never mixed.
KnowledgeBasis = Literal["as_known", "as_reconstructed"]


class BuildInputs(Stored):
    """inputs.json of a build. `run` is the one row of `raw.run`, `files` lie below the home;
    `sightings` are the rows of `raw.sightings`.
    """

    REMEDY: ClassVar[str] = "run again: the build begins anew"

    loads: list[str]
    files: dict[str, list[str]]
    run: dict[str, str | int]
    sightings: list[tuple[str, str | None, int, str]]

    def paths(self, table: str, home: Home) -> list[Path]:
        """The Parquet files of one input table."""
        return [home.root / file for file in self.files[table]]


def choose_inputs(
    home: Home, loads: list[str], as_of: date, knowledge_basis: KnowledgeBasis
) -> BuildInputs:
    """The inputs of a build of `as_of` from these loads."""
    files = {
        table: [
            str(path.relative_to(home.root))
            for load in loads
            if (path := home.landed / load / f"{table}.parquet").exists()
        ]
        for table in TABLES
    }
    run = _run_row(home.company(), as_of, knowledge_basis)
    seen = [(s.load_id, s.known_at, s.made_number, s.series) for s in sightings(home, loads)]
    return BuildInputs(loads=loads, files=files, run=run, sightings=seen)


def _run_row(
    company: Company, as_of: date, knowledge_basis: KnowledgeBasis
) -> dict[str, str | int]:
    """`raw.run` as RUN_COLUMNS of ingestion/tables.py declares it; dates and times as text."""
    end: datetime = company.end_of(as_of)
    return {
        "as_of": as_of.isoformat(),
        "as_of_at": f"{end:%Y-%m-%d %H:%M:%S}",
        "knowledge_basis": knowledge_basis,
        "zone": company.zone,
        "currency": company.currency,
        "correction_grace_seconds": 60 * company.correction_grace_minutes,
        "reopen_grace_seconds": 86_400 * company.reopen_grace_days,
        "bulk_deals": company.bulk_deals,
        "idle_days": company.idle_days,
    }
