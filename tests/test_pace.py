"""Goal, forecast and split times: against closed forms, known truth, and plain recomputation."""

from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from companies import company, forecast_of, goals_of
from conftest import mart

from analysis import forecast as draws
from analysis.balance import pipe_coverage, stage_balance
from analysis.forecast import N_DRAWS, N_EFFECTS
from analysis.forecasts import forecast_tables
from analysis.goals import Goals
from analysis.outlook import MIN_AMOUNTS, Outlook, Period, quarters
from analysis.pace import Pace, pace_tables
from analysis.plan import ahead_by
from analysis.renewal import LAST_AGE, SPANS, Hazards, reached_from_age, won_within
from analysis.selling_days import SellingDays
from analysis.stays import LOST, WON, Stays, won_between
from measure import pipelines


def hazards(*moves: tuple[int, int, float]) -> Hazards:
    """One class and draw: moves with a constant chance a day, whatever the age."""
    source, target, chance = (np.array(column) for column in zip(*moves, strict=True))
    of_move = np.repeat(chance[None, None, :, None], len(SPANS), axis=3)
    return Hazards(source, target, of_move, int(source.max()) + 1)


def test_one_stage_is_the_closed_form() -> None:
    """Wins of steady entries over T days: x p (T − L (1 − e^(−T/L)))."""
    lag, share, days = 60.0, 0.3, 180
    won = won_within(hazards((0, WON, share / lag), (0, LOST, (1 - share) / lag)), days)[0, 0, 0]
    wins = 2.0 * won[:days].sum() + won[days]
    expected = 2.0 * share * (days - lag * (1 - np.exp(-days / lag)))
    assert wins == pytest.approx(expected, rel=0.01)


def test_renewal_equals_deals_followed_one_by_one() -> None:
    """Three stages with a way back, ages that matter: against 40,000 deals moved day by day."""
    random = np.random.default_rng(5)
    moves = [(0, 1, 0.06), (0, LOST, 0.03), (1, 2, 0.04), (1, 0, 0.01), (1, LOST, 0.02),
             (2, WON, 0.05), (2, LOST, 0.02)]  # fmt: skip
    found = hazards(*moves)
    of_move = found.of_move.copy()
    of_move[:, :, 2, 5:] *= 2  # an old deal moves on sooner
    found = replace(found, of_move=of_move)
    won = won_within(found, 90)
    n, state, age = 40_000, np.zeros(40_000, dtype=int), np.full(40_000, 12)
    by_day = np.zeros(91)
    for day in range(1, 91):
        age += 1
        span = np.searchsorted(SPANS, age, side="right") - 1
        draw, before = random.random(n), state.copy()
        so_far = np.zeros(n)
        for number, (source, target, _) in enumerate(moves):
            chance = np.where(before == source, of_move[0, 0, number, span], 0.0)
            moved = (draw >= so_far) & (draw < so_far + chance)
            state[moved], age[moved] = target, 0
            so_far += chance
        by_day[day] = (state == WON).mean()
    cells = (np.array([0]), np.array([0]), np.array([12]))
    told = reached_from_age(found, won, found.is_win, cells, [20, 45, 90])[0, 0]
    assert told == pytest.approx(by_day[[20, 45, 90]], abs=0.006)
    assert (np.diff(won, axis=-1) >= -1e-12).all() and won.max() < 1


def test_hazards_are_events_per_day_at_risk_where_there_are_many() -> None:
    """Of 20,000 deals of one class, against a count in plain Python."""
    frame = pipelines.stays(np.random.default_rng(1), pipelines.Company(4_000))
    stays = Stays.of(frame, date(2100, 1, 1)).at(np.datetime64("2024-12-31"))
    outlook = Outlook(stays, "SE", np.random.default_rng(1))
    told = outlook.expected
    days, ages = outlook.days, outlook.ages
    stage = stays.states.index(("p", "stage 1"))
    at_risk, moved = np.zeros(LAST_AGE + 2), np.zeros(LAST_AGE + 2)
    for row in np.flatnonzero((stays.state == stage) & (stays.kind == 0)):
        entered, end = days.by(np.array([stays.entered[row], min(stays.left[row], stays.as_of)]))
        length = int(end - entered)
        if stays.to[row] == -1 and length == 0:
            continue
        length = max(length, 1)
        at_risk[1 : length + 1] += 1
        if stays.to[row] >= 0 and stays.states[stays.to[row]][1] == "stage 2":
            moved[length] += 1
    (move,) = np.flatnonzero(
        (told.source == stage) & (told.target == stays.states.index(("p", "stage 2")))
    )
    for span, (first, after) in enumerate(pairwise([*SPANS[:12]])):
        if at_risk[first:after].sum() > 3_000:
            rate = moved[first:after].sum() / at_risk[first:after].sum()
            assert told.of_move[0, 0, move, span] == pytest.approx(rate, rel=0.03, abs=1e-5)
    assert len(ages.rows) == (stays.entered < stays.as_of).sum() or len(ages.rows) > 0


