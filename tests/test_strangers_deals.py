"""What the ledger and the pipeline make of files as strangers have them.

The cases are those of tests/cases. test_strangers_files asks how their cells are read.
"""

import shutil
from datetime import date
from pathlib import Path

import pandas as pd
from conftest import CASES, build, mart

from ingestion.home import Home


def built(home: Home, case: str, as_of: date) -> Path:
    """Marts of a case, whose folder lies over the home."""
    (folder,) = CASES.glob(f"{case}-*")
    shutil.copytree(folder, home.root, dirs_exist_ok=True)
    return build(home, as_of)


def status(marts: Path, columns: list[str]) -> pd.DataFrame:
    """Columns of `pipeline_status` by the deal's id without its system."""
    frame = mart(marts, "pipeline_status")
    return frame.set_index(frame["deal_id"].str.replace(r"^\w+:", "", regex=True))[columns]


def test_a_call_on_two_deals_is_the_last_activity_of_both(home: Home) -> None:
    last = status(built(home, "19", date(2026, 10, 20)), ["last_activity_at"])["last_activity_at"]
    # 10:00 in Stockholm in summer.
    assert last["4"] == last["7"] == pd.Timestamp("2026-09-28 08:00")


def test_tasks_that_nobody_did_are_no_contact(home: Home) -> None:
    columns = ["last_activity_at", "next_step_on"]
    found = status(built(home, "20", date(2026, 11, 24)), columns)
    overdue, coming, done, undated = (
        found.loc[f"0067E00000H000{n}QAB"] for n in ("0", "1", "2", "3")
    )
    assert overdue.isna()["last_activity_at"] and overdue.isna()["next_step_on"]
    assert undated.isna()["last_activity_at"] and undated.isna()["next_step_on"]
    assert coming.isna()["last_activity_at"]
    assert pd.Timestamp(coming["next_step_on"]) == pd.Timestamp("2026-12-20")
    # The task has a day only; it was ticked off on that day, at this moment.
    assert done["last_activity_at"] == pd.Timestamp("2026-06-10 15:00")


def test_planned_calls_are_next_steps_until_their_day_has_passed(home: Home) -> None:
    columns = ["last_activity_at", "next_step_on", "is_without_next_step"]
    found = status(built(home, "24", date(2026, 3, 25)), columns)
    for deal in ("H4", "H5"):
        assert pd.Timestamp(found["next_step_on"][deal]) == pd.Timestamp("2026-04-10")
        assert not found["is_without_next_step"][deal]
    assert found["is_without_next_step"]["H7"] and pd.isna(found["last_activity_at"]["H7"])


def test_days_are_days_of_the_companys_zone(home: Home) -> None:
    """Closed on 1 April in New York, the second quarter: the source's times are in UTC."""
    deals = mart(built(home, "20", date(2026, 11, 24)), "dim_deals")
    won = deals[deals["status"] == "won"]
    assert len(won) == 6
    assert set(pd.to_datetime(won["closed_on"])) == {pd.Timestamp("2026-04-01")}


def test_nothing_is_closed_after_as_of(home: Home) -> None:
    deals = mart(built(home, "23", date(2026, 10, 5)), "dim_deals")
    won = deals[deals["status"] == "won"]
    assert len(won) > 0
    assert (pd.to_datetime(won["closed_on"]) <= pd.Timestamp("2026-10-05")).all()


def test_a_task_done_before_it_was_due_is_contact_and_no_next_step(home: Home) -> None:
    (folder,) = CASES.glob("20-*")
    shutil.copytree(folder, home.root, dirs_exist_ok=True)
    (tasks,) = home.inbox.glob("Tasks*")
    text = tasks.read_text()
    tasks.write_text(text.replace("Made,Call,2026-06-10", "Made,Call,2026-12-10"))
    found = status(build(home, date(2026, 11, 24)), ["last_activity_at", "next_step_on"])
    made = found.loc["0067E00000H0002QAB"]
    assert made["last_activity_at"] == pd.Timestamp("2026-06-10 15:00")
    assert pd.isna(made["next_step_on"])
