"""Holds forecasts, paces and check-ins against known truth, and forecasts against others'.

Belongs here: the trials of `make calibrate` about what is to come, docs/calibration-forecasts.md.
Does not belong here: what is drawn (`pipelines`); assertions, which tests make of fewer.
"""

import os
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.baselines import OpenDeals, of_open_deals, of_revenue, turned_out
from analysis.drift import FALSE_ALARMS, Drift
from analysis.focus import focus
from analysis.forecast import Draws, draw
from analysis.intervals import Floats
from analysis.outlook import MIN_WINS, Outlook
from analysis.scores import LEVELS, crps
from analysis.stays import Stays, won_between
from measure.paces import of_pace
from measure.pipelines import Company, stays
from measure.realdata import SETS, real_stays
from measure.tables import table_of

DOCUMENT = Path(__file__).parents[1] / "docs" / "calibration-forecasts.md"
ORIGINS = [
    np.datetime64(f"{year}-{month:02d}-01") for year in (2023, 2024) for month in (1, 4, 7, 10)
]
AT = np.datetime64("2024-12-31")
QUALITIES = ("good", "stale", "inflated")
NAMES = {
    "mellantid": "Mellantid",
    "crm_probabilities": "CRM probabilities",
    "crm_recalibrated": "the same, recalibrated",
    "run_rate": "run rate",
    "last_year": "last year",
}
HEAD = """\
# Calibration of forecasts, paces and check-ins

Of invented companies whose true rates are known (`measure/pipelines.py`): five stages,
log-normal stays, three segments, large deals won less often, accounts with several deals. Nothing
of it has the form that is fitted. Written by `measure/tocome.py` (`make calibrate`) on {day}:
{n} companies a size, {cores} cores, {minutes:.0f} minutes. `make test` asks the same of fewer.
"""
FORECASTS = """
## Forecasts

Made on the first day of each of eight quarters that do not overlap, from what was known then.
PIT: share of outcomes between P10 and P90 (80 % is right), ± its standard error, companies
being independent and quarters of one not. Slope: of a logistic regression of whether a goal was
reached on the log-odds of the forecast's chance for it (1 is right); goals lie between 0.6 and
1.5 times the median forecast.

{pit}
Mean CRPS in thousands, less is better, and in brackets the mean error of the median; by what the
CRM's probabilities and close dates are worth. Differences are theirs less ours, with 95 % intervals
clustered by company.

{crps}
"""
DRIFT = """
## Drift

Share of {n} companies in which a change is reported (the false-alarm rate is set to
{alarm:.0%}), and the mean error of the quarter's median forecast in per cent of what was won,
moves counting by what has changed since where a change is reported, and never.

{drift}
"""
FOCUS = """
## Focus

{n} companies of 1,200 deals a year and six sellers, looked at once. *Cell*: one seller converts
half as often in one stage (about 55 exits); *stage*: everybody does, in that stage.

{focus}
"""


REAL = """
## Real data

Maven's quarters of 2017, and BPI 2012's loans from the first of each month to its quarter's end,
each from what had happened by then (thousands). Neither has stage probabilities, nor a year before.

{real}
"""


def _tell(stays_then: Stays, random: np.random.Generator, weighed: bool = True) -> Any:
    outlook = Outlook(stays_then, "SE", random, is_weighed=weighed)
    if outlook.n_wins < MIN_WINS:
        return None
    rows = outlook.open_rows
    draws = draw(outlook, rows, stays_then.amount[rows], random)
    return outlook, rows, draws, float(np.nansum(outlook.booked[1]))


def one_company(seed: int, deals_a_year: float, quality: str) -> list[dict[str, Any]]:
    """Of each origin: the outcome, where it lies, each forecaster's CRPS and error."""
    random = np.random.default_rng(seed)
    truth = Stays.of(stays(random, Company(deals_a_year)), date(2100, 1, 1))
    told = [scored_at(truth, origin, random, quality) for origin in ORIGINS]
    return [{**row, "company": seed} for row in told if row]


