"""The open pipeline, credit and the reconstructed cut, on a few deals whose figures are known."""

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import MAPPINGS, build, build_only, mart

from ingestion.home import Home

DEAL = "deal_id,pipeline_id,stage_id,status,created_at,closed_at,account_id,amount,currency\n"
CHANGE = "deal_id,field,old_value,new_value,occurred_at,fidelity,sequence\n"


@pytest.fixture
def crm(home: Home) -> Home:
    shutil.copy(MAPPINGS / "crm.yml", home.mappings)
    return home


def put(home: Home, **files: str) -> None:
    """Files by name, `_` for `-`; the first line is the header."""
    for name, text in files.items():
        (home.inbox / f"{name.replace('_', '-')}.csv").write_text(text)


def movements(marts: Path, deal: str) -> list[tuple[Any, ...]]:
    found = mart(marts, "fct_pipeline_changes").query(f"deal_id == 'crm:{deal}'")
    return [
        (row["movement"], float(row["amount"]), float(row["amount_base"]), row["is_unconverted"])
        for row in found.sort_values(["change_number"], kind="stable").to_dict("records")
    ]


def test_a_rate_that_is_missing_is_named_and_counted(crm: Home) -> None:
    """Worth 11,000 when stated; won on a day that no rate covers."""
    put(
        crm,
        all_2026_05_31=DEAL + "d,p,W,,2026-01-10T10:00:00Z,2026-03-20,,1000,EUR\n",
        changes_2026_05_31=CHANGE
        + "d,stage_id,,A,2026-01-10T10:00:00Z,event_log,1\n"
        + "d,amount,,1000,2026-01-10T10:00:00Z,event_log,1\n"
        + "d,stage_id,A,W,2026-03-20T10:00:00Z,event_log,2\n",
        rates="rate_on,currency,rate\n2026-01-09,EUR,11\n2026-03-12,EUR,12\n",
    )
    marts = build_only(crm, date(2026, 6, 15))
    assert movements(marts, "d") == [
        ("new", 1000.0, 11000.0, False),
        ("rate_missing", 0.0, -11000.0, True),
        ("won", -1000.0, 0.0, True),
    ]
    won = mart(marts, "fct_stage_transitions").query("move_kind == 'won'")
    assert won["amount_base"].isna().all() and won["amount"].notna().all()
    march = mart(marts, "pipeline_movement").query("period == 'month' and movement == 'won'")
    assert march["n_unconverted"].tolist() == [1]


def test_the_largest_amounts_are_converted_and_shared(crm: Home) -> None:
    put(
        crm,
        all_2026_05_31=DEAL + "d,p,W,,2026-01-10T10:00:00Z,2026-01-11,,99999999999999.99,EUR\n",
        rates="rate_on,currency,rate\n2026-01-09,EUR,12.3456\n",
        credits_2026_05_31="deal_id,seller_id,share\nd,1,0.75\nd,2,0.25\n",
        sellers="seller_id,name,team\n1,Ann,t\n2,Bo,t\n",
    )
    path = build(crm, date(2026, 6, 15)) / "deal_credits.parquet"
    with duckdb.connect() as connection:
        rows = connection.execute(f"select amount_base from '{path}' order by seller_id").fetchall()
    assert rows == [(Decimal("925919999999999.91"),), (Decimal("308639999999999.97"),)]


def test_a_deal_deleted_while_open_and_back_as_won_was_won(crm: Home) -> None:
    put(
        crm,
        all_2026_03_31=DEAL + "d,p,B,,2026-01-10,,,100,SEK\ne,p,A,,2026-01-10,,,1,SEK\n",
        all_2026_04_30=DEAL + "e,p,A,,2026-01-10,,,1,SEK\n",
        all_2026_05_31=DEAL + "d,p,W,,2026-01-10,2026-05-20,,100,SEK\ne,p,A,,2026-01-10,,,2,SEK\n",
    )
    marts = build_only(crm, date(2026, 6, 15))
    assert [m[:2] for m in movements(marts, "d")] == [
        ("new", 100.0), ("deleted", -100.0), ("restored", 100.0), ("won", -100.0),
    ]  # fmt: skip
    credit = mart(marts, "deal_credits").query("deal_id == 'crm:d'")
    assert credit["deal_amount_base"].tolist() == [100]
    reached = mart(marts, "conversion_by_source").query(
        "stage_id == 'crm:B' and definition_id == 'won' and horizon_days == 90"
    )
    assert reached[["n_entered", "n_reached"]].to_numpy().tolist() == [[1, 0]]  # not yet 90 days


