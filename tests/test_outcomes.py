"""What is told of deals without time, and what is said to be missing."""

import csv
import math
import shutil
from collections import Counter
from datetime import date
from decimal import Decimal

import pandas as pd
import pytest
from conftest import CASES, MAPPINGS, build, build_only, delivered, mart

from dashboard import first_page
from ingestion.home import Home
from ingestion.proposing.writing import propose_for, save_mapping
from publishing.day import Day

DAY = date(2026, 6, 15)
HEADERS = (
    "deal_id,pipeline_id,stage_id,status,created_at,closed_at,amount,currency,seller_id,segment\n"
)


def wilson(k: int, n: int) -> tuple[float, float]:
    z2 = 3.841458820694124
    centre = (k + z2 / 2) / (n + z2)
    half = math.sqrt(z2) / (n + z2) * math.sqrt(k * (n - k) / n + z2 / 4)
    return centre - half, centre + half


@pytest.fixture
def crm(home: Home) -> Home:
    shutil.copy(MAPPINGS / "crm.yml", home.mappings)
    return home


def test_outcomes_without_dates_are_told_and_what_is_missing_is_said(home: Home) -> None:
    (case,) = CASES.glob("05-*")
    path = save_mapping(home, propose_for(home, case), "own", "list")
    answers = "          segment: Region\n          source: Route To Market\n          amount:"
    path.write_text(path.read_text().replace("          amount:", answers))
    home.company_file.write_text("currency: USD\n")
    delivered(home, case, date(2026, 11, 20))
    marts = build(home, date(2026, 11, 20))
    rows = list(csv.DictReader(case.open()))
    for table, column, header in (
        ("outcomes_by_segment", "segment", "Region"),
        ("outcomes_by_source", "source", "Route To Market"),
    ):
        found = mart(marts, table).set_index(column)
        counts = Counter((row[header], row["Opportunity Result"]) for row in rows)
        assert set(found.index) == {row[header] for row in rows}
        for value, told in found.iterrows():
            won, lost = counts[str(value), "Won"], counts[str(value), "Loss"]
            assert (told["n_won"], told["n_lost"], told["n_open"]) == (won, lost, 0)
            assert told["won_of_decided_rate"] == pytest.approx(won / (won + lost))
            bounds = told["low_won_of_decided_rate"], told["high_won_of_decided_rate"]
            assert bounds == pytest.approx(wilson(won, won + lost), abs=1e-9)
            amounts = [
                int(row["Opportunity Amount USD"])
                for row in rows
                if (row[header], row["Opportunity Result"]) == (value, "Won")
            ]
            money = told["won_amount_base"]
            assert (0 if pd.isna(money) else money) == sum(amounts)
            assert told["gaps"] == "no_dates no_stages closed_only"
    # Nobody knows when they were closed: on no day, in no period.
    assert mart(marts, "dim_deals")["closed_at"].isna().all()
    assert len(mart(marts, "fct_pipeline_changes")) == 0
    Day(home, date(2026, 11, 20), "test", lambda text: None).estimate()
    page = first_page.text(marts)
    for said in (
        "when deals were created (created_at)",
        "the owner (seller_id)",
        "by segment, 95 %",
    ):
        assert said in page
    assert "25.0 % (11.2–46.9)" in page


def test_outcomes_are_credited_as_they_stood_when_deals_closed(crm: Home) -> None:
    """Owner and segment of `w` change after its win, the owner of `o` while it is open."""
    created = "2026-01-10T10:00:00Z"
    first = (
        f"w,p,W,won,{created},2026-03-01,100.50,SEK,S1,X\n"
        f"l,p,L,lost,{created},2026-03-02,70,SEK,S1,X\n"
        f"o,p,A,open,{created},,50,SEK,S1,X\n"
        f"e,p,W,won,{created},2026-03-03,10,EUR,S2,\n"
        f"n,p,W,won,{created},2026-03-03,,SEK,S2,\n"
        f"d,p,A,open,{created},,50,SEK,S1,X\n"
    )
    later = (
        first.replace("100.50,SEK,S1,X", "100.50,SEK,S2,Y")
        .replace("open,2026-01-10T10:00:00Z,,50,SEK,S1", "open,2026-01-10T10:00:00Z,,50,SEK,S2")
        .partition("d,p,A")[0]
    )
    (crm.inbox / "all-2026-04-01.csv").write_text(HEADERS + first)
    (crm.inbox / "all-2026-05-01.csv").write_text(HEADERS + later)
    marts = build_only(crm, DAY)
    sellers = mart(marts, "outcomes_by_seller").set_index("seller_id")
    counts = sellers[["n_won", "n_lost", "n_open", "n_won_without_amount", "n_won_unconverted"]]
    assert counts.T.to_dict("list") == {"crm:S1": [1, 1, 0, 0, 0], "crm:S2": [2, 0, 1, 1, 1]}
    assert Decimal(str(sellers.loc["crm:S1", "won_amount_base"])) == Decimal("100.5")
    assert pd.isna(sellers.loc["crm:S2", "won_amount_base"])
    segments = mart(marts, "outcomes_by_segment").set_index("segment")
    assert segments["n_deals"].sum() == 5 and segments.loc["X", "n_won"] == 1
    assert sellers["gaps"].isna().all()
    coverage = mart(marts, "coverage").set_index("fact")[["n_deals", "n_known"]]
    assert coverage.loc["amounts"].tolist() == [5, 4]
    assert coverage.loc["amounts in company currency"].tolist() == [4, 3]
    assert coverage.loc["segments"].tolist() == [5, 3]
    assert coverage.loc["close dates"].tolist() == [4, 4]


def test_where_no_lost_deal_is_known_no_share_is_told(crm: Home) -> None:
    rows = "".join(f"{n},p,W,won,2026-01-10T10:00:00Z,2026-03-01,5,SEK,S,X\n" for n in range(30))
    (crm.inbox / "all-2026-04-01.csv").write_text(HEADERS + rows)
    marts = build_only(crm, DAY)
    (told,) = mart(marts, "outcomes_by_segment").to_dict("records")
    assert told["n_won"] == 30 and told["gaps"] == "no_stages no_lost closed_only"
    assert pd.isna(told["won_of_decided_rate"]) and pd.isna(told["high_won_of_all_rate"])
