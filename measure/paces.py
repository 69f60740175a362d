"""Whether a pace brings what it promises: the closed form, and safe paces followed for a year.

Belongs here: the trials.
Does not belong here: what is drawn (`pipelines`), the document (`tocome`).
"""

from concurrent.futures import ProcessPoolExecutor
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from analysis.goals import Goal
from analysis.outlook import Outlook, quarters
from analysis.plan import SAFE, Plan, Scope
from analysis.renewal import SPANS, Hazards, won_within
from analysis.stays import LOST, WON, Stays, won_between
from measure.pipelines import Company, stays
from measure.tables import table_of

TEXT = """
## Pace

One stage, exponential lag of L selling days, steady entries: wins within 180 days by renewal, less
the closed form x p (T − L (1 − e^(−T/L))), in per cent of it: {closed}.

Plans of {day} for goals of four quarters, a tenth more than what the year before brought; then
a year in which so many new deals come as the plan says, their fates drawn anew. Share of {n}
companies a size that reach the goals together ({safe:.0%} is promised of the safe pace), ± its
standard error; and the mean of `safe_times`.

{paces}
"""
DAY = np.datetime64("2024-01-01")


def closed_form() -> str:
    told = []
    for lag in (30.0, 60.0, 120.0):
        chance = np.array([0.3, 0.7]) / lag
        of_move = np.repeat(chance[None, None, :, None], len(SPANS), axis=3)
        hazards = Hazards(np.array([0, 0]), np.array([WON, LOST]), of_move, 1)
        won = won_within(hazards, 180)[0, 0, 0]
        expected = 0.3 * (180 - lag * (1 - np.exp(-180 / lag)))
        wins = won[:180].sum() + won[180] / 2
        told.append(f"L = {lag:.0f}: {100 * (wins / expected - 1):+.2f}")
    return ", ".join(told)


def one_pace(seed: int, deals_a_year: float) -> tuple[bool, bool, float] | None:
    """Whether the goals were reached at the safe pace, and at the plain one; the multiplier."""
    random = np.random.default_rng(seed)
    company = Company(deals_a_year, years=4)
    truth = Stays.of(stays(random, company), date(2100, 1, 1))
    then = truth.at(DAY)
    outlook = Outlook(then, "SE", random)
    rows = outlook.open_rows
    plan = Plan(outlook, rows, then.amount[rows], random)
    every = np.ones(len(outlook.arrivals[0]), dtype=bool)
    periods = quarters(DAY, 4)
    year = won_between(then, DAY - 365, DAY)[1].sum()
    goals = tuple(Goal(float(1.1 * year / 4), "stated", DAY) for _ in periods)
    scope = Scope("company", None, np.ones(len(rows), dtype=bool), every, 0.0, goals)
    solution = plan.solve(scope)
    safe = plan.safe_times(scope, solution) if solution else np.nan
    if solution is None or np.isnan(safe):
        return None
    reached = []
    for times in (safe, 1.0):
        money = _followed(random, truth, then, company, solution.times * solution.usual * times)
        reached.append(money >= sum(goal.amount for goal in goals))
    return reached[0], reached[1], safe


def _followed(
    random: np.random.Generator, truth: Stays, then: Stays, company: Company, per_quarter: Any
) -> float:
    """Money won in the year by deals that were open, and by so many new ones each quarter."""
    ends = quarters(DAY, 4)
    end = ends[-1].end
    was_open = np.isin(truth.journey, np.unique(truth.journey[(truth.entered <= DAY)
                                                              & (truth.left > DAY)]))  # fmt: skip
    mine = truth.take(was_open)
    money = float(np.nansum(won_between(mine, DAY + 1, end)[1]))
    starts: list[Any] = []
    for period, n in zip(ends, per_quarter, strict=True):
        days = np.arange(max(period.start, DAY + 1), period.end + 1)
        working = days[np.is_busday(days)]
        starts.append(np.sort(random.choice(working, int(random.poisson(n)))))
    entered = np.concatenate(starts)
    if len(entered):
        new = Stays.of(stays(random, company, entered), date(2100, 1, 1))
        money += float(np.nansum(won_between(new, DAY + 1, end)[1]))
    return money


def of_pace(n: int, pool: ProcessPoolExecutor) -> str:
    rows = []
    for size in (30, 100, 300):
        told = [one for one in pool.map(one_pace, range(n), [size] * n) if one]
        frame = pd.DataFrame(told, columns=["safe", "plain", "times"]).astype(float)
        error = np.sqrt(frame["safe"].mean() * (1 - frame["safe"].mean()) / len(frame))
        share = f"{100 * frame['safe'].mean():.1f} ± {100 * error:.1f}"
        plain = f"{100 * frame['plain'].mean():.1f}"
        rows.append([f"{size:,}", len(frame), share, plain, f"{frame['times'].mean():.2f}"])
    head = ["deals a year", "plans", "safe pace, %", "plain pace, %", "times"]
    return TEXT.format(closed=closed_form(), day=DAY, n=n, safe=SAFE, paces=table_of(head, rows))
