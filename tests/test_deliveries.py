"""Deliveries: exports in any order and wrapping, and nothing lost or deleted on the way."""

import io
import itertools
import os
import shutil
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
import yaml
from conftest import MAPPINGS, build, build_only, hashes, mart, ran, set_company

from ingestion.home import Home
from ingestion.landing.accounting import unaccounted
from ingestion.landing.deciding import Landing
from ingestion.landing.inbox import is_new
from ingestion.landing.report import Report
from publishing.gate.checks import CheckResult
from publishing.gate.landed_files import check_landing

DEALS = "deal_id,stage_id,status,pipeline_id,created_at,amount,currency,seller_id\n"
CHANGES = "deal_id,field,new_value,occurred_at,fidelity\n"
DAY = date(2026, 3, 31)


def deal(identity: str, stage: str, amount: int = 100, seller: str = "s1") -> str:
    return f"{identity},{stage},,p,2026-01-02,{amount},SEK,{seller}\n"


DROPS = {
    "part-2026-01-31.csv": DEALS + deal("D1", "A") + deal("D2", "B"),
    "part-2026-02-28.csv": DEALS + deal("D1", "B", 200) + deal("D3", "A"),
    "part-b-2026-02-28.csv": DEALS + deal("D2", "W") + deal("D3", "A"),
    "part-2026-03-31.csv": DEALS + deal("D1", "C", 200, "s2") + deal("D2", "W"),
    "changes-2026-03-31.csv": CHANGES + "D1,stage_id,B,2026-02-10T10:00:00Z,event_log\n",
}


@pytest.fixture
def crm(home: Home) -> Home:
    shutil.copy(MAPPINGS / "crm.yml", home.mappings)
    return home


def deliver(home: Home, **files: str | bytes) -> None:
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (home.inbox / name).write_bytes(data)


