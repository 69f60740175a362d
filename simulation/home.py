"""A data home filled with the invented company's exports, for one day or a drop a day.

Belongs here: the folder, the days, the rates, the truth file that the pipeline never reads.
Does not belong here: what a CRM's files look like (`hubspot`, `salesforce`).
"""

import csv
import gzip
import io
import json
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml

from simulation import goals, hubspot, salesforce, seminars
from simulation.company import Company
from simulation.working_days import is_working_day

MARKER = ".simulated"


class Dialect(Protocol):
    """A CRM: what it exports at the end of a day, and the mapping the company would have."""

    def exports(self, company: Company, day: date) -> dict[str, Iterable[list[Any]]]: ...

    def account_id(self, account: int) -> str: ...

    def mapping(self, company: Company) -> dict[str, Any]: ...


DIALECTS: dict[str, Dialect] = {"hubspot": hubspot, "salesforce": salesforce}


class NotASimulation(Exception):
    """The folder holds something that a simulation did not write."""


def write_home(
    company: Company, folder: Path, dialect: str = "hubspot", drops: int = 1
) -> list[Path]:
    """Write exports, mapping and truth into `folder`, which becomes a data home.

    `drops` days of exports are written, the last of them `company.as_of`. Refuses a folder that
    holds anything a simulation did not write: invented deals among real ones could not be told
    apart again. Returns the files written.
    """
    marker = folder / MARKER
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise NotASimulation(f"{folder} holds files that are not simulated; choose an empty folder")
    (folder / "inbox").mkdir(parents=True, exist_ok=True)
    (folder / "mappings").mkdir(exist_ok=True)
    marker.write_text("Everything in this home is invented.\n")
    written = []
    sheets = {"experiments": seminars.experiments, "goals": goals.goals, "actions": goals.actions}
    for name, rows in sheets.items():
        declared = folder / "inbox" / f"{name}.csv"
        _write(declared, rows(company))
        known_at = declared.with_name(f"{declared.name}.known_at")
        known_at.write_text(f"{company.as_of.year - 1}-12-01")
        written.append(declared)
    for ago in reversed(range(drops)):
        written += write_drop(company, folder / "inbox", dialect, company.as_of - timedelta(ago))
    mappings = {
        dialect: DIALECTS[dialect].mapping(company),
        "rates": RATES_MAPPING,
        "tally": TALLY_MAPPING,
        "mellantid": SHEETS_MAPPING,
    }
    for name, content in mappings.items():
        mapping = folder / "mappings" / f"{name}.yml"
        mapping.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        written.append(mapping)
    truth = folder / "truth.json"
    told = {**company.truth(), "seminars": seminars.TRUTH}
    truth.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return [*written, truth]


def write_drop(company: Company, inbox: Path, dialect: str, day: date) -> list[Path]:
    """The exports of one day's end. Returns the files written."""
    exports = {
        **DIALECTS[dialect].exports(company, day),
        f"rates-{day}.csv": _rates(company, day),
        f"tally-{day}.csv": seminars.lines(company, day),
        f"assignments-{day}.csv": seminars.assignments(company, day, DIALECTS[dialect].account_id),
    }
    written = []
    for name, rows in exports.items():
        lines = list(rows)
        # Nobody hands in a sheet in which nothing stands yet; its head alone is refused.
        if len(lines) > 1:
            _write(inbox / name, lines)
            written.append(inbox / name)
    return written


def _write(path: Path, rows: Iterable[list[Any]]) -> None:
    """Every field quoted. No clock in the gzip header, so the same company, same bytes."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


RATES_MAPPING = {
    "system": "rates",
    "doc": "Exchange rates of the invented company.",
    "files": {
        "rates": {
            "doc": "A rate a working day.",
            "headers": [["Date"], ["Currency"], ["SEK"]],
            "known_at": {"file_name": r"(\d{4}-\d{2}-\d{2})"},
            "tables": {
                "fx_rates": {"columns": {"rate_on": "Date", "currency": "Currency", "rate": "SEK"}}
            },
        }
    },
}

# A tally is filled in for months; this company saves a copy a day, with the day in its name.
TALLY_MAPPING = {"files": {"tally": {"known_at": {"file_name": r"(\d{4}-\d{2}-\d{2})"}}}}

SHEETS_MAPPING = {"files": {"assignments": {"known_at": {"file_name": r"(\d{4}-\d{2}-\d{2})"}}}}


def _rates(company: Company, day: date) -> Iterable[list[Any]]:
    """Kronor for a euro on each working day up to `day`: a walk, another in each company."""
    yield ["Date", "Currency", "SEK"]
    first = company.as_of - timedelta(days=int(365 * company.parameters.years) + 400)
    random = np.random.default_rng(len(company.deals))
    rate = 11.0
    for ago in range((company.as_of - first).days + 1):
        at = first + timedelta(days=ago)
        rate *= 1 + 0.004 * float(random.standard_normal())
        if at <= day and is_working_day(at):
            yield [at, "EUR", f"{rate:.4f}"]
