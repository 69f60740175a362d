"""Whether stages fill or drain, whether the pipe is large enough, until when a new lead can help.

Belongs here: the tables stage_balance, pipe_coverage and last_useful_days.
Does not belong here: paces (pace), forecasts.
"""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri, pdtr

from analysis.entries import LAST_DAY, Entries, Groups
from analysis.forecasts import Forecast
from analysis.incidence import cumulative_incidence
from analysis.intervals import Floats, Integers
from analysis.outlook import MIN_WINS, Outlook, Period, quarters
from analysis.renewal import LAST_AGE
from analysis.stays import Stays, won_between

# Selling days in which what comes in is set against what goes out: two months.
WINDOW = 40
# How often chance alone makes one of the stages of an even company stand out.
CHANCE = 0.05
MIN_EXPECTED = 5
# Quarters that coverage is compared with, and the fewest.
N_PAST, MIN_PAST = 8, 3
# A new lead is of use while a tenth of those that will ever be won can be by the quarter's end.
OF_ALL = 0.1


def stage_balance(outlook: Outlook) -> pd.DataFrame:
    """Table stage_balance: per stage, what came in and went out in the last WINDOW selling days."""
    stays, days = outlook.stays, outlook.days
    state = stays.state
    n = len(stays.states)
    since = outlook.today - WINDOW
    entered, left = days.by(stays.entered), days.by(np.minimum(stays.left, stays.as_of))
    n_in = np.bincount(state[entered > since], minlength=n)
    went = (left > since) & ~stays.is_open
    n_out = np.bincount(state[went], minlength=n)
    n_open = np.bincount(state[stays.is_open], minlength=n)
    expected = _expected_to_leave(outlook, since) if n else np.zeros(0)
    n_tested = max(int((expected >= MIN_EXPECTED).sum()), 1)
    z_of_all, rare = ndtri(1 - CHANCE / 2 / n_tested), CHANCE / 2 / n_tested
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (n_in - n_out) / np.sqrt(n_in + n_out)
    is_enough = (n_in + n_out >= 2 * MIN_EXPECTED) | (expected >= MIN_EXPECTED)
    is_stale = (expected >= MIN_EXPECTED) & (pdtr(n_out, np.maximum(expected, 1e-9)) < rare)
    balance = np.select(
        [~is_enough, is_stale, z > z_of_all, z < -z_of_all],
        ["too_few", "stale", "filling", "draining"],
        "even",
    )
    return pd.DataFrame({
        "pipeline_id": [pipeline for pipeline, _ in stays.states],
        "stage_id": [stage for _, stage in stays.states],
        "n_in": n_in,
        "n_out": n_out,
        "n_open": n_open,
        "expected_out": expected,
        "balance": balance,
        "definition_id": "moves_in_40_selling_days",
        "n_mature": np.bincount(state[outlook.ages.rows], minlength=n),
        "n_events": n_in + n_out,
        "interval_id": "poisson_95",
        "method_id": "markov_renewal",
        "as_of": stays.as_of,
    })  # fmt: skip


def _expected_to_leave(outlook: Outlook, since: int) -> Floats:
    """How many of each state's stays leave in the window, by what such stays do at their ages."""
    stays, rows = outlook.stays, outlook.ages.rows
    hazards = outlook.expected
    daily = hazards.by_state(hazards.daily(np.arange(1, LAST_AGE + 1)))[:, 0]
    chances = np.concatenate([np.zeros((*daily.shape[:2], 1)), np.cumsum(daily, axis=-1)], axis=-1)
    entered = outlook.days.by(stays.entered[rows])
    begin = np.clip(since - entered, outlook.ages.late, outlook.ages.end)
    kind, state = stays.kind[rows], stays.state[rows]
    expected = chances[kind, state, outlook.ages.end] - chances[kind, state, begin]
    return np.asarray(np.bincount(state, expected, len(stays.states)), dtype=float)


# --- coverage ------------------------------------------------------------------------------------


def pipe_coverage(forecast: Forecast) -> pd.DataFrame:
    """Table pipe_coverage: open money per krona still to win, for this quarter and the next, from
    each stage on; and what quarters before had on their day.
    """
    outlook = forecast.outlook
    tables = [
        _coverage(forecast, number, pipeline, rank, stage)
        for number in (0, 1)
        for pipeline, rank, stage in _froms(outlook.stays)
    ]
    return pd.DataFrame(tables).assign(
        definition_id="open_amount_per_amount_to_win",
        n_mature=len(outlook.ages.rows),
        n_events=outlook.n_wins,
        interval_id="past_range",
        method_id="same_day_of_quarter",
        as_of=outlook.stays.as_of,
    )


def _froms(stays: Stays) -> list[tuple[str | None, float, str | None]]:
    """All open deals; and of each pipeline those in a stage or beyond."""
    found: list[tuple[str | None, float, str | None]] = [(None, -np.inf, None)]
    recent = np.bincount(stays.state[stays.is_open], minlength=len(stays.states)) > 0
    found += [
        (pipeline, float(rank), stage)
        for (pipeline, stage), rank, used in zip(stays.states, stays.rank, recent, strict=True)
        if used and stage is not None
    ]
    return found