# --- selling days and goals ----------------------------------------------------------------------


def test_selling_days_are_learned() -> None:
    """Weekends and Christmas are worth nothing, July a quarter; a year has its working days."""
    days = np.arange(np.datetime64("2023-01-01"), np.datetime64("2026-01-01"))
    random = np.random.default_rng(1)
    is_july = days.astype("datetime64[M]").astype(int) % 12 == 6
    n = random.poisson(np.where(np.is_busday(days), np.where(is_july, 2.0, 8.0), 0.0))
    christmas = np.isin(days.astype(str), [f"{y}-12-{d}" for y in (2023, 2024, 2025)
                                           for d in (24, 25, 26)])  # fmt: skip
    calendar = SellingDays(np.repeat(days, n * ~christmas), days[-1], "SE")
    worth = pd.Series(calendar.worth, index=calendar.days)
    assert worth[worth.index.weekday >= 5].max() == 0
    assert worth["2026-12-24":"2026-12-26"].max() < 0.2
    july, march = (worth[f"2026-{month}"].sum() for month in ("07", "03"))
    assert 0.15 < july / march < 0.4
    assert worth["2024"].sum() == pytest.approx(250, abs=6)
    count = calendar.by(calendar.days)
    assert (np.diff(count) >= 0).all()


def test_few_moves_teach_no_calendar() -> None:
    calendar = SellingDays(np.array(["2026-07-04"], "M8[D]"), np.datetime64("2026-07-10"), "XX")
    week = calendar.worth[2:9]
    assert sorted(week.round(6)) == [0, 0, 1, 1, 1, 1, 1]


def test_a_quarters_goal_is_stated_or_its_months_or_a_share_of_the_year() -> None:
    calendar = SellingDays(np.array([], "M8[D]"), np.datetime64("2026-05-01"), "SE")
    ends = {4: "30", 5: "31", 6: "30"}
    month = [("company", None, f"2026-0{m}-01", f"2026-0{m}-{end}", 10.0 * m, "2025-12-01")
             for m, end in ends.items()]  # fmt: skip
    goals = Goals(goals_of(
        *month,
        ("company", None, "2026-01-01", "2026-12-31", 1_000.0, "2025-12-01"),
        ("company", None, "2026-10-01", "2026-12-31", 500.0, "2026-02-01"),
        ("segment", "Mid", "2026-04-01", "2026-06-30", 7.0, "2025-12-01"),
    ), calendar)  # fmt: skip
    second, third, fourth, first = quarters(np.datetime64("2026-05-01"), 4)
    assert goals.of("company", None, second).amount == 150
    assert goals.of("company", None, second).basis == "months"
    assert goals.of("company", None, fourth).amount == 500
    share = goals.of("company", None, third)
    assert share.basis == "share_of_year" and 200 < share.amount < 300
    assert not goals.of("company", None, first).is_known
    assert goals.of("segment", "Mid", second).amount == 7
    assert [g.basis for g in goals.following("company", None, [fourth, first])] == [
        "stated", "extrapolated",
    ]  # fmt: skip


# --- forecasts -----------------------------------------------------------------------------------


