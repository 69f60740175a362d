"""Forecasts of this quarter and the next, for the company, its segments and sellers.

Belongs here: the tables forecasts, forecast_quantiles and conversion_drift.
Does not belong here: the draws (forecast), their scores (scores).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.baselines import OpenDeals, of_open_deals, of_revenue, turned_out
from analysis.forecast import N_PERIODS, Draws, draw
from analysis.goals import Goals
from analysis.intervals import Floats, Integers
from analysis.outlook import MIN_WINS, Outlook
from analysis.scores import LEVELS
from analysis.selling_days import Days
from analysis.stays import is_of

# What is read of pipeline_status.
OPEN_COLUMNS = ("deal_id", "cast(amount_base as double) as amount", "is_gone", "is_overdue",
                "is_without_next_step", "n_pushed", "last_pulled_on",
                "expected_close_on")  # fmt: skip
METHOD = {"interval_id": "p10_p90", "method_id": "markov_renewal"}


@dataclass
class Forecast:
    """The forecast of the day of `outlook`. `open_deals` has the OPEN_COLUMNS of pipeline_status;
    deals gone from the lists they stood on are not in it. `open_probability` is what the CRM gives
    deals in a stage.
    """

    outlook: Outlook
    open_deals: pd.DataFrame
    goals: Goals
    random: np.random.Generator
    open_probability: Mapping[tuple[str, str | None], float] = field(default_factory=dict)

    @cached_property
    def rows(self) -> Integers:
        """The open stays whose deals are still there."""
        ids = self.outlook.stays.journeys[self.outlook.stays.journey[self.outlook.open_rows]]
        place = self._place_of(ids)
        # What stands in no list of open deals (place -1) is gone as well.
        is_gone = np.append(self.open_deals["is_gone"].to_numpy(bool), True)
        return np.asarray(self.outlook.open_rows[~is_gone[place]])

    def _place_of(self, ids: Any) -> Integers:
        index = pd.Index(self.open_deals["deal_id"].astype(object))
        return np.asarray(index.get_indexer(pd.Index(ids, dtype=object)))

    @cached_property
    def amount(self) -> Floats:
        """What the deals of `rows` are worth now; nan if unknown."""
        ids = self.outlook.stays.journeys[self.outlook.stays.journey[self.rows]]
        return np.asarray(self.open_deals["amount"].to_numpy(float)[self._place_of(ids)])

    @cached_property
    def draws(self) -> Draws:
        return draw(self.outlook, self.rows, self.amount, self.random)

    @cached_property
    def probability(self) -> Floats:
        """The CRM's probability of the stage that each deal of `rows` is in; nan without one."""
        stays = self.outlook.stays
        keys = [self.open_probability.get(state, np.nan) for state in stays.states]
        return np.asarray(np.array([*keys, np.nan], dtype=float)[stays.state[self.rows]])

    @cached_property
    def expected_on(self) -> Days:
        """The day that each deal of `rows` is expected to close."""
        ids = self.outlook.stays.journeys[self.outlook.stays.journey[self.rows]]
        days = self.open_deals["expected_close_on"].to_numpy("datetime64[D]")
        return np.asarray(days[self._place_of(ids)])

    @cached_property
    def turned_out(self) -> list[Floats | None]:
        return turned_out(self.outlook.stays)

    @property
    def reason(self) -> str | None:
        """Why nothing is forecast; None if it is."""
        if not len(self.outlook.ages.rows):
            return "no_dates"
        return "too_few_wins" if self.outlook.n_wins < MIN_WINS else None

    def booked_of(self, scope: str, scope_id: str | None) -> Floats:
        """Amounts won this quarter by a scope; a seller's are those owned when they were won."""
        rows, amount = self.outlook.booked
        return np.asarray(amount[is_of(self.outlook.stays, rows, scope, scope_id, has_left=True)])

    def total(self, place: int, period: int) -> Floats:
        """Draws of what a scope wins in a period, what is booked included."""
        draws = self.draws
        money = draws.open_amount[:, place, period] + draws.new_amount[:, place, period]
        scope = draws.scopes[place]
        is_now = period == 0
        return np.asarray(
            money + (np.nansum(self.booked_of(*scope)) if is_now else 0.0), dtype=float
        )