def _coverage(
    forecast: Forecast, number: int, pipeline: str | None, rank: float, stage: str | None
) -> dict[str, Any]:
    outlook, stays = forecast.outlook, forecast.outlook.stays
    period = outlook.periods[number]
    goal = forecast.goals.of("company", None, period)
    mine = _is_from(stays, forecast.rows, pipeline, rank)
    open_amount = float(np.nansum(forecast.amount[mine]))
    booked = float(np.nansum(forecast.outlook.booked[1])) if number == 0 else 0.0
    to_win = goal.amount - booked
    past = _past(stays, number, outlook.periods[0], pipeline, rank)
    usual = np.median(past) if len(past) >= MIN_PAST else np.nan
    is_open = not np.isnan(to_win) and to_win > 0
    coverage = open_amount / to_win if is_open else np.nan
    return {
        "period_start_on": period.start,
        "pipeline_id": pipeline,
        "from_stage_id": stage,
        "open_amount": open_amount,
        "to_win_amount": np.nan if np.isnan(to_win) else max(to_win, 0.0),
        "coverage_times": coverage,
        "n_past_quarters": len(past),
        "usual_coverage_times": usual,
        "lowest_coverage_times": past.min() if len(past) >= MIN_PAST else np.nan,
        "highest_coverage_times": past.max() if len(past) >= MIN_PAST else np.nan,
        "is_enough": None if np.isnan(coverage) or np.isnan(usual) else bool(coverage >= usual),
    }


def _past(stays: Stays, number: int, now: Period, pipeline: str | None, rank: float) -> Floats:
    """Of quarters before, the open money on the same day of theirs per krona won from then on."""
    into = (stays.as_of - now.start).astype(int)
    ratios = []
    month = now.start.astype("datetime64[M]")
    for ago in range(1, N_PAST + 1):
        start = (month - 3 * ago).astype("datetime64[D]")
        two = quarters(start, 2)
        day = min(start + into, two[0].end)
        if day <= stays.entered.min(initial=day) + 180 or two[number].end > stays.as_of:
            continue
        rows = stays.open_at(day)
        rows = rows[_is_from(stays, rows, pipeline, rank)]
        _, won = won_between(stays, max(day + 1, two[number].start), two[number].end)
        if np.nansum(won) > 0:
            ratios.append(float(np.nansum(stays.amount[rows]) / np.nansum(won)))
    return np.array(ratios)


def _is_from(stays: Stays, rows: Integers, pipeline: str | None, rank: float) -> Any:
    if pipeline is None:
        return np.ones(len(rows), dtype=bool)
    mine = np.array([name == pipeline for name, _ in stays.states]) & (stays.rank >= rank)
    return mine[stays.state[rows]]


# --- the last useful date ------------------------------------------------------------------------


def last_useful_days(entries: Entries, as_of: date) -> pd.DataFrame:
    """Table last_useful_days: per source, until when a new lead or deal can still help the quarter
    of the day. Of a company without deals there is nothing to say.

    Of those that are won within a year, OF_ALL must be within the days that are left.
    """
    period = quarters(np.datetime64(as_of, "D"), 1)[0]
    part = entries.of_pipelines
    kinds = part.codes["record_type"]
    every = _last_useful(part, Groups(record_type=kinds), period)
    of_sources = Groups(record_type=kinds, source=part.codes["source"])
    by_source = _last_useful(part, of_sources, period)
    table = pd.concat(
        [every.assign(dimension="all"), by_source.assign(dimension="source")], ignore_index=True
    )
    return table if kinds.are("deal").any() else table.iloc[:0]


def _last_useful(part: Entries, groups: Groups, period: Period) -> pd.DataFrame:
    timeline = part.timelines["recorded"]
    subjects, _ = timeline.competing_events(("won", "lost"), groups)
    last = LAST_DAY
    (won,) = cumulative_incidence(subjects, last, (1,))
    n_won = won.n_events[:, last]
    rate = np.maximum.accumulate(np.nan_to_num(won.rate, nan=-1.0), axis=1)
    total = rate.max(axis=1)
    needed = (rate >= OF_ALL * total[:, None] - 1e-12).argmax(axis=1)
    is_told = (n_won >= MIN_WINS) & (total > 0)
    on = period.end - needed
    source = groups.values.get("source")
    return pd.DataFrame({
        "record_type": groups.values["record_type"],
        "dimension_value": source if source is not None else np.full(groups.n, None),
        "period_end_on": period.end,
        "days_until_first_wins": np.where(is_told, needed.astype(float), np.nan),
        "last_useful_on": np.where(is_told, on, np.datetime64("NaT")),
        "definition_id": "won",
        "n_mature": groups.count(timeline.is_mature(last)),
        "n_events": n_won,
        "interval_id": "none",
        "method_id": "aalen_johansen",
        "as_of": part.as_of,
    })  # fmt: skip