def test_a_company_that_changes_hands_does_not_rewrite_history(crm: Home) -> None:
    put(
        crm,
        accounts_2026_01_31="account_id,account_segment\na1,Small\na2,Large\n",
        all_2026_01_31=DEAL + "d,p,A,,2026-01-10,,a1,100,SEK\n",
        all_2026_03_31=DEAL + "d,p,B,,2026-01-10,,a2,100,SEK\n",
    )
    for day in (date(2026, 2, 15), date(2026, 6, 15)):
        moves = mart(build_only(crm, day), "fct_stage_transitions").sort_values("move_number")
        first = moves.iloc[0]
        assert (first["account_id"], first["segment"]) == ("crm:a1", "Small")
    moved = {m[0] for m in movements(build_only(crm, date(2026, 6, 15)), "d")}
    assert moved == {"new", "reclassified_out", "reclassified_in"}


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        (("33.33%", "33.33%", "33.33%"), [133.36, 133.32, 133.32]),
        (("0.5", "0.25", "0.25"), [200, 100, 100]),
        (("1", "0.1", "0"), [400, 40, 0]),
    ],
)
def test_shares_of_the_whole_add_up_to_it(
    crm: Home, shares: tuple[str, ...], expected: list[float]
) -> None:
    rows = "".join(f"d,{seller},{share}\n" for seller, share in zip("123", shares, strict=True))
    put(
        crm,
        all_2026_05_31=DEAL + "d,p,W,,2026-01-10,2026-03-20,,400,SEK\n",
        credits_2026_05_31="deal_id,seller_id,share\n" + rows,
        sellers="seller_id,name,team\n1,Ann,t\n2,Bo,t\n3,Cy,t\n",
    )
    credit = mart(build_only(crm, date(2026, 6, 15)), "deal_credits").sort_values("seller_id")
    assert credit["amount_base"].astype(float).tolist() == expected


def test_reconstructing_neither_deletes_nor_tells_what_came_later(crm: Home) -> None:
    put(
        crm,
        all_2026_01_31=DEAL + "kept,p,A,,2026-01-10,,,100,SEK\nclosed,p,A,,2026-01-10,,,7,SEK\n",
        all_2026_03_31=DEAL
        + "kept,p,B,,2026-01-10,,,150,SEK\n"
        + "closed,p,W,,2026-01-10,2026-02-10,,9,SEK\n"
        + "new,p,B,,2026-02-05,,,5,SEK\n"
        + "newclosed,p,W,,2026-02-05,2026-02-10,,5,SEK\n"
        + "again,p,W,,2026-01-10,2026-03-20,,8,SEK\n"
        + "after,p,A,,2026-03-05,,,5,SEK\n",
        changes_2026_03_31=CHANGE
        + "again,stage_id,,A,2026-01-10T10:00:00Z,event_log,1\n"
        + "again,stage_id,A,W,2026-02-15T10:00:00Z,event_log,2\n"
        + "again,stage_id,W,B,2026-03-05T10:00:00Z,event_log,3\n"
        + "again,stage_id,B,W,2026-03-20T10:00:00Z,event_log,4\n",
    )
    marts = build_only(crm, date(2026, 2, 28), "as_reconstructed")
    deals = mart(marts, "dim_deals").set_index("deal_id")
    known = {
        key.removeprefix("crm:"): (row["status"], str(row["closed_at"])[:10], row["amount"])
        for key, row in deals[["status", "closed_at", "amount"]].astype(object).iterrows()
    }
    told = {key: (status, closed, None if a != a or a is None else float(a))
            for key, (status, closed, a) in known.items()}  # fmt: skip
    assert told == {
        "kept": ("open", "NaT", 100.0),
        "closed": ("won", "2026-02-09", 7.0),
        "new": ("open", "NaT", None),
        "newclosed": ("won", "2026-02-09", None),
        "again": ("won", "2026-02-15", None),
    }
