"""The check-in: its decisions, what it names and what it does not, its words and its page."""

import re
import shutil
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from companies import company, forecast_of, goals_of

from analysis.actions import ACTION_COLUMNS, action_effects
from analysis.balance import pipe_coverage
from analysis.check_in import ACT, DRILL, STAY, WATCH, Earlier, Rules, check_in, decided
from analysis.estimates import Memory
from analysis.focus import MIN_EXITS, focus
from analysis.forecasts import Forecast, forecast_tables
from analysis.outlook import Outlook, quarters
from analysis.pace import Pace, pace_tables
from analysis.stays import Stays
from cli.main import main
from dashboard.words import EN, SV, Words
from ingestion.home import Home
from publishing.check_ins import kept_check_ins

AT = np.datetime64("2024-11-15")


def history(*decisions: str, reason: str = "not_moving") -> list[Earlier]:
    return [Earlier(one, "enough_and_moving" if one == STAY else reason) for one in decisions]


@pytest.mark.parametrize(
    ("answers", "earlier", "expected"),
    [
        ((True, True, None), [], STAY),
        ((True, True, False), history(ACT, ACT), STAY),
        ((True, False, None), [], WATCH),
        ((False, True, True), history(STAY), WATCH),
        ((False, True, True), history(STAY, WATCH), ACT),
        ((False, False, True), [], ACT),
        ((False, False, False), history(ACT, ACT), ACT),
        ((False, False, False), history(ACT, ACT, ACT), DRILL),
        ((False, False, True), history(ACT, ACT, ACT), ACT),
        ((False, False, None), history(ACT, ACT, ACT), ACT),
        ((False, False, False), history(ACT, ACT, STAY, WATCH), ACT),
        ((None, False, False), history(ACT, ACT, ACT), WATCH),
        ((True, None, True), [], WATCH),
        ((True, False, True), history(WATCH, reason="cannot_tell"), WATCH),
    ],
)
def test_the_order_of_attention(answers: Any, earlier: list[Earlier], expected: str) -> None:
    assert decided(*answers, earlier, look_back=3)[0] == expected


def told(forecast: Forecast, kept: pd.DataFrame | None = None) -> pd.Series:
    pace = Pace(forecast, np.random.default_rng(1))
    tables = {
        "forecasts": forecast_tables(forecast)[0],
        "stage_pace": pace_tables(pace)[0],
        "pipe_coverage": pipe_coverage(forecast),
    }
    found = check_in(pace, tables, Memory().check_ins if kept is None else kept, Rules())
    return found.iloc[-1]


def with_goal(stays: Stays, amount: float) -> Forecast:
    return forecast_of(stays, goals_of(*(
        ("company", None, str(q.start), str(q.end), amount, "2023-12-01")
        for day in ("2024-04-01", "2025-04-01") for q in quarters(np.datetime64(day), 4)
    )))  # fmt: skip


def test_a_healthy_company_stays_and_a_goal_far_off_does_not() -> None:
    stays = company(12, deals_a_year=600).at(AT)
    healthy = told(with_goal(stays, 4e6))
    assert healthy["decision"] == STAY and healthy["is_enough"] and healthy["is_moving"]
    assert healthy["n_qualified"] > 0 and healthy["n_without_next_step"] > 0
    far_off = told(with_goal(stays, 9e7))
    assert far_off["decision"] == ACT and far_off["reach_goal_rate"] == 0


def test_without_a_goal_or_with_few_deals_nothing_is_decided() -> None:
    no_goal = told(forecast_of(company(11, deals_a_year=600).at(AT)))
    assert (no_goal["decision"], no_goal["reason"]) == (WATCH, "cannot_tell")
    few = told(
        with_goal(company(12, deals_a_year=30, years=5).at(np.datetime64("2020-09-01")), 1e6)
    )
    assert few["reason"] == "cannot_tell" and np.isnan(few["p50_amount"])


def test_earlier_check_ins_stand_as_they_were() -> None:
    kept = pd.DataFrame({"check_in_on": [date(2024, 11, 1)], "decision": ["watch"],
                         "reason": ["not_enough"]})  # fmt: skip
    forecast = with_goal(company(11, deals_a_year=600).at(AT), 9e7)
    assert told(forecast, kept)["decision"] == ACT


# --- focus ---------------------------------------------------------------------------------------


def named(seed: int, halved: dict[Any, float]) -> list[tuple[str, Any, str]]:
    stays = company(seed, deals_a_year=1_200, halved=halved).at(np.datetime64("2024-12-31"))
    table = focus(Outlook(stays, "SE", np.random.default_rng(1)))
    assert (table["n_exits"] >= MIN_EXITS).all()
    assert (table["low_worth_amount"] <= table["worth_amount"]).all()
    return [(r.dimension, r.dimension_value, r.stage_id) for r in table.itertuples()]


def test_a_seller_who_converts_half_is_named_first() -> None:
    found = [named(seed, {(1, 2): -1.6}) for seed in range(8)]
    assert sum(bool(one) and one[0] == ("seller", "s2", "stage 1") for one in found) >= 6


def test_a_stage_that_converts_half_is_named_and_nobody_in_it() -> None:
    found = [named(seed, {1: -1.6}) for seed in range(6)]
    assert sum(bool(one) and one[0] == ("stage", None, "stage 1") for one in found) >= 5
    assert sum(any(kind == "seller" for kind, *_ in one) for one in found) <= 1