def scored_at(
    truth: Stays, origin: np.datetime64, random: np.random.Generator, quality: str | None = None
) -> dict[str, Any] | None:
    """Forecasts of the quarter of `origin` and what came; None where nothing is forecast."""
    then = truth.at(origin)
    found = _tell(then, random)
    if found is None:
        return None
    outlook, rows, draws, had = found
    period = outlook.periods[0]
    won = float(np.nansum(won_between(truth, period.start, period.end)[1]))
    total = had + draws.open_amount[:, 0, 0] + draws.new_amount[:, 0, 0]
    goal = float(np.median(total)) * random.uniform(0.6, 1.5)
    below, equal = np.mean(total < won - 0.5), np.mean(np.abs(total - won) <= 0.5)
    row = {
        "origin": origin,
        "won": won,
        "goal": won >= goal,
        "chance": float((total >= goal).mean()),
        "pit": float(below + random.random() * equal),
    }
    probability, expected = np.full(len(rows), np.nan), np.full(len(rows), np.datetime64("NaT"))
    if quality:
        probability, expected = _crm(truth, then, rows, quality, random)
    deals = OpenDeals(rows, then.amount[rows], probability, expected)
    for name, quantiles in _told(outlook, deals, draws, had, random).items():
        row[name] = crps(quantiles, won)
        row[f"error {name}"] = float(quantiles[49] - won)
        row[f"within {name}"] = bool(quantiles[9] <= won <= quantiles[89])
    return row


def _told(
    outlook: Outlook, deals: OpenDeals, draws: Draws, had: float, random: np.random.Generator
) -> dict[str, Floats]:
    """Quantiles of this quarter, of all forecasters."""
    then, periods = outlook.stays, outlook.periods
    found = {"mellantid": had + draws.open_amount[:, 0, 0] + draws.new_amount[:, 0, 0]}
    new = random.permutation(draws.new_amount[:, 0, 0])
    mean = outlook.mean_amount[then.kind[deals.rows]]
    deals = replace(deals, worth=np.where(np.isnan(deals.worth), mean, deals.worth))
    for name, each in of_open_deals(then, turned_out(then), deals, periods, random).items():
        found[name] = had + each[0] + new[: len(each[0])]
    of_money = of_revenue(then, outlook.days, periods, ("company", None), random)
    found.update({name: had + each[0] for name, each in of_money.items()})
    return {
        name: np.quantile(values, LEVELS, method="inverted_cdf").astype(float)
        for name, values in found.items()
    }


def _crm(
    truth: Stays, then: Stays, rows: Any, quality: str, random: np.random.Generator
) -> tuple[Floats, Any]:
    """Probabilities and close dates as the CRM has them.

    Good: the stage's true share, and the day the deal really ends give or take a month. Stale: the
    same share, and a date set when the deal began. Inflated: one and a half times the share.
    """
    share = np.array([0.24, 0.37, 0.49, 0.58, 0.76])
    stage = np.array([int(str(name).split()[1]) for _, name in then.states])
    probability = share[stage[then.state[rows]]]
    if quality == "inflated":
        probability = np.minimum(1.5 * probability, 0.95)
    if quality == "stale":
        begun = pd.Series(then.entered).groupby(then.journey).min()
        first: Any = begun.reindex(then.journey[rows]).to_numpy("datetime64[D]")
        return probability, first + random.integers(60, 180, len(rows))
    ends = pd.Series(truth.left).groupby(truth.journey).max()
    # The same deals, by their first stay: numbers of journeys differ between the two.
    place = pd.Index(truth.journeys).get_indexer(pd.Index(then.journeys[then.journey[rows]]))
    end: Any = ends.reindex(place).to_numpy("datetime64[D]")
    return probability, np.maximum(end + random.integers(-30, 31, len(rows)), then.as_of)