def test_forecasts_hold_what_they_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 companies, four quarters each: eight of ten outcomes within P10 and P90, none all low."""
    # A quarter of the draws rank an outcome as well.
    monkeypatch.setattr(draws, "N_EFFECTS", 1)
    monkeypatch.setattr(draws, "N_DRAWS", N_DRAWS // N_EFFECTS)
    ranks = []
    for seed in range(16):
        truth = company(seed, deals_a_year=150, years=4)
        for month in ("2023-01", "2023-04", "2023-07", "2023-10"):
            forecast = forecast_of(truth.at(np.datetime64(f"{month}-01")), seed=seed)
            period = forecast.outlook.periods[0]
            won = np.nansum(won_between(truth, period.start, period.end)[1])
            ranks.append((forecast.total(0, 0) < won).mean())
    assert 0.68 < np.mean([0.1 < rank < 0.9 for rank in ranks]) < 0.92
    assert 0.4 < np.mean(ranks) < 0.6


def test_what_comes_later_changes_no_forecast() -> None:
    """Everything after the origin is made up anew: nothing may move."""
    origin = np.datetime64("2023-04-01")
    frame = pipelines.stays(np.random.default_rng(2), pipelines.Company(200, years=4))
    other = frame[frame["entered_on"] <= origin].copy()
    later = (other["left_on"] > origin).to_numpy()
    other.loc[later, "left_on"] = origin.astype("datetime64[ns]") + pd.Timedelta(days=3)
    other.loc[later, "how_ended"] = "won"
    other.loc[later, ["next_pipeline_id", "next_stage_id"]] = None
    other.loc[later, "left_amount"] = 9e9
    # The last stay of each deal in the altered history; those after it have not begun.
    told = [
        forecast_tables(forecast_of(Stays.of(rows, date(2100, 1, 1)).at(origin)))
        for rows in (frame, other)
    ]
    for one, another in zip(*told, strict=True):
        pd.testing.assert_frame_equal(one, another)


def test_parts_add_up_and_amounts_unknown_are_counted() -> None:
    stays = company(3, deals_a_year=300).at(np.datetime64("2024-05-15"))
    forecast = forecast_of(stays, goals_of(
        ("company", None, "2024-04-01", "2024-06-30", 8e6, "2024-01-01")))  # fmt: skip
    forecast.open_deals.loc[:4, "amount"] = np.nan
    table, quantiles, _ = forecast_tables(forecast)
    now = table[(table["scope"] == "company")].iloc[0]
    assert now["n_open_without_amount"] == 5
    rows, amount = won_between(stays, np.datetime64("2024-04-01"), stays.as_of)
    assert now["n_booked"] == len(rows) and now["booked_amount"] == amount.sum()
    parts = ["booked_amount", "expected_open_part_amount", "expected_new_part_amount"]
    assert now["expected_amount"] == pytest.approx(now[parts].sum(), rel=1e-4)
    of_segments = table[(table["scope"] == "segment") & (table["period_start_on"] == now[
        "period_start_on"])]  # fmt: skip
    assert of_segments["expected_amount"].sum() == pytest.approx(now["expected_amount"], rel=1e-4)
    assert of_segments["n_open_deals"].sum() == now["n_open_deals"]
    total = forecast.total(0, 0)
    assert len(total) == N_DRAWS and now["reach_goal_rate"] == (total >= 8e6).mean()
    told = quantiles[(quantiles["scope"] == "company") & (quantiles["part"] == "total")]
    for _, mine in told.groupby(["forecaster", "period_start_on"]):
        assert len(mine) == 99 and (mine["amount"].diff().dropna() >= 0).all()


def test_a_deal_gone_from_the_lists_is_not_in_the_forecast() -> None:
    stays = company(3, deals_a_year=100).at(np.datetime64("2024-05-15"))
    forecast = forecast_of(stays)
    forecast.open_deals["is_gone"] = True
    assert not len(forecast.rows)
    assert forecast_tables(forecast)[0].iloc[0]["expected_open_part_amount"] == 0


@pytest.mark.parametrize("n", [0, 1, 30])
def test_with_few_wins_nothing_is_forecast(n: int) -> None:
    frame = pipelines.stays(np.random.default_rng(4), pipelines.Company(40)).iloc[:n]
    forecast = forecast_of(Stays.of(frame, date(2024, 5, 1)).at(np.datetime64("2024-05-01")))
    table, quantiles, _ = forecast_tables(forecast)
    assert table["p50_amount"].isna().all() and not len(quantiles)
    assert set(table["reason"]) == {"no_dates" if n == 0 else "too_few_wins"}
    stages, by_quarter = pace_tables(Pace(forecast, np.random.default_rng(1)))
    assert not len(stages) and by_quarter["planned_new_deals"].isna().all()
    assert len(stage_balance(forecast.outlook)) == len(forecast.outlook.stays.states)
    assert pipe_coverage(forecast)["coverage_times"].isna().all()


def test_a_falling_win_rate_is_noticed_and_an_even_one_is_not() -> None:
    """The odds of each stage halve within the last year: recent deals count more, and less is
    forecast.
    """
    at = np.datetime64("2024-12-31")
    falling = [company(s, deals_a_year=600, log_odds_a_year=-0.6).at(at) for s in range(8)]
    even = [company(s, deals_a_year=600).at(at) for s in range(8)]
    told, alarms = (
        [Outlook(stays, "SE", np.random.default_rng(1)).drift for stays in group]
        for group in (falling, even)
    )
    assert sum(drift.is_drifting for drift in told) >= 6
    assert sum(drift.is_drifting for drift in alarms) <= 2
    slopes = [drift.slope[-1] for drift in told]
    assert (
        np.mean(slopes) == pytest.approx(-0.6, abs=0.3)
        and abs(np.mean([d.slope[-1] for d in alarms])) < 0.1
    )


# --- pace ----------------------------------------------------------------------------------------


def steady(last: str = "2026-05-29") -> pd.DataFrame:
    """Two deals each working day until `last`; after four weeks in the only stage every second is
    won, for 1,000.
    """
    days = np.arange(np.datetime64("2023-01-02"), np.datetime64(last) + 1)
    days = np.repeat(days[np.is_busday(days)], 2)
    n = len(days)
    is_won = np.arange(n) % 2 == 0
    template = pipelines.stays(np.random.default_rng(1), pipelines.Company(n / 4)).iloc[[0] * n]
    return template.assign(
        journey_id=np.arange(n), account_id=np.arange(n), visit_number=1, stage_id="only",
        stage_rank=1.0, segment="one", amount=1_000.0, entered_on=days, followed_from_on=days,
        left_on=np.busday_offset(days, 20), how_ended=np.where(is_won, "won", "lost"),
        next_pipeline_id=None, next_stage_id=None, next_stage_rank=np.nan, is_arrival=True,
        left_amount=np.where(is_won, 1_000.0, np.nan),
    )  # fmt: skip


@pytest.mark.parametrize(("last", "expected"), [("2026-05-29", 0.0), ("2026-05-08", -15.0)])
def test_a_plan_met_is_on_time_and_three_weeks_without_are_fifteen_days(
    last: str, expected: float
) -> None:
    goals = goals_of(*(
        ("company", None, str(q.start), str(q.end), 1_000.0 * np.busday_count(q.start, q.end + 1),
         "2025-12-01")
        for q in quarters(np.datetime64("2026-04-01"), 4)
    ))  # fmt: skip
    stays = Stays.of(steady(last), date(2100, 1, 1)).at(np.datetime64("2026-05-29"))
    forecast = forecast_of(stays, goals)
    forecast.outlook.days = SellingDays(np.array([], "M8[D]"), stays.as_of, "XX")
    stages, by_quarter = pace_tables(Pace(forecast, np.random.default_rng(1)))
    first = stages[(stages["stage_id"] == "only") & (stages["scope"] == "company")].iloc[0]
    assert first["ahead_days"] == pytest.approx(expected, abs=2.5)
    assert bool(first["is_beyond_chance"]) == (expected != 0)
    now = by_quarter.iloc[0]
    assert now["planned_new_deals"] == pytest.approx(now["usual_new_deals"], rel=0.06)


def test_ahead_by() -> None:
    needed = np.linspace(0, 60, 61) * 2.0
    assert ahead_by(needed, 60, 30) == 0
    assert ahead_by(needed, 30, 30) == -15
    assert ahead_by(needed, 130, 60) == pytest.approx(5)


def test_entries_needed_and_had_are_counted_alike() -> None:
    """What a stage had is every deal's first time as far as there, skipped stages credited."""
    stays = company(7, deals_a_year=300).at(np.datetime64("2024-05-15"))
    pace = Pace(forecast_of(stays, goals_of(*(
        ("company", None, str(q.start), str(q.end), 6e6, "2023-12-01")
        for q in quarters(stays.as_of, 4)))), np.random.default_rng(1))  # fmt: skip
    stages, by_quarter = pace_tables(pace)
    mine = stages[stages["scope"] == "company"].set_index("stage_id")
    origin = np.datetime64("2024-04-01")
    for number in range(5):
        count = 0
        for deal in np.unique(stays.journey):
            rows = np.flatnonzero(stays.journey == deal)
            first = [
                stays.entered[row] for row in rows if stays.rank[stays.state[row]] > number
            ] + [stays.left[row] for row in rows if stays.to[row] == WON]
            count += bool(first) and origin < min(first) <= stays.as_of
        assert mine.loc[f"stage {number}", "n_reached"] == count
    won = stages[(stages["stage_kind"] == "won") & (stages["scope"] == "company")].iloc[0]
    assert won["n_reached"] == len(won_between(stays, origin + 1, stays.as_of)[0])
    bounds = [mine[f"{name}_needed_by_today"].astype(float) for name in ("low", "high")]
    assert (bounds[0] <= bounds[1]).all()
    assert (by_quarter["safe_times"].dropna() > 0).all()