def test_in_an_unchanged_company_nobody_is_named() -> None:
    found = [named(seed, {}) for seed in range(12)]
    assert sum(any(kind == "seller" for kind, *_ in one) for one in found) <= 1


def test_where_too_little_is_seen_nothing_is_named() -> None:
    stays = company(1, deals_a_year=60, halved={1: -5.0}).at(np.datetime64("2024-12-31"))
    assert focus(Outlook(stays, "SE", np.random.default_rng(1))).empty


# --- actions -------------------------------------------------------------------------------------


def effects(stays: Stays, *actions: tuple[str, str, Any, str, Any]) -> pd.DataFrame:
    frame = pd.DataFrame(actions, columns=list(ACTION_COLUMNS))
    frame["action_on"] = pd.to_datetime(frame["action_on"])
    return action_effects(Outlook(stays, "SE", np.random.default_rng(1)), frame)


def test_a_change_is_held_against_comparable_sellers() -> None:
    """Of seller s1 every deal moves forward since the change, of the others as before."""
    stays = company(3, deals_a_year=900).at(np.datetime64("2024-12-31"))
    mine = stays.seller.values[stays.seller.codes] == "s1"
    lost = mine & (stays.to == -3) & (stays.left >= np.datetime64("2024-08-01"))
    better = replace(stays, is_forward=stays.is_forward | lost, to=np.where(lost, -2, stays.to))
    asked = ("2024-08-01", "seller", "s1", "skill", "forward_rate")
    assert effects(better, asked).iloc[0]["effect"] in ("improved_more", "too_early_to_say")
    half = lost & (np.arange(len(lost)) % 3 != 0)
    better = replace(stays, is_forward=stays.is_forward | half, to=np.where(half, -2, stays.to))
    row = effects(better, asked).iloc[0]
    assert row["effect"] == "improved_more" and row["low_times_comparable"] > 1
    assert row["since"] > row["before"]


def test_what_cannot_be_compared_is_said() -> None:
    stays = company(3, deals_a_year=900).at(np.datetime64("2024-12-31"))
    rows = effects(
        stays,
        ("2024-08-01", "company", None, "message", "won_deals"),
        ("2024-08-01", "segment", "Mid", "message", None),
        ("2024-12-20", "segment", "Mid", "message", "won_deals"),
        ("2024-08-01", "stage", "stage 1", "skill", "new_deals"),
        ("2024-08-01", "segment", "Mid", "skill", "moves_forward"),
    )
    assert list(rows["effect"][:4]) == ["no_comparison", "no_metric", "too_early_to_say",
                                        "too_early_to_say"]  # fmt: skip
    assert rows["effect"].iloc[4] == "no_different"


def test_changes_without_effect_seldom_help() -> None:
    said = [
        effects(company(seed, deals_a_year=900).at(np.datetime64("2024-12-31")),
                ("2024-07-01", "seller", "s1", "skill", metric))["effect"].iloc[0]
        for seed in range(30) for metric in ("new_deals", "forward_rate")
    ]  # fmt: skip
    assert said.count("improved_more") <= 5


# --- words and page ------------------------------------------------------------------------------


def test_both_languages_say_the_same_things() -> None:
    assert EN.keys() == SV.keys()
    for name in EN:
        assert set(re.findall(r"{\w+}", EN[name])) == set(re.findall(r"{\w+}", SV[name])), name


def test_numbers_are_written_as_the_language_does() -> None:
    english, swedish = Words("en"), Words("sv")
    assert english.number(-1234567.6) == "−1,234,568"
    assert swedish.number(1234567.4) == "1\u00a0234\u00a0567"
    assert english.number(-0.3, sign=True) == "0" and english.number(None) == "–"
    assert english.percent(0.996) == "> 99\u00a0%" and english.percent(0.6) == "60\u00a0%"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def published(company_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A copy of the company's home, to hold check-ins in."""
    root = tmp_path_factory.mktemp("check_in") / "home"
    return Home.at(shutil.copytree(company_home.root, root, symlinks=True))


def test_the_command_holds_prints_and_writes_it(published: Home) -> None:
    runner = CliRunner()
    home = ["--home", str(published.root)]
    first = runner.invoke(main, [*home, "check-in"])
    assert first.exit_code == 0, first.output
    assert "Check-in 2026-06-30 (held)" in first.output and "Split times" in first.output
    (row,) = kept_check_ins(published, date(2026, 6, 30)).to_dict("records")
    assert f"Decision: {EN[row['decision']]}" in first.output
    kept = (published.check_ins / "2026-06-30.json").read_bytes()
    again = runner.invoke(main, [*home, "check-in", "--language", "sv"])
    assert "Avstämning 2026-06-30 (hållen)" in again.output
    assert (published.check_ins / "2026-06-30.json").read_bytes() == kept


def test_the_page_is_whole_and_shows_names_as_text(published: Home, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    done = CliRunner().invoke(
        main, ["--home", str(published.root), "check-in", "--to", str(target), "--language", "sv"]
    )
    assert done.exit_code == 0, done.output
    page = target.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    names = {tag for tag, _ in tags.found}
    assert not names & {"script", "link", "img", "iframe"}
    assert not [facts for _, facts in tags.found if "src" in facts or "href" in facts]
    assert "&lt;script&gt;{{7*7}}" in page and '<html lang="sv">' in page
    assert len(page) < 20_000


def test_nothing_published_is_said(home: Home) -> None:
    done = CliRunner().invoke(main, ["--home", str(home.root), "check-in"])
    assert done.exit_code == 2 and "nothing is published there" in done.output