def clustered(frame: pd.DataFrame, values: Any) -> tuple[float, float]:
    """Mean, and its standard error by company."""
    mean = float(np.mean(values))
    sums = (
        pd.Series(np.asarray(values, dtype=float) - mean).groupby(frame["company"].to_numpy()).sum()
    )
    return mean, float(np.sqrt((sums**2).sum()) / len(values))


def slope(frame: pd.DataFrame) -> float:
    """Of whether the goal was reached on the log-odds of the chance told (Newton's method)."""
    chance = frame["chance"].clip(0.002, 0.998)
    x = np.stack([np.ones(len(frame)), np.log(chance / (1 - chance))], axis=1)
    y, beta = frame["goal"].to_numpy(float), np.array([0.0, 1.0])
    for _ in range(25):
        p = 1 / (1 + np.exp(-x @ beta))
        beta = beta + np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x, x.T @ (y - p))
    return float(beta[1])


def of_forecasts(n: int, pool: ProcessPoolExecutor) -> str:
    pit_rows, crps_rows = [], []
    for size in (30, 100, 300, 1_000):
        frames = {}
        for quality in QUALITIES if size == 300 else ("good",):
            jobs = pool.map(one_company, range(n), [size] * n, [quality] * n)
            frames[quality] = pd.DataFrame([row for told in jobs for row in told])
        frame = frames["good"]
        share, error = clustered(frame, frame["pit"].between(0.1, 0.9))
        low, high = ((frame["pit"] < 0.1).mean(), (frame["pit"] > 0.9).mean())
        within = f"{100 * share:.1f} ± {100 * error:.1f}"
        pit_rows.append([f"{size:,}", len(frame), within, f"{100 * low:.1f}", f"{100 * high:.1f}",
                         f"{slope(frame):.2f}"])  # fmt: skip
        for quality, found in frames.items():
            crps_rows += _compared(size, quality, found)
    return FORECASTS.format(
        pit=table_of(
            [
                "deals a year",
                "forecasts",
                "within, %",
                "below P10",
                "above P90",
                "slope of P(goal)",
            ],
            pit_rows,
        ),
        crps=table_of(
            ["deals a year", "CRM", "forecaster", "CRPS (error)", "more than ours"], crps_rows
        ),
    )


def _compared(size: int, quality: str, frame: pd.DataFrame) -> list[list[Any]]:
    rows = []
    for name, label in NAMES.items():
        if name not in frame:
            continue
        both = frame[frame[name].notna()]
        difference, error = clustered(both, both[name] - both["mellantid"])
        apart = "" if name == "mellantid" else (
            f"{difference / 1e3:+,.0f} ({(difference - 1.96 * error) / 1e3:+,.0f} to "
            f"{(difference + 1.96 * error) / 1e3:+,.0f})")  # fmt: skip
        rows.append([f"{size:,}", quality, label,
                     f"{both[name].mean() / 1e3:,.0f} ({both[f'error {name}'].mean() / 1e3:+,.0f})",
                     apart])  # fmt: skip
    return rows


def one_drift(seed: int, deals_a_year: float, change: float) -> tuple[bool, float, float, float]:
    """Whether it is reported; errors of the forecast, weighed if it is, and never; money won."""
    random = np.random.default_rng(seed)
    company = Company(deals_a_year, log_odds_a_year=change)
    truth = Stays.of(stays(random, company), date(2100, 1, 1))
    then = truth.at(np.datetime64("2024-10-01"))
    errors = []
    for weighed in (True, False):
        outlook, _, draws, had = _tell(then, np.random.default_rng(seed), weighed)
        total = had + draws.open_amount[:, 0, 0] + draws.new_amount[:, 0, 0]
        period = outlook.periods[0]
        won = np.nansum(won_between(truth, period.start, period.end)[1])
        errors.append(float(np.median(total) - won))
    late = truth.at(AT)
    outlook = Outlook(late, "SE", random)
    return Drift.of(late, outlook.ages).is_drifting, errors[0], errors[1], float(won)


