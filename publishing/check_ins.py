"""Check-ins as they were decided, with the numbers they stood on: kept, so that the next follows.

Belongs here: the files check_ins/<as_of>.json of a home, each written once.
Does not belong here: deciding (analysis), showing (dashboard).
"""

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict

from analysis.check_in import Rules
from ingestion.company import Company
from ingestion.home import Home
from ingestion.stored import Stored
from publishing.marts import opened

DAYS = "????-??-??.json"


class Row(BaseModel):
    """What a check-in decided and why: the row of `check_ins` as it was published."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    check_in_on: date
    decision: str
    reason: str
    is_enough: bool | None
    is_moving: bool | None
    is_improving: bool | None
    reach_goal_rate: float | None
    next_reach_goal_rate: float | None
    next_coverage_times: float | None
    usual_next_coverage_times: float | None
    n_moves: int
    needed_moves: float
    moving_rate: float | None
    improving_rate: float | None
    goal_amount: float | None
    booked_amount: float
    p10_amount: float | None
    p50_amount: float | None
    p90_amount: float | None
    n_qualified: int
    needed_qualified: float | None
    behind_pipeline_id: str | None
    behind_stage_id: str | None
    behind_days: float | None
    n_attention: int
    attention_amount: float
    n_overdue: int
    n_without_next_step: int | None
    n_pushed_often: int
    n_surprise_wins: int | None
    surprise_amount: float | None
    n_pulled_forward: int
    pulled_forward_amount: float
    unknown_amount_rate: float | None


class CheckIn(Stored):
    """A check-in that was held."""

    check_in: Row


def rules_of(company: Company) -> Rules:
    return Rules(**company.check_in.model_dump())


def kept_check_ins(home: Home, as_of: date) -> pd.DataFrame:
    """Those held by `as_of`, oldest first. Raises DamagedFile."""
    paths = sorted(home.check_ins.glob(DAYS))
    rows = [
        CheckIn.read(path).check_in.model_dump()
        for path in paths
        if date.fromisoformat(path.stem) <= as_of
    ]
    return pd.DataFrame(rows, columns=list(Row.model_fields))


def hold(home: Home, published: Path, as_of: date) -> bool:
    """Keep the check-in of a published set's day if one is due: none was for `every_days`. Returns
    whether that of the day is kept; one that was, stands.
    """
    path = home.check_ins / f"{as_of}.json"
    held = [date.fromisoformat(kept.stem) for kept in home.check_ins.glob(DAYS)]
    every = timedelta(home.company().check_in.every_days)
    if not any(as_of - every < day for day in held):
        names = list(Row.model_fields)
        with opened(published) as connection:
            row = connection.execute(
                f"select {', '.join(names)} from check_ins where check_in_on = as_of"
            ).fetchone()
        if row:
            path.parent.mkdir(exist_ok=True)
            CheckIn(check_in=Row(**dict(zip(names, row, strict=True)))).write(path)
    return path.exists()
