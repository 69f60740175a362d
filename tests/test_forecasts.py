"""Forecasts kept and scored: scoring rules, baselines, nothing of what came later."""

import csv
import gzip
import shutil
from collections import Counter
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import build, mart, raw

from analysis.baselines import OpenDeals, of_open_deals, of_revenue, turned_out
from analysis.estimates import Marts, time_to_come
from analysis.outlook import quarters
from analysis.scores import LEVELS, crps, forecast_scores, pinball, pit
from analysis.selling_days import SellingDays
from analysis.stays import Stays
from ingestion.home import Home
from ingestion.stored import DamagedFile
from measure import pipelines
from publishing.forecasts import Distribution, Forecasts, kept_forecasts
from publishing.frames import read_mart
from publishing.marts import opened
from simulation.histories import simulate
from simulation.home import write_home

DAY, ORIGIN = date(2026, 6, 30), date(2026, 4, 1)


def test_crps_equals_that_of_the_sample() -> None:
    """E|X − y| − E|X − X'| / 2, of 4,000 draws, in each corner of the distribution."""
    random = np.random.default_rng(1)
    draws = np.sort(random.gamma(2.0, 3.0, 4_000))
    amounts = np.quantile(draws, LEVELS)
    spread = np.abs(draws[:, None] - draws[None]).mean()
    for outcome in (0.5, 3.0, 6.0, 20.0):
        exact = np.abs(draws - outcome).mean() - spread / 2
        assert crps(amounts, outcome) == pytest.approx(exact, rel=0.03)
    assert pinball(10.0, 4.0, 0.9) == pytest.approx(0.6)
    assert pinball(10.0, 14.0, 0.9) == pytest.approx(3.6)


def test_pit_is_even_where_the_forecast_is_right() -> None:
    """Also of few deals, where many quantiles are the same: 0, 1 or 2 of them."""
    random = np.random.default_rng(1)
    for draw in (lambda n: random.normal(5, 2, n), lambda n: random.poisson(0.7, n) * 1.0):
        amounts = np.quantile(draw(100_000), LEVELS, method="inverted_cdf")
        told = [pit(amounts, value, random.random()) for value in draw(4_000)]
        counts, _ = np.histogram(told, bins=5, range=(0, 1))
        assert counts / 4_000 == pytest.approx(0.2, abs=0.03)


def truth(seed: int, deals_a_year: float) -> Stays:
    frame = pipelines.stays(np.random.default_rng(seed), pipelines.Company(deals_a_year))
    return Stays.of(frame, date(2100, 1, 1))


def test_baselines_are_what_they_say() -> None:
    stays = truth(5, 400).at(np.datetime64("2024-07-01"))
    rows = np.flatnonzero(stays.is_open)
    periods, random = quarters(stays.as_of, 2), np.random.default_rng(1)
    soon, later = periods[0].start - 5, periods[1].start
    expected = np.where(np.arange(len(rows)) % 2 == 0, soon, later)
    deals = OpenDeals(rows, stays.amount[rows], np.full(len(rows), 0.4), expected)
    told = of_open_deals(stays, turned_out(stays), deals, periods, random)
    for number, is_due in enumerate((expected == soon, expected == later)):
        assert told["crm_probabilities"][number].mean() == pytest.approx(
            0.4 * stays.amount[rows][is_due].sum(), rel=0.03
        )
    assert set(told) == {"crm_probabilities", "crm_recalibrated"}
    none = OpenDeals(rows, stays.amount[rows], np.full(len(rows), np.nan), expected)
    assert set(of_open_deals(stays, turned_out(stays), none, periods, random)) == {
        "crm_recalibrated"
    }
    days = SellingDays(stays.moved_on, stays.as_of, "SE")
    assert set(of_revenue(stays, days, periods, ("company", None), random)) == {
        "run_rate", "last_year",
    }  # fmt: skip
    young = truth(5, 400).at(np.datetime64("2020-11-01"))
    days = SellingDays(young.moved_on, young.as_of, "SE")
    assert of_revenue(young, days, quarters(young.as_of, 2), ("company", None), random) == {}