def of_drift(n: int, pool: ProcessPoolExecutor) -> str:
    rows = []
    for label, change, size in (("none", 0.0, 1_000), ("none", 0.0, 300),
                                ("a third of wins", -0.25, 2_000),
                                ("a third of wins", -0.25, 1_000),
                                ("half of wins", -0.5, 1_000)):  # fmt: skip
        told = list(pool.map(one_drift, range(n), [size] * n, [change] * n))
        reported, weighed, plain, won = (np.array(values) for values in zip(*told, strict=True))
        errors = [f"{100 * one.sum() / won.sum():+.1f}" for one in (weighed, plain)]
        rows.append([label, f"{size:,}", f"{100 * reported.mean():.1f} %", *errors])
    head = ["lost within the year", "deals a year", "reported", "error, weighed", "error, not"]
    return DRIFT.format(n=n, alarm=FALSE_ALARMS, drift=table_of(head, rows))


def one_focus(seed: int, halved: dict[Any, float]) -> list[tuple[str, Any, Any]]:
    random = np.random.default_rng(seed)
    truth = Stays.of(stays(random, Company(1_200, halved=halved)), date(2100, 1, 1))
    table = focus(Outlook(truth.at(AT), "SE", random))
    return [(row.dimension, row.dimension_value, row.stage_id) for row in table.itertuples()]


def of_focus(n: int, pool: ProcessPoolExecutor) -> str:
    rows = []
    for label, halved in (("nothing", {}), ("cell", {(1, 2): -1.6}), ("stage", {1: -1.6})):
        found = list(pool.map(one_focus, range(n), [halved] * n))
        first = [one[0] if one else (None, None, None) for one in found]

        def share(values: Any) -> str:
            return f"{100 * np.mean(list(values)):.1f} %"

        rows.append([label, share(one == ("seller", "s2", "stage 1") for one in first),
                     share(one == ("stage", None, "stage 1") for one in first),
                     share("seller" in {kind for kind, *_ in one} for one in found)])  # fmt: skip
    head = ["halved", "the cell comes first", "the stage comes first", "a seller is named"]
    return FOCUS.format(n=n, focus=table_of(head, rows))


def of_real() -> str:
    """The same of real data sets, quarter by quarter."""
    rows = []
    for name in SETS:
        found = real_stays(name)
        if found is None:
            continue
        truth, origins = found
        random = np.random.default_rng(1)
        for row in (scored_at(truth, origin, random) for origin in origins):
            if row:
                scores = [f"{row[f] / 1e3:,.0f}" if f in row else "–" for f in list(NAMES)[:1]
                          + list(NAMES)[2:]]  # fmt: skip
                rows.append([name, row["origin"], f"{row['won'] / 1e3:,.0f}",
                             f"{(row['error mellantid'] + row['won']) / 1e3:,.0f}",
                             "yes" if row["within mellantid"] else "no", *scores])  # fmt: skip
    head = ["data", "origin", "won", "P50", "within P10–P90",
            *(f"CRPS: {NAMES[name]}" for name in list(NAMES)[:1] + list(NAMES)[2:])]  # fmt: skip
    return REAL.format(real=table_of(head, rows))


def main(n: int) -> None:
    warnings.simplefilter("ignore")
    begin = time.monotonic()
    with ProcessPoolExecutor(2) as pool:
        parts = [of_forecasts(n, pool), of_drift(n // 2, pool), of_pace(n, pool), of_focus(n, pool)]
    parts.append(of_real())
    head = HEAD.format(
        day=date.today(), n=n, cores=os.cpu_count(), minutes=(time.monotonic() - begin) / 60
    )
    DOCUMENT.write_text("".join([head, *parts]), encoding="utf-8")
    print(DOCUMENT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
