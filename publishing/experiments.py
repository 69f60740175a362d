"""Planning and assigning experiments from the published set.

Belongs here: what is read of it, the sheet of assignments.
Does not belong here: numbers (analysis).
"""

import csv
import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from analysis.experiments import shares_of
from analysis.plans import Baseline, Plan, plan
from ingestion.errors import UserError
from publishing.marts import opened

HEADER = ("experiment_id", "unit_id", "account_id", "variant", "assigned_at", "record_id")
# All units of a kind, and the account each belongs to.
UNITS = {
    "account": "select account_id, account_id from dim_accounts",
    "contact": "select contact_id, max(account_id) from fct_activities "
    "where contact_id is not null group by contact_id",
    "lead": "select lead_id, null from fct_stage_transitions "
    "where record_type = 'lead' and lead_id is not null group by lead_id",
    "deal": "select deal_id, account_id from dim_deals where status = 'open'",
    "seller": "select seller_id, null from dim_sellers where is_active is not false",
}


@dataclass(frozen=True)
class Experiment:
    """As it was declared; `shares` add up to 1, the first is the control's."""

    experiment_id: str
    unit: str
    outcome_id: str
    window_days: int
    shares: dict[str, float]


def declared(published: Path, name: str) -> Experiment:
    """The experiment of that id, with its system or without. Raises UserError."""
    with opened(published) as connection:
        rows = connection.execute(
            "select experiment_id, unit, primary_outcome, window_days, variants "
            "from dim_experiments where experiment_id = $name "
            "or split_part(experiment_id, ':', 2) = $name",
            {"name": name},
        ).fetchall()
        known = connection.execute("select experiment_id from dim_experiments order by 1")
        names = [found.partition(":")[2] for (found,) in known.fetchall()]
    if len(rows) != 1:
        listed = f"; declared are {', '.join(names)}" if names else ""
        raise UserError(
            f"experiment {name}: not in the published set{listed}; put a row of it into a sheet "
            "experiments.csv (docs/operations.md), and run"
        )
    (experiment_id, unit, outcome_id, window_days, variants) = rows[0]
    try:
        shares = shares_of(variants)
    except ValueError as error:
        raise UserError(f"experiment {name}: column variants: {error}") from error
    for column, value in (("unit", unit), ("primary_outcome", outcome_id),
                          ("window_days", window_days)):  # fmt: skip
        if value is None:
            raise UserError(f"experiment {name}: column {column} is empty; fill it in")
    return Experiment(experiment_id, unit, outcome_id, window_days, shares)


def planned(published: Path, experiment: Experiment, effect: float) -> tuple[Baseline, Plan, int]:
    """What half a year was like, the plan for a difference of `effect` (in [-1, 1]), and the window
    it was counted with. Raises UserError where that cannot be told.
    """
    columns = ", ".join(Baseline.__dataclass_fields__)
    with opened(published) as connection:
        rows = connection.execute(
            f"select window_days, {columns} from experiment_baselines "
            "where unit = $unit and outcome_id = $outcome "
            "order by window_days < $window, abs(window_days - $window) limit 1",
            {"unit": experiment.unit, "outcome": experiment.outcome_id,
             "window": experiment.window_days},
        ).fetchall()  # fmt: skip
    if not rows:
        raise UserError(
            f"nothing is known of {experiment.outcome_id} of a {experiment.unit} within "
            f"{experiment.window_days} days: no export tells of both, or it is not planned for "
            "(account, contact, lead; not amount_won)"
        )
    window, *numbers = rows[0]
    baseline = Baseline(*numbers)
    try:
        return baseline, plan(baseline, list(experiment.shares.values()), effect), window
    except ValueError as error:
        raise UserError(str(error)) from error


def write_assignments(
    published: Path, experiment: Experiment, only: set[str] | None, at: datetime, target: Path
) -> dict[str, int]:
    """Assign the units that have no variant yet, and write them; return how many got which.

    `only` keeps to these ids, with their system or without. All units of an account get the same.
    """
    with opened(published) as connection:
        units = _units(connection, experiment, only)
    counts = dict.fromkeys(experiment.shares, 0)
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for unit_id, account_id in units:
            variant = variant_of(experiment, account_id or unit_id)
            counts[variant] += 1
            writer.writerow(
                (experiment.experiment_id.partition(":")[2], unit_id, account_id or "", variant,
                 at.isoformat(timespec="minutes"), unit_id.partition(":")[2])
            )  # fmt: skip
    return counts


def _units(
    connection: duckdb.DuckDBPyConnection, experiment: Experiment, only: set[str] | None
) -> list[tuple[str, str | None]]:
    rows = connection.execute(
        f"select * from ({UNITS[experiment.unit]}) as units (unit_id, account_id) "
        "where unit_id not in (select unit_id from experiment_units where experiment_id = $id) "
        "order by unit_id",
        {"id": experiment.experiment_id},
    ).fetchall()
    if only is None:
        return rows
    kept = [row for row in rows if row[0] in only or row[0].partition(":")[2] in only]
    if not kept:
        raise UserError(
            f"none of the {len(only)} ids is a {experiment.unit} of the published set without a "
            "variant; write ids as the CRM has them"
        )
    return kept


def variant_of(experiment: Experiment, account_id: str) -> str:
    """Always the same for an experiment and an account, whatever others there are."""
    digest = hashlib.sha256(f"{experiment.experiment_id}|{account_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for variant, share in experiment.shares.items():
        place -= share
        if place < 0:
            return variant
    return next(reversed(experiment.shares))