def zipped(files: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def workbook(**sheets: str) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.remove(book.active)
    for name, text in sheets.items():
        sheet = book.create_sheet(name)
        for line in text.splitlines():
            sheet.append(line.split(","))
    book.save(out)
    return out.getvalue()


# --- order, split, overlap -----------------------------------------------------------------------


def test_any_order_of_arrival_gives_the_same_marts(tmp_path: Path) -> None:
    """One file a landing, in every order of a sample; late ones change what was there before.

    Marts are made of the loads in force: where these are the same, rows and all, so are they.
    """
    landed, marts = set(), set()
    for n, order in enumerate(itertools.islice(itertools.permutations(DROPS), 0, 120, 20)):
        home = Home.at(tmp_path / f"home{n}")
        home.prepare()
        shutil.copy(MAPPINGS / "crm.yml", home.mappings)
        for name in order:
            deliver(home, **{name: DROPS[name]})
            loads = Landing(home).run().loads
        landed.add(tuple((load, *hashes(home.landed / load).items()) for load in loads))
        if n in (0, 3):
            marts.add(tuple(hashes(build(home, DAY)).items()))
    assert (len(landed), len(marts)) == (1, 1)


def test_an_older_export_that_comes_late_does_not_undo_a_newer_one(crm: Home) -> None:
    deliver(crm, **{"part-2026-03-31.csv": DROPS["part-2026-03-31.csv"]})
    Landing(crm).run()
    deliver(crm, **{"part-2026-01-31.csv": DROPS["part-2026-01-31.csv"]})
    deals = mart(build_only(crm, DAY), "dim_deals").set_index("deal_id")
    assert deals.loc["crm:D1", "stage_id"] == "crm:C"
    assert deals.loc["crm:D1", "seller_id"] == "crm:s2"


def test_records_that_several_files_repeat_count_once(crm: Home) -> None:
    deliver(crm, **DROPS)
    deliver(crm, **{"part-again-2026-03-31.csv": DROPS["part-2026-03-31.csv"] + deal("D3", "A")})
    deals = mart(build_only(crm, DAY), "dim_deals")
    assert sorted(deals["deal_id"]) == ["crm:D1", "crm:D2", "crm:D3"]


# --- archives ------------------------------------------------------------------------------------


def test_a_zipped_export_lands_file_by_file(crm: Home, tmp_path: Path) -> None:
    loose = Home.at(tmp_path / "loose")
    loose.prepare()
    shutil.copy(MAPPINGS / "crm.yml", loose.mappings)
    deliver(loose, **DROPS)
    packed = {f"export/{name}": content for name, content in DROPS.items()}
    deliver(crm, **{"all.zip": zipped(packed | {"__MACOSX/._x": b"x", "export/.hidden": b"y"})})
    outcomes = {file.name: file.outcome for file in Landing(crm).run().files}
    assert outcomes == {f"all.zip/export/{name}": "landed" for name in DROPS}
    assert hashes(build(crm, DAY)) == hashes(build(loose, DAY))


def test_a_zips_name_or_sidecar_dates_what_is_in_it(crm: Home) -> None:
    deliver(
        crm, **{"part-2026-01-31.zip": zipped({"part-deals.csv": DROPS["part-2026-01-31.csv"]})}
    )
    (file,) = Landing(crm).run().files
    assert file.known_at == "2026-01-31 22:59:59"


def test_a_member_without_last_line_end_is_not_held_for_ever(crm: Home) -> None:
    files = {"part-a.csv": CUT, "part-a.csv.known_at": "2026-01-31"}
    deliver(crm, **{"x.zip": zipped(files)})
    os.utime(crm.inbox / "x.zip", (1_700_000_000, 1_700_000_000))
    (file,) = Landing(crm).run().files
    assert (file.accepted, file.quarantined) == (1, 1)
    assert file.known_at == "2026-01-31 22:59:59"


def test_a_name_that_is_not_utf8_lands_like_any_other(crm: Home) -> None:
    path = os.fsencode(crm.inbox) + b"/part-f\xf6rs-2026-01-31.csv"
    with open(path, "w") as file:  # noqa: PTH123  (a name that no text can hold)
        file.write(DROPS["part-2026-01-31.csv"])
    (outcome,) = Landing(crm).run().files
    assert (outcome.outcome, outcome.known_at) == ("landed", "2026-01-31 22:59:59")
    assert not is_new(crm)


def test_one_bad_member_stops_no_other(crm: Home) -> None:
    deliver(crm, **{"x.zip": zipped({"part-2026-01-31.csv": DROPS["part-2026-01-31.csv"],
                                     "notes.csv": "a,b\n1,2\n"})})  # fmt: skip
    outcomes = {file.name: (file.outcome, file.rule) for file in Landing(crm).run().files}
    assert outcomes == {"x.zip/part-2026-01-31.csv": ("landed", ""),
                        "x.zip/notes.csv": ("rejected", "unrecognised")}  # fmt: skip


# --- workbooks -----------------------------------------------------------------------------------


def test_each_sheet_of_a_workbook_lands_by_its_own_mapping(crm: Home) -> None:
    sheets = {
        "part-deals": DEALS + deal("D1", "A"),
        "Log": CHANGES + "D1,stage_id,B,2026-02-10,event_log\n",
        "Readme": "hello,there\n",
        "Empty": "",
    }
    deliver(crm, **{"book-2026-03-31.xlsx": workbook(**sheets)})
    report = Landing(crm).run()
    found = {file.name: file.file_kind for file in report.files}
    assert found == {"book-2026-03-31.xlsx [part-deals]": "crm/deals",
                     "book-2026-03-31.xlsx [Log]": "crm/changes"}  # fmt: skip
    assert all("[Readme]" in file.unused for file in report.files)
    assert [file.outcome for file in Landing(crm).run().files] == ["already_landed"] * 2


def test_a_mapping_added_later_takes_the_sheets_it_is_for(crm: Home) -> None:
    sheets = {"part-deals": DEALS + deal("D1", "A"), "Calls": "Call,When,Kind\n1,2026-01-02,call\n"}
    deliver(crm, **{"book-2026-03-31.xlsx": workbook(**sheets)})
    (file,) = Landing(crm).run().files
    assert "[Calls]" in file.unused
    columns = {"activity_id": "Call", "occurred_at": "When", "type": "Kind"}
    mapping = {"system": "phone", "doc": "t", "files": {"calls": {
        "doc": "t", "headers": [["Call"], ["When"]], "tables": {"activities": {
            "columns": columns}}}}}  # fmt: skip
    (crm.mappings / "phone.yml").write_text(yaml.safe_dump(mapping))
    found = {file.file_kind: file.accepted for file in Landing(crm).run().files}
    assert found == {"crm/deals": 1, "phone/calls": 1}


def test_a_better_mapping_added_later_takes_the_file_over(home: Home) -> None:
    columns = {"deal_id": "Ref", "stage_id": "Phase"}
    for name, headers in (("first", [["Ref"]]), ("better", [["Ref"], ["Phase"]])):
        file = {"doc": "t", "headers": headers, "tables": {"deals": {"columns": columns}}}
        mapping = {"system": name, "doc": "t", "files": {"deals": file}}
        (home.mappings / f"{name}.yml").write_text(yaml.safe_dump(mapping))
        deliver(home, **{"x.csv": "Ref,Phase\n1,New\n"})
        report = Landing(home).run()
        assert [file.file_kind for file in report.files] == [f"{name}/deals"]
        assert len(report.loads) == 1


def test_a_sheet_that_nearly_fits_rejects_the_workbook(crm: Home) -> None:
    """Its records would be missing without anybody being told."""
    log = CHANGES.replace("occurred_at", "när") + "D1,x,y,z,w\n"
    book = workbook(**{"part-deals": DEALS + deal("D1", "A"), "Log": log})
    deliver(crm, **{"book-2026-03-31.xlsx": book})
    (file,) = Landing(crm).run().files
    assert file.rule == "required_column_missing"
    assert "occurred_at" in file.message


# --- files that may not be whole -----------------------------------------------------------------

CUT = DEALS + deal("D1", "A") + deal("D2", "B").rstrip("\n")


def test_a_file_that_may_still_be_being_written_is_held(crm: Home) -> None:
    deliver(crm, **{"part-2026-01-31.csv": CUT})
    report = Landing(crm).run()
    assert [(file.outcome, file.load_id) for file in report.files] == [("held", "")]
    assert not list(crm.archive.glob("*[0-9a-f]"))
    deliver(crm, **{"part-2026-01-31.csv": CUT + "\n"})
    assert [file.outcome for file in Landing(crm).run().files] == ["landed"]


def test_a_last_line_without_end_is_set_aside_unless_declared_whole(crm: Home) -> None:
    deliver(crm, **{"part-2026-01-31.csv": CUT})
    os.utime(crm.inbox / "part-2026-01-31.csv", (1_700_000_000, 1_700_000_000))
    (file,) = Landing(crm).run().files
    assert (file.accepted, file.rules) == (1, {"last_line_without_end": 1})
    mapping = yaml.safe_load((crm.mappings / "crm.yml").read_text())
    mapping["files"]["deals"]["dialect"] = {"open_end": True}
    (crm.mappings / "crm.yml").write_text(yaml.safe_dump(mapping))
    (file,) = Landing(crm).run().files
    assert (file.outcome, file.accepted, file.rules) == ("relanded", 2, {})


def test_a_file_that_goes_away_meanwhile_is_held(
    crm: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(crm, **DROPS)
    gone = crm.inbox / "part-2026-01-31.csv"

    def opened(path: Any, *arguments: Any, **named: Any) -> int:
        if path == gone:
            gone.rename(crm.root / "elsewhere")
        return real(path, *arguments, **named)

    real = os.open
    monkeypatch.setattr(os, "open", opened)
    outcomes = {file.name: file.outcome for file in Landing(crm).run().files}
    assert outcomes.pop(gone.name) == "held"
    assert set(outcomes.values()) == {"landed"}


def test_what_was_quarantined_is_taken_up_when_its_mapping_is_mended(crm: Home) -> None:
    deliver(
        crm,
        **{"part-2026-01-31.csv": DEALS + deal("D1", "A") + deal("D2", "B").replace("SEK", "kr")},
    )
    (file,) = Landing(crm).run().files
    assert file.rules == {"currency: unknown_currency": 1}
    (crm.inbox / file.name).unlink()
    mapping = yaml.safe_load((crm.mappings / "crm.yml").read_text())
    cell = {"from": "currency", "values": {"kr": "SEK"}}
    mapping["files"]["deals"]["tables"]["deals"]["columns"]["currency"] = cell
    (crm.mappings / "crm.yml").write_text(yaml.safe_dump(mapping))
    (file,) = Landing(crm).run().files
    assert (file.outcome, file.accepted, file.rules) == ("relanded", 2, {})


# --- conservation --------------------------------------------------------------------------------


def test_every_record_and_krona_is_found_again(crm: Home) -> None:
    deliver(crm, **DROPS)
    undated = deal("D8", "A", 9).replace("2026-01-02", "soon")
    deliver(crm, **{"part-x-2026-03-31.csv": DEALS + deal("D7", "A", 7) + undated})
    report = Landing(crm).run()
    folders = [crm.landed / load for load in report.loads]
    assert unaccounted(folders) == []
    (file,) = (f for f in report.files if f.quarantined)
    path = crm.landed / file.load_id / "deals.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"create table t as from '{path}'")
        for change, fault in (
            ("update t set amount = amount + 1", "SEK in and out differ"),
            ("delete from t", "rows of deals are missing"),
        ):
            connection.execute(change)
            connection.execute(f"copy t to '{path}' (format parquet)")
            assert any(fault in line for line in unaccounted(folders))


def test_a_lost_record_stops_the_run(crm: Home) -> None:
    def conserved(report: Report) -> CheckResult:
        return check_landing(crm, report)[1]

    deliver(crm, **DROPS)
    report = Landing(crm).run()
    assert conserved(report).outcome == "passed"
    rejects = next(crm.landed.glob("*/rejects.parquet"))
    with duckdb.connect() as connection:
        connection.execute(f"create table t as from '{rejects}'")
        connection.execute(f"insert into t values (1, 'deals', 'made up', '{rejects.parent.name}')")
        connection.execute(f"copy t to '{rejects}' (format parquet)")
    result = conserved(report)
    assert result.outcome == "failed"
    assert "records in and out differ" in result.detail


# --- deletions -----------------------------------------------------------------------------------


def test_a_complete_export_cut_short_deletes_nothing_until_confirmed(crm: Home) -> None:
    from publishing.sets import PublishedSets

    everyone = DEALS + "".join(deal(f"D{i}", "A") for i in range(30))
    deliver(crm, **{"all-2026-03-01.csv": everyone})
    assert ran(crm, date(2026, 3, 1))
    deliver(crm, **{"all-2026-03-02.csv": "".join(everyone.splitlines(keepends=True)[:20])})
    assert not ran(crm, date(2026, 3, 2))
    published = PublishedSets(crm)
    (reason,) = published.status().refused.reasons
    assert "11 of 30 deals gone with the crm export known 2026-03-02" in reason
    assert len(mart(published.current(), "pipeline_status")) == 30
    set_company(
        crm,
        accepted_changes=[{"check": "few_records_are_deleted_at_once", "as_of": "2026-03-02",
                           "why": "a register was cleaned up"},
                          {"check": "deals_keep_their_number", "as_of": "2026-03-02",
                           "why": "a register was cleaned up"}],
    )  # fmt: skip
    assert ran(crm, date(2026, 3, 2))
    assert len(mart(published.current(), "pipeline_status")) == 19
    deliver(crm, **{"all-2026-03-03.csv": "".join(everyone.splitlines(keepends=True)[:20])})
    assert ran(crm, date(2026, 3, 3))
