"""Forecasts as they were published, and as past days would have made them: kept to be scored.

Belongs here: the files forecasts/<as_of>.json of a home, each written once, by the first set
published of its day; forecasts/backtest/<origin>.json, made anew by every back-test.
Does not belong here: making forecasts, scoring them (analysis).
"""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from analysis.scores import KEPT, forecast_scores
from analysis.stays import COLUMNS, ORDER, Stays
from ingestion.errors import UserError
from ingestion.home import Home
from ingestion.stored import Stored
from publishing.frames import read_mart
from publishing.marts import opened
from publishing.warehouse import Warehouse

DAYS = "????-??-??.json"
# Of a company's first months nothing can be told.
FIRST_DAYS = 270

QUERY = """
    select
        told.forecaster, told.scope, told.scope_id, told.period_start_on, told.period_end_on,
        told.part, list(told.amount order by told.level_rate)
    from (
        select forecast_quantiles.*, forecasts.period_end_on
        from forecast_quantiles join forecasts
            on forecast_quantiles.scope = forecasts.scope
            and forecast_quantiles.scope_id is not distinct from forecasts.scope_id
            and forecast_quantiles.period_start_on = forecasts.period_start_on
    ) as told
    group by all
    order by all
"""


class Distribution(BaseModel):
    """A forecast of money won, as 99 quantiles."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    forecaster: str
    scope: str
    scope_id: str | None
    period_start_on: date
    period_end_on: date
    part: str
    amounts: list[float]


class Forecasts(Stored):
    """The forecasts of one day."""

    basis: str
    origin_on: date
    forecasts: list[Distribution]


def kept_forecasts(home: Home, as_of: date) -> pd.DataFrame:
    """All that was kept of days before `as_of`: columns KEPT. Raises DamagedFile."""
    paths = [*sorted(home.forecasts.glob(DAYS)), *sorted(home.backtests.glob(DAYS))]
    days = [Forecasts.read(path) for path in paths if date.fromisoformat(path.stem) < as_of]
    rows = [
        {"basis": day.basis, "origin_on": day.origin_on, **told.model_dump()}
        for day in days
        for told in day.forecasts
    ]
    return pd.DataFrame(rows, columns=list(KEPT))


def keep_forecasts(warehouse: Warehouse) -> None:
    """Keep what the set of the day forecasts, unless one of that day or a later one was kept."""
    path = warehouse.home.forecasts / f"{warehouse.as_of}.json"
    if not any(kept.name >= path.name for kept in warehouse.home.forecasts.glob(DAYS)):
        _write(warehouse, "as_known", path)


def keep_backtest(warehouse: Warehouse) -> None:
    """Keep what a reconstructed day forecasts, in the place of an earlier reconstruction."""
    _write(warehouse, "as_reconstructed", warehouse.home.backtests / f"{warehouse.as_of}.json")


def _write(warehouse: Warehouse, basis: str, path: Path) -> None:
    with opened(warehouse.marts, "forecasts", "forecast_quantiles") as connection:
        rows = connection.execute(QUERY).fetchall()
    if rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        names = Distribution.model_fields
        told = [Distribution(**dict(zip(names, row, strict=True))) for row in rows]
        Forecasts(basis=basis, origin_on=warehouse.as_of, forecasts=told).write(path)


def origins(published: Path, as_of: date, n: int) -> list[date]:
    """The first days of the last `n` quarters that had ended by `as_of`, FIRST_DAYS after the first
    deal. Raises UserError where there is none.
    """
    with opened(published) as connection:
        row = connection.execute("select min(entered_on) from fct_stage_stays").fetchone()
    first = row[0] if row else None
    month = np.datetime64(as_of, "M")
    starts = [
        ((month - month.astype(int) % 3) - 3 * ago).astype("datetime64[D]").astype(object)
        for ago in range(n, 0, -1)
    ]
    found = [day for day in starts if first is not None and (day - first).days >= FIRST_DAYS]
    if not found:
        raise UserError(
            "no quarter can be forecast again: deals are known of less than a year before one that "
            "has ended"
        )
    return found


def scored(published: Path, home: Home, as_of: date) -> pd.DataFrame:
    """Table forecast_scores of what is kept, by the outcomes that a published set knows."""
    with opened(published) as connection:
        stays = Stays.of(read_mart(connection, "fct_stage_stays", COLUMNS, ORDER), as_of)
    return forecast_scores(stays, kept_forecasts(home, as_of))