# --- the path of deals, from dbt -----------------------------------------------------------------


@pytest.fixture(scope="module")
def marts(made_up_marts: Path) -> Path:
    return made_up_marts


def test_stays_are_the_moves_without_what_was_taken_back(marts: Any) -> None:
    found = mart(marts, "fct_stage_stays")
    told = {
        (row.journey_id, row.visit_number): (
            None if pd.isna(row.how_ended) else row.how_ended,
            None if pd.isna(row.left_on) else row.left_on,
            bool(row.is_arrival),
        )
        for row in found.itertuples()
    }
    assert told == _paths(mart(marts, "fct_stage_transitions"))
    assert len(told) > 100 and {how for how, *_ in told.values()} >= {"won", "lost", "open", None}


def _paths(moves: pd.DataFrame) -> dict[Any, Any]:
    """The same in plain Python, move by move."""
    answer: dict[Any, Any] = {}
    some = moves[
        (moves["record_type"] == "deal") & ~moves["is_correction"] & ~moves["is_after_win"]
    ]
    for journey, rows in some.sort_values("move_number").groupby("journey_id"):
        steps = []
        for move in rows.itertuples():
            kind = "removed" if move.move_kind in ("delete", "merge") else move.to_stage_kind
            kind = kind if kind in ("removed", "won", "lost") else "open"
            steps.append((kind, move))
        standing: list[Any] = []
        for number, (kind, move) in enumerate(steps):
            later = [m.occurred_at for k, m in steps[number + 1 :] if k in ("open", "won")]
            if later and move.move_kind == "delete":
                continue
            if later and kind == "lost" and (min(later) - move.occurred_at).days < 90:
                continue
            place = (kind, *((move.to_pipeline_id, move.to_stage_id) if kind == "open" else ()))
            if not standing or standing[-1][0] != place:
                standing.append((place, move))
        for (place, move), after in zip(standing, [*standing[1:], None], strict=True):
            index = standing.index((place, move))
            before = standing[index - 1][0][0] if index else None
            if place[0] == "open":
                how, on = (after[0][0], after[1].occurred_on) if after else (None, None)
                answer[journey, move.move_number] = (how, on, before != "open")
            elif index == 0 and place[0] != "removed" and move.fidelity != "snapshot_diff":
                answer[journey, move.move_number] = (place[0], move.occurred_on, True)
    return answer