def forecast_tables(forecast: Forecast) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Tables forecasts, forecast_quantiles and conversion_drift."""
    scopes = forecast.draws.scopes if forecast.reason is None else (("company", None),)
    rows, quantiles = [], []
    for place, (scope, scope_id) in enumerate(scopes):
        is_told = forecast.reason is None and _n_wins(forecast, scope, scope_id) >= MIN_WINS
        for period in range(N_PERIODS):
            row = _row(forecast, scope, scope_id, period)
            reason = forecast.reason or (None if is_told else "too_few_wins")
            rows.append({**row, **_drawn(forecast, place, period, row, is_told), "reason": reason})
        if is_told and scope != "seller":
            quantiles += _distributions(forecast, place)
    empty = pd.DataFrame({name: [] for name in ("forecaster", "scope", "scope_id",
                          "period_start_on", "part", "level_rate", "amount")})  # fmt: skip
    facts = _facts(forecast)
    return (
        pd.DataFrame(rows).assign(**facts, is_drifting=forecast.outlook.drift.is_drifting),
        pd.concat([empty, *quantiles], ignore_index=True).assign(**facts),
        drift_table(forecast.outlook),
    )


def _facts(forecast: Forecast) -> dict[str, Any]:
    outlook = forecast.outlook
    return {
        "definition_id": "won_amount",
        "n_mature": len(outlook.ages.rows),
        "n_events": outlook.n_wins,
        **METHOD,
        "as_of": outlook.stays.as_of,
    }


def _n_wins(forecast: Forecast, scope: str, scope_id: str | None) -> int:
    wins = forecast.outlook.stays.wins
    return int(is_of(forecast.outlook.stays, wins, scope, scope_id).sum())


def _row(forecast: Forecast, scope: str, scope_id: str | None, number: int) -> dict[str, Any]:
    """What is known of a scope and period without a forecast."""
    period = forecast.outlook.periods[number]
    goal = forecast.goals.of(scope, scope_id, period)
    mine = is_of(forecast.outlook.stays, forecast.rows, scope, scope_id)
    amounts = forecast.booked_of(scope, scope_id) if number == 0 else np.array([])
    return {
        "scope": scope,
        "scope_id": scope_id,
        "period_start_on": period.start,
        "period_end_on": period.end,
        "goal_amount": goal.amount,
        "goal_basis": goal.basis,
        "booked_amount": float(np.nansum(amounts)),
        "n_booked": len(amounts),
        "n_booked_without_amount": int(np.isnan(amounts).sum()),
        "n_open_deals": int(mine.sum()),
        "open_amount": float(np.nansum(forecast.amount[mine])),
        "n_open_without_amount": int(np.isnan(forecast.amount[mine]).sum()),
    }


def _drawn(
    forecast: Forecast, place: int, period: int, row: dict[str, Any], is_told: bool
) -> dict[str, Any]:
    names = ("amount", "open_part_amount", "new_part_amount", "won_deals")
    if not is_told:
        nothing = {
            f"{p}_{name}": np.nan for name in names for p in ("expected", "p10", "p50", "p90")
        }
        return {**nothing, "reach_goal_rate": np.nan}
    draws, total = forecast.draws, forecast.total(place, period)
    parts = (
        total,
        draws.open_amount[:, place, period],
        draws.new_amount[:, place, period],
        draws.n_won[:, place, period] + row["n_booked"],
    )
    told: dict[str, Any] = {}
    for name, values in zip(names, parts, strict=True):
        told[f"expected_{name}"] = float(np.mean(values, dtype=float))
        levels = np.quantile(values, (0.1, 0.5, 0.9), method="inverted_cdf")
        told |= {f"p{p}_{name}": float(at) for p, at in zip((10, 50, 90), levels, strict=True)}
    goal = row["goal_amount"]
    told["reach_goal_rate"] = np.nan if np.isnan(goal) else float((total >= goal).mean())
    return told


def _distributions(forecast: Forecast, place: int) -> list[pd.DataFrame]:
    """Our draws of a scope and those of others, as quantiles."""
    outlook, draws, random = forecast.outlook, forecast.draws, forecast.random
    scope = draws.scopes[place]
    periods, mine = outlook.periods, is_of(outlook.stays, forecast.rows, *scope)
    booked = [float(np.nansum(forecast.booked_of(*scope))), 0.0]
    tables = []

    def tell(forecaster: str, part: str, period: int, values: Floats) -> None:
        tables.append(_quantiles(scope, forecaster, part, periods[period].start, values))

    mean = outlook.mean_amount
    worth = forecast.amount[mine]
    worth = np.where(np.isnan(worth), mean[outlook.stays.kind[forecast.rows[mine]]], worth)
    deals = OpenDeals(
        forecast.rows[mine], worth, forecast.probability[mine], forecast.expected_on[mine]
    )
    of_deals = of_open_deals(outlook.stays, forecast.turned_out, deals, periods, random)
    of_others = of_revenue(outlook.stays, outlook.days, periods, scope, random)
    for period in range(N_PERIODS):
        tell("mellantid", "total", period, forecast.total(place, period))
        tell("mellantid", "open", period, draws.open_amount[:, place, period])
        new = random.permutation(draws.new_amount[:, place, period])
        for name, each in of_deals.items():
            tell(name, "open", period, each[period])
            tell(name, "total", period, each[period] + new[: len(each[period])] + booked[period])
        for name, each in of_others.items():
            tell(name, "total", period, each[period] + booked[period])
    return tables


def _quantiles(
    scope: tuple[str, str | None],
    forecaster: str,
    part: str,
    start: np.datetime64,
    values: Floats,
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "forecaster": forecaster,
            "scope": scope[0],
            "scope_id": scope[1],
            "period_start_on": start,
            "part": part,
            "level_rate": LEVELS,
            "amount": np.quantile(values, LEVELS, method="inverted_cdf").astype(float),
        }
    )


def drift_table(outlook: Outlook) -> pd.DataFrame:
    """Table conversion_drift: of each stage and of all, how the odds change in a year."""
    drift, stays = outlook.drift, outlook.stays
    low, high = drift.bounds()
    states: list[tuple[str | None, str | None]] = [*stays.states, (None, None)]
    counts = np.bincount(stays.state[outlook.ages.rows], minlength=len(stays.states))
    with np.errstate(over="ignore"):
        odds = [np.exp(np.clip(values, -20, 20)) for values in (drift.slope, low, high)]
    return pd.DataFrame(
        {
            "pipeline_id": [pipeline for pipeline, _ in states],
            "stage_id": [stage for _, stage in states],
            "is_of_all": [False] * len(stays.states) + [True],
            "definition_id": "forward_or_lost",
            "n_mature": [*counts, counts.sum()],
            "n_events": drift.n,
            "odds_times_a_year": odds[0],
            "low_odds_times_a_year": odds[1],
            "high_odds_times_a_year": odds[2],
            "p_value": drift.chance,
            "is_drifting": [*drift.of_states, drift.is_drifting],
            "interval_id": "clustered_t_95",
            "method_id": "cox_score_by_account",
            "as_of": stays.as_of,
        }
    )
