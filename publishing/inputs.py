"""What a build depends on: the landed files of each input table, the run's own row, settings, code.

Belongs here: choosing them once, for every engine alike.
Does not belong here: telling an engine about them (`engines`).
"""

import hashlib
import json
from datetime import date, datetime
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import ClassVar, Literal

from ingestion.company import Company
from ingestion.home import Home
from ingestion.landing.sightings import sightings
from ingestion.mappings.loading import Mappings
from ingestion.stored import Stored
from ingestion.tables import TABLES

# What exports said by a day, or what the CRM knew by then as later exports tell: never mixed.
KnowledgeBasis = Literal["as_known", "as_reconstructed"]

CHECKOUT = Path(__file__).parents[1]
ROOMS = ("ingestion", "dbt", "analysis", "publishing", "dagster_project", "dashboard")
CODE = {".py", ".sql", ".yml", ".yaml", ".md"}


class BuildInputs(Stored):
    """inputs.json of a build. `run` is the one row of `raw.run`, `files` lie below the home;
    `sightings` are the rows of `raw.sightings`, `settings_hash` stands for company.yml, mappings,
    code and back-tests.
    """

    REMEDY: ClassVar[str] = "run again: the build begins anew"

    loads: list[str]
    files: dict[str, list[str]]
    run: dict[str, str | int]
    sightings: list[tuple[str, str | None, int, str]]
    settings_hash: str

    def content_hash(self) -> str:
        """SHA-256 of all of it: builds with the same one make the same set."""
        return hashlib.sha256(self.as_text().encode()).hexdigest()

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
    company = home.company()
    mappings = Mappings.of(home, company)
    kinds = {label: kind.hash for label, kind in mappings.file_kinds.items()}
    mapped = json.dumps([kinds, mappings.stages], sort_keys=True, default=str)
    kept = hash_of_backtests(home)
    settings = "\n".join((company.model_dump_json(), mapped, code_hash(CHECKOUT), kept))
    return BuildInputs(
        loads=loads,
        files=files,
        run=_run_row(company, as_of, knowledge_basis),
        sightings=[
            (seen.load_id, seen.known_at, seen.made_number, seen.series)
            for seen in sightings(home, loads, company, mappings)
        ],
        settings_hash=hashlib.sha256(settings.encode()).hexdigest(),
    )


def hash_of_backtests(home: Home) -> str:
    """Changes when a back-test was made anew: its scores are then to be published."""
    digest = hashlib.sha256()
    for path in sorted(home.backtests.glob("*.json")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@cache
def code_hash(checkout: Path) -> str:
    """SHA-256 of the project's files as they lie there, without dbt's own, and of the libraries'
    versions.
    """
    digest = hashlib.sha256()
    for room in ROOMS:
        for path in sorted((checkout / room).rglob("*")):
            name = path.relative_to(checkout)
            if path.suffix in CODE and name.parts[:2] != ("dbt", "target"):
                digest.update(f"{name}\n".encode() + path.read_bytes())
    libraries = sorted(f"{found.name} {found.version}" for found in distributions())
    digest.update("\n".join(libraries).encode())
    return digest.hexdigest()


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
        "dayparts": " ".join(company.daypart_of_hours),
    }
