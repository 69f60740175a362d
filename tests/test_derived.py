"""What is derived from stored facts adds up, has its grain, and equals what is stored of it."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from conftest import mart
from histories import AS_OF

from publishing import catalogue
from publishing.marts import opened

VIEWS = [table for table in catalogue.published_models() if table.is_view]
FLOWS = ["n_entered", "n_advanced", "n_skipped", "n_regressed", "n_won", "n_lost", "n_handed_over",
         "n_deleted", "n_merged"]  # fmt: skip
SUMS = {
    "stage_flow": (
        ["pipeline_id", "stage_id", "week_on"],
        ["n_open_at_start", *FLOWS, "n_open_at_end"],
    ),
    "pipeline_movement": (
        ["period", "period_start_on", "movement", "currency"],
        ["n_deals", "amount", "amount_base", "n_without_amount", "n_unconverted"],
    ),
}


@pytest.fixture(scope="module")
def marts(made_up_marts: Path) -> Path:
    return made_up_marts


def test_the_views_are_these() -> None:
    assert {view.name for view in VIEWS} == {
        "fct_stage_visits", "fct_stage_entries", "conversion_outcomes", "conversion_by_seller",
        "stage_flow", "pipeline_movement",
    }  # fmt: skip


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_each_view_has_its_grain_and_its_types(view: catalogue.PublishedTable, marts: Path) -> None:
    with opened(marts) as connection:
        grain = ", ".join(view.grain)
        query = f"from {view.name} select {grain} group by {grain} having count(*) > 1"
        assert connection.execute(query).fetchall() == []
        types = {row[0]: row[1] for row in connection.execute(f"describe {view.name}").fetchall()}
        assert connection.execute(f"select count(*) from {view.name}").fetchall() != [(0,)]
    assert list(types) == list(view.columns)


def test_conversion_by_seller_nests(marts: Path) -> None:
    found = mart(marts, "conversion_by_seller")
    assert (found["n_reached"] <= found["n_mature"]).all()
    assert (found["n_mature"] <= found["n_entered"]).all()
    sums = found.groupby(["definition_id", "horizon_days"])["n_entered"].sum()
    outcomes = mart(marts, "conversion_outcomes")
    assert sums.to_dict() == outcomes.groupby(["definition_id", "horizon_days"]).size().to_dict()


def test_stage_flow_adds_up_in_every_cell(marts: Path) -> None:
    flow = mart(marts, "stage_flow")
    out = flow[FLOWS[1:]].sum(axis=1)
    assert (flow["n_open_at_start"] + flow["n_entered"] == out + flow["n_open_at_end"]).all()
    cell = ["pipeline_id", "stage_id", "seller_id", "segment", "business_area", "source"]
    flow = flow.sort_values("week_on")
    before = flow.groupby(cell, dropna=False)
    weeks = before["week_on"].shift() == flow["week_on"] - pd.Timedelta(days=7)
    assert (flow["n_open_at_start"] == before["n_open_at_end"].shift().where(weeks, 0)).all()


def test_pipeline_movement_adds_up_in_every_cell(marts: Path) -> None:
    found = mart(marts, "pipeline_movement")
    cell = ["period", "period_start_on", "seller_id", "segment", "business_area", "source",
            "pipeline_id", "close_quarter_on", "currency"]  # fmt: skip
    sign = found["movement"].map({"closing": -1}).fillna(1)
    values = found[["n_deals", "amount", "amount_base"]].astype(float).mul(sign, axis=0)
    assert values.groupby([found[c] for c in cell], dropna=False).sum().round(2).eq(0).all().all()
    closing = found[(found["period"] == "week") & (found["movement"] == "closing")]
    last = closing[closing["period_start_on"] == closing["period_start_on"].max()]
    standing = mart(marts, "pipeline_status")
    assert last["n_deals"].sum() == len(standing)
    assert last["amount"].astype(float).sum() == pytest.approx(
        standing["amount"].astype(float).sum()
    )
    assert last["n_without_amount"].sum() == standing["amount"].isna().sum()


@pytest.mark.parametrize("name", SUMS)
def test_what_is_stored_by_dimension_is_the_view_added_up(name: str, marts: Path) -> None:
    keys, values = (", ".join(names) for names in SUMS[name])
    sums = ", ".join(f"sum({value}) as {value}" for value in SUMS[name][1])
    moves = " or ".join(f"{value} <> 0" for value in SUMS[name][1])
    with opened(marts) as connection:
        columns = [row[0] for row in connection.execute(f"describe {name}").fetchall()]
        dimensions = connection.execute(f"select distinct dimension from {name}_by_dimension")
        for (dimension,) in dimensions.fetchall():
            named = {c for c in columns if c.removesuffix("_id").removesuffix("_on") == dimension}
            value = f"cast({named.pop()} as varchar)" if named else "null"
            stored = (
                f"select {keys}, dimension_value, {values} from {name}_by_dimension "
                f"where dimension = '{dimension}' and ({moves})"
            )
            added = (
                f"select * from (select {keys}, {value} as dimension_value, {sums} from {name} "
                f"group by {keys}, {value}) where {moves}"
            )
            for one, other in ((stored, added), (added, stored)):
                left = connection.execute(f"({one}) except all ({other})").fetchall()
                assert left == [], dimension
            assert connection.execute(f"select count(*) from ({stored})").fetchall() != [(0,)]


def test_ages_at_the_end_of_a_week_are_those_of_the_visits(marts: Path) -> None:
    """Recomputed for all and for each seller, visit by visit."""
    visits = mart(marts, "fct_stage_visits").query("stage_kind == 'open'")
    weeks = mart(marts, "dim_periods").query("period == 'week'")
    stored = mart(marts, "stage_flow_by_dimension")
    week = weeks.iloc[len(weeks) // 2]
    end = week["next_start_on"]
    open_then = visits[(visits["entered_on"] < end) & ~(visits["left_on"] < end)]
    days = (end - open_then["entered_on"]).dt.days
    rows = stored[stored["week_on"] == week["period_start_on"]].dropna(
        subset=["median_days_at_end"]
    )
    of_all = rows[rows["dimension"] == "all"].set_index(["pipeline_id", "stage_id"])
    expected = days.groupby([open_then["pipeline_id"], open_then["stage_id"]]).median()
    assert of_all["median_days_at_end"].to_dict() == expected.to_dict() != {}
    of_sellers = rows[(rows["dimension"] == "seller") & rows["dimension_value"].notna()]
    keys = ["pipeline_id", "stage_id", "seller_id"]
    expected = days.groupby([open_then[key] for key in keys]).median()
    found = of_sellers.set_index(["pipeline_id", "stage_id", "dimension_value"])
    assert found["median_days_at_end"].to_dict() == expected.to_dict() != {}


def test_periods_follow_each_other_to_the_day_of_the_run(marts: Path) -> None:
    for _, rows in mart(marts, "dim_periods").sort_values("period_start_on").groupby("period"):
        starts, ends = rows["period_start_on"].tolist(), rows["next_start_on"].tolist()
        assert starts[1:] == ends[:-1]
        assert ends[-1].date() == date.fromordinal(AS_OF.toordinal() + 1)