def test_scores_are_of_quarters_that_have_ended_and_of_deals_open_then() -> None:
    stays = truth(6, 200).at(np.datetime64("2024-12-31"))
    origin = np.datetime64("2024-07-01")
    head = {"basis": "as_known", "origin_on": origin, "forecaster": "mellantid",
            "scope": "company", "scope_id": None}  # fmt: skip
    kept = pd.DataFrame([
        {**head, "period_start_on": period.start, "period_end_on": period.end, "part": part,
         "amounts": list(LEVELS * 1e7)}
        for period in quarters(origin, 4) for part in ("total", "open")
    ])  # fmt: skip
    scores = forecast_scores(stays, kept).set_index(["period_start_on", "part"])
    assert len(scores) == 4  # of two quarters; the others have not ended
    for period in quarters(origin, 2):
        won = [
            (stays.left_amount[row], stays.entered[first] <= origin)
            for deal in np.unique(stays.journey)
            for first, row in [np.flatnonzero(stays.journey == deal)[[0, -1]]]
            if stays.to[row] == -2 and period.start <= stays.left[row] <= period.end
        ]
        assert scores.loc[(period.start, "total"), "won_amount"] == sum(a for a, _ in won)
        of_open = sum(amount for amount, was_open in won if was_open)
        first_day = sum(stays.left_amount[(stays.left == origin) & (stays.to == -2)])
        told = scores.loc[(period.start, "open"), "won_amount"]
        assert told == of_open - (first_day if period.start == origin else 0)
    assert scores["pit_rate"].between(0, 1).all()


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> list[Home]:
    """A company, and the same with everything else after ORIGIN: amounts, owners, stages, dates."""
    company = simulate(400, 3, DAY)
    folder = tmp_path_factory.mktemp("backtests")
    for name in ("one", "other"):
        write_home(company, folder / name)
        Home.at(folder / name).prepare()
    inbox = folder / "other" / "inbox"
    _alter_log(inbox / f"deal-property-history-{DAY}.csv.gz")
    _alter_list(inbox / f"hubspot-crm-exports-all-deals-{DAY}.csv")
    return [Home.at(folder / name) for name in ("one", "other")]


def _alter_log(path: Path) -> None:
    with gzip.open(path, "rt") as file:
        header, *rows = csv.reader(file)
    changed = [header]
    for number, row in enumerate(rows):
        is_later = row[6] >= (ORIGIN + timedelta(days=1)).isoformat()
        if is_later and row[1] == "dealstage" and number % 2:
            continue
        value = f"{float(row[2]) * 9:.0f}" if is_later and row[1] == "amount" else row[2]
        changed.append([*row[:2], value, *row[3:]])
    with gzip.open(path, "wt", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(changed)


def _alter_list(path: Path) -> None:
    with path.open() as file:
        header, *rows = csv.reader(file)
    place = {name: number for number, name in enumerate(header)}
    for row in rows:
        row[place["Segment"]] = "Mid"
        row[place["Original Traffic Source"]] = "Referrals"
        if row[place["Amount"]]:
            row[place["Amount"]] = "5000.0"
    with path.open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([header, *rows])


def test_what_is_recorded_after_the_origin_moves_no_backtest(homes: list[Home]) -> None:
    told, moves = [], []
    for home in homes:
        marts = build(home, ORIGIN, "as_reconstructed")
        read = Marts(partial(read_mart, opened(marts)), ORIGIN, "SE")
        tables = time_to_come(read, np.random.default_rng(1))
        told.append([mart(marts, "fct_stage_stays"), mart(marts, "pipeline_status"), *tables])
        moves.append(
            Counter(change["new_value"] for change in raw(marts)["deal_changes"]
                    if change["field"] == "stage_id")
        )  # fmt: skip
    for one, other in zip(*told, strict=True):
        pd.testing.assert_frame_equal(one, other)
    forecasts = told[0][2]
    assert forecasts["p50_amount"].iloc[0] > 0, "nothing was forecast: the test says nothing"
    # And the altered future, which landed too, is another one.
    assert moves[0] != moves[1]


def told_on(day: date, basis: str = "as_known") -> Forecasts:
    one = Distribution(
        forecaster="mellantid", scope="company", scope_id=None, period_start_on=date(2026, 1, 1),
        period_end_on=date(2026, 3, 31), part="total", amounts=[float(n) for n in range(99)],
    )  # fmt: skip
    return Forecasts(basis=basis, origin_on=day, forecasts=[one])


def test_kept_forecasts_are_of_days_before_and_damage_is_told(home: Home) -> None:
    for day, folder in ((date(2026, 1, 5), home.forecasts), (date(2026, 1, 1), home.backtests),
                        (date(2026, 4, 9), home.forecasts)):  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        told_on(day, "as_known" if folder == home.forecasts else "as_reconstructed").write(
            folder / f"{day}.json"
        )
    kept = kept_forecasts(home, date(2026, 4, 9))
    assert list(kept["origin_on"]) == [date(2026, 1, 5), date(2026, 1, 1)]
    assert kept_forecasts(home, date(2026, 1, 1)).empty
    path = home.forecasts / "2026-01-05.json"
    shutil.copy(path, path.with_suffix(".kept"))
    path.write_text(path.read_text().replace("97.0", "96.0"))
    with pytest.raises(DamagedFile, match="2026-01-05"):
        kept_forecasts(home, date(2026, 4, 9))


def test_an_empty_store_gives_no_scores() -> None:
    stays = truth(1, 30)
    empty: Any = kept_forecasts(Home.at("/nonexistent"), date(2026, 1, 1))
    assert forecast_scores(stays, empty).empty
