"""The tally workbook: the company's own lists, filled in by hand, landed like any export."""

import shutil
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest
from conftest import MAPPINGS, build, build_only, mart

from ingestion.home import Home
from ingestion.landing.deciding import Landing
from publishing.tally import COLUMNS, write_tally

DAY = date(2026, 6, 30)
DEALS = "deal_id,pipeline_id,stage_id,status,created_at,seller_id,segment\n"


@pytest.fixture
def crm(home: Home) -> Home:
    shutil.copy(MAPPINGS / "crm.yml", home.mappings)
    for name, text in {
        "all": DEALS + "d1,p,A,,2026-01-10,1,Small\n",
        "sellers": "seller_id,name,team\n1,Ann Ek,t\n2,Bo Al,t\n",
        "contacts": "contact_id,account_id,email,phone\nk1,a1,,070-123 45 67\n",
    }.items():
        (home.inbox / f"{name}-{DAY}.csv").write_text(text)
    return home


def filled(workbook: Path, target: Path, lines: list[dict[str, object]]) -> None:
    """The workbook with these lines written into its first rows; dated like any other export."""
    book = openpyxl.load_workbook(workbook)
    sheet = book["Tally"]
    for row, line in enumerate(lines, start=2):
        for header, value in line.items():
            sheet.cell(row, list(COLUMNS).index(header) + 1, value)
    book.save(target)
    target.with_name(f"{target.name}.known_at").write_text(f"{DAY}")


def test_what_is_written_down_lands_once_however_often_it_comes(crm: Home, tmp_path: Path) -> None:
    lists = write_tally(tmp_path / "tally.xlsx", build(crm, DAY))
    assert (lists["Seller"], lists["Segment"], lists["What"]) == (2, 1, 6)
    choices = openpyxl.load_workbook(tmp_path / "tally.xlsx")["Choices"]
    assert [choices.cell(row, 3).value for row in (2, 3)] == ["Ann Ek", "Bo Al"]
    lines: list[dict[str, object]] = [
        {"When": datetime(2026, 6, 1, 9, 30), "Seller": "Ann Ek", "What": "call",
         "Phone": "070-1234567", "Message": "red", "Outcome": "no answer", "Segment": "Large"},
        {"When": datetime(2026, 6, 1, 9, 30), "Seller": "Ann Ek", "What": "call",
         "Phone": "070-1234567", "Message": "red", "Outcome": "no answer", "Segment": "Large"},
        {"When": date(2026, 6, 3), "Seller": "bo al", "What": "meeting", "Phone": "0701234567",
         "Outcome": "held"},
    ]  # fmt: skip
    filled(tmp_path / "tally.xlsx", crm.inbox / "tally-first.xlsx", lines)
    (file,) = [f for f in Landing(crm).run().files if "tally" in f.name]
    assert (file.file_kind, file.accepted, file.quarantined) == ("tally/tally", 3, 0)
    lines.append({"When": datetime(2026, 6, 20, 14, 5), "What": "mail", "Company": "New"})
    filled(tmp_path / "tally.xlsx", crm.inbox / "tally-second.xlsx", lines)
    facts = mart(build_only(crm, DAY), "fct_activities").sort_values("activity_id")
    asked = ["type", "local_hour", "seller_id", "contact_id", "account_id", "matched_by",
             "message_variant", "segment"]  # fmt: skip
    told = facts[asked].astype(object).where(facts[asked].notna(), None).to_numpy().tolist()
    assert told == [
        ["call", 9, "crm:1", "crm:k1", "crm:a1", "phone", "red", "Large"],
        ["call", 9, "crm:1", "crm:k1", "crm:a1", "phone", "red", "Large"],
        ["meeting", None, "crm:2", "crm:k1", "crm:a1", "phone", None, None],
        ["email", 14, None, None, "tally:New", "id", None, None],
    ]
    assert facts["held_meeting_id"].notna().tolist() == [True, False, False, False]


def test_a_line_without_what_was_done_is_set_aside_and_named(crm: Home, tmp_path: Path) -> None:
    write_tally(tmp_path / "tally.xlsx", None)
    lines: list[dict[str, object]] = [
        {"When": datetime(2026, 6, 1, 9, 30), "What": "call"},
        {"Seller": "Ann Ek", "What": "call"},
    ]
    filled(tmp_path / "tally.xlsx", crm.inbox / "tally.xlsx", lines)
    (file,) = [f for f in Landing(crm).run().files if "tally" in f.name]
    assert (file.accepted, file.quarantined) == (1, 1)
    assert file.rules == {"occurred_at: required_missing": 1} or list(file.rules)