def test_goals_name_their_seller_and_unknown_ones_are_told(marts: Any) -> None:
    goals = mart(marts, "dim_goals").set_index(["scope", "scope_id"], drop=False)
    sellers = mart(marts, "dim_sellers")
    ann = sellers[sellers["name"] == "Ann"]["seller_id"].iloc[0]
    assert goals.loc[("seller", ann), "is_known"].all()
    assert not goals.loc[("seller", "Bo"), "is_known"].all()  # two are called so
    company_goal = goals[goals["scope"] == "company"].iloc[0]
    assert float(company_goal["amount_base"]) == 900_000
    (action,) = mart(marts, "dim_actions").itertuples()
    assert (action.scope_id, action.metric) == (ann, "forward_rate")


def test_periods() -> None:
    found = quarters(np.datetime64("2026-11-27"), 2)
    assert found == [Period(np.datetime64("2026-10-01"), np.datetime64("2026-12-31")),
                     Period(np.datetime64("2027-01-01"), np.datetime64("2027-03-31"))]  # fmt: skip


def test_each_win_tells_once_what_deals_are_won_for() -> None:
    outlook = Outlook(company(9, deals_a_year=60).at(np.datetime64("2024-12-31")), "SE",
                      np.random.default_rng(1))  # fmt: skip
    stays = outlook.stays
    n_wins = np.bincount(stays.kind[stays.wins], minlength=len(stays.classes))
    assert 0 < n_wins.min() < MIN_AMOUNTS  # one class has few of its own
    assert n_wins @ outlook.mean_amount == pytest.approx(stays.left_amount[stays.wins].sum())


def test_a_class_without_deals_of_its_own_does_as_all_do() -> None:
    stays = company(9, deals_a_year=400).at(np.datetime64("2024-12-31"))
    outlook = Outlook(stays, "SE", np.random.default_rng(1))
    more = replace(stays, classes=(*stays.classes, (True, None)))
    alike = np.ones((1, stays.account.max() + 1))
    told = Hazards.of(more, outlook.ages, alike, outlook.tilt).of_move
    low, high = told[:-1].min(axis=0) - 1e-9, told[:-1].max(axis=0) + 1e-9
    assert ((told[-1] >= low) & (told[-1] <= high)).mean() > 0.8
