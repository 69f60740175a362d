"""Exports against each other: the ledger holds what the files say, no more and no less."""

from datetime import date, datetime, time, timedelta
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
import yaml
from conftest import build_only, mart
from exports import AS_OF, CLOSED, IDS, LABELS, STAGES, Told, dated, made_up, told, write

from ingestion.home import Home

STOCKHOLM = ZoneInfo("Europe/Stockholm")


def end_of(day: date) -> pd.Timestamp:
    local = datetime.combine(day, time(23, 59, 59), tzinfo=STOCKHOLM)
    return pd.Timestamp(local).tz_convert("UTC").tz_localize(None)


def utc(local: str) -> pd.Timestamp:
    return pd.Timestamp(local, tz=STOCKHOLM).tz_convert("UTC").tz_localize(None)


Company = tuple[Path, dict[int, Told]]


def built(folder: Path, number: int, has_dates: bool) -> Company:
    """Marts of one company's downloads, and what those say of each deal."""
    home = Home.at(folder / "home")
    home.prepare()
    (home.mappings / "hubspot.yml").write_text(yaml.safe_dump({"stages": STAGES}))
    files = write(*made_up(120, 16, number), home.inbox, has_dates)
    return build_only(home, AS_OF), told(files)


@pytest.fixture(scope="module", params=[1, 2])
def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Company:
    """Lists that say where deals stand, and nothing of how they came there."""
    return built(tmp_path_factory.mktemp("lists"), request.param, has_dates=False)


@pytest.fixture(scope="module")
def dated_company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """Lists with a date column for each stage of each pipeline."""
    return built(tmp_path_factory.mktemp("dates"), 3, has_dates=True)


def ids(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame by the deal's number, ids without their system."""
    frame = frame.replace(r"^hubspot:", "", regex=True)
    return frame.assign(deal_id=frame["deal_id"].astype(int))


def test_every_deal_of_any_file_is_there_once_with_its_last_told_values(
    company: Company,
) -> None:
    marts, said = company
    found = ids(mart(marts, "dim_deals")).set_index("deal_id")
    assert sorted(found.index) == sorted(said)
    for deal_id, deal in said.items():
        row = found.loc[deal_id]
        values = deal.values
        owner = " ".join(values.get("Deal owner", "").split())
        texts = row[["seller_id", "source", "segment"]].fillna("").str.casefold().tolist()
        assert texts == [
            owner.casefold(),
            values.get("Original Traffic Source", "").casefold(),
            values.get("Segment", "").casefold(),
        ]
        amount = values.get("Amount")
        assert float(row["amount"]) == float(amount) if amount else pd.isna(row["amount"])
        created = values.get("Create Date")
        assert row["created_at"] == utc(created) if created else pd.isna(row["created_at"])


def test_the_stages_entered_are_those_that_files_show_in_their_order(
    company: Company,
) -> None:
    marts, said = company
    moves = ids(mart(marts, "fct_stage_transitions")).sort_values(["deal_id", "move_number"])
    for deal_id, rows in moves.groupby("deal_id"):
        shown = [stand[:2] for _, stand in sorted(said[deal_id].stands.items())]
        entered = rows[rows["to_stage_id"].notna()]
        pairs = list(zip(entered["to_pipeline_id"], entered["to_stage_id"], strict=True))
        assert pairs == [pair for pair, _ in groupby(shown)], deal_id


def test_what_a_list_shows_anew_happened_between_it_and_the_one_before(
    company: Company,
) -> None:
    marts, said = company
    moves = ids(mart(marts, "fct_stage_transitions")).sort_values(["deal_id", "move_number"])
    n_checked = 0
    for deal_id, rows in moves[moves["to_stage_id"].notna()].groupby("deal_id"):
        days = sorted(said[deal_id].stands.items())
        firsts = [i for i in range(len(days)) if not i or days[i][1][:2] != days[i - 1][1][:2]]
        for (_, row), i in zip(rows.iterrows(), firsts, strict=True):
            if days[i][1][1].startswith("closed") or not i:
                continue
            n_checked += 1
            assert row["occurred_at"] == end_of(days[i][0])
            assert row["occurred_at_earliest"] == end_of(days[i - 1][0])
            assert row["fidelity"] == "snapshot_diff"
    assert n_checked > 20


def test_an_open_deal_is_followed_as_far_as_it_was_seen(
    company: Company,
) -> None:
    marts, said = company
    status = ids(mart(marts, "pipeline_status")).set_index("deal_id")
    # What was won once and stands in another pipeline now was moved on.
    is_open = {
        deal_id
        for deal_id, deal in said.items()
        if not deal.stands[deal.last_seen][1].startswith("closed")
        and all(stage != "closedwon" for _, stage, _ in deal.stands.values())
    }
    assert set(status.index) >= is_open
    entries = ids(mart(marts, "fct_stage_entries"))
    for deal_id in is_open:
        assert status.loc[deal_id, "last_seen_at"] == end_of(said[deal_id].last_seen)
        until = entries[entries["deal_id"] == deal_id]["followed_until_at"]
        assert (until <= end_of(said[deal_id].last_seen)).all()


def test_imports_and_lists_make_no_entry_that_is_followed_from_its_creation(
    company: Company,
) -> None:
    """Conversion times stages by what was seen: none was in its stage for years before a list."""
    marts, _ = company
    entries = mart(marts, "fct_stage_entries").query("stage_id.notna()")
    wide = entries["entered_at"] - entries["entered_at_earliest"] > timedelta(days=300)
    assert wide.any()
    outcomes = mart(marts, "fct_stage_transitions")
    held = outcomes["seconds_in_from_stage"].dropna()
    assert held.max() < 300 * 86_400


def test_dates_of_stages_are_entries_at_their_time_in_the_pipeline_of_their_header(
    dated_company: Company,
) -> None:
    marts, said = dated_company
    moves = ids(mart(marts, "fct_stage_transitions"))
    moves = moves[moves["to_stage_id"].notna()]
    places = zip(moves["to_pipeline_id"], moves["to_stage_id"], strict=True)
    found = set(zip(moves["deal_id"], places, moves["occurred_at"], strict=True))
    shown = {
        (deal_id, stand[:2]) for deal_id, deal in said.items() for stand in deal.stands.values()
    }
    times = {
        (deal_id, (IDS[pipeline], IDS[label]), utc(deal.values[dated(label, pipeline)]))
        for deal_id, deal in said.items()
        for pipeline, labels in LABELS.items()
        for label in (*labels, *CLOSED)
        if deal.values[dated(label, pipeline)]
    }
    assert len(times) > 100
    # One date column cannot tell that a deal left a stage and came back between two lists.
    again = {
        (deal_id, place, at)
        for deal_id, place, at in times - found
        if max(entry[::-1] for entry in found if entry[0] == deal_id and entry[2] < at)[1] == place
    }
    assert times - again <= found
    assert len(again) < 10
    assert {entry[:2] for entry in found} <= shown | {entry[:2] for entry in times}
