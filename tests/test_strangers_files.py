"""Files as strangers have them: each of tests/cases lands with the values that are right.

The cases are invented rows after situations that people who do this job reported; each stands for a
kind of file. What the ledger makes of them is asked in tests/test_strangers_deals.py.
"""

import shutil
from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest
import yaml
from conftest import CASES, set_company
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from ingestion.casting.macros import INVISIBLE, create_macros
from ingestion.home import Home
from ingestion.landing.deciding import Landing
from ingestion.landing.report import FileOutcome, Report


def deliver(home: Home, case: str) -> None:
    """A case's files into the home: a file into its inbox, a folder over the home."""
    (found,) = CASES.glob(f"{case}-*")
    if found.is_dir():
        shutil.copytree(found, home.root, dirs_exist_ok=True)
    else:
        shutil.copy(found, home.inbox)


def mapping(home: Home, headers: list[str], tables: dict[str, Any], **words: Any) -> None:
    """A mapping of the home's own for one kind of file."""
    file = {"doc": "A list", "headers": [[h] for h in headers], "tables": tables, **words}
    own = {"system": "own", "doc": "Own", "files": {"list": file}}
    (home.mappings / "own.yml").write_text(yaml.safe_dump(own))


def land(home: Home) -> Report:
    report = Landing(home).run()
    assert not report.having("rejected"), [file.message for file in report.files]
    return report


def rows(home: Home, report: Report, table: str, columns: str) -> list[tuple[Any, ...]]:
    """Landed rows of an input table, in the order of their records."""
    paths = [home.landed / load / f"{table}.parquet" for load in report.loads]
    known = [str(path) for path in paths if path.exists()]
    with duckdb.connect() as connection:
        return connection.execute(
            f"select {columns} from read_parquet(?, filename = true) "
            "order by known_at, filename, record_number",
            [known],
        ).fetchall()


def the(report: Report) -> FileOutcome:
    (file,) = report.files
    return file


DEALS = {"deal_id": "Deal", "stage_id": "Stage", "created_at": "Created"}
AMOUNT = {"currency": {"constant": "SEK"}}


def test_large_amounts_of_a_workbook_land_to_the_ore(home: Home) -> None:
    deliver(home, "02")
    mapping(home, ["Deal"], {"deals": {"columns": {**DEALS, "amount": "Amount", **AMOUNT}}})
    report = land(home)
    found = [amount for (amount,) in rows(home, report, "deals", "amount")]
    assert found[:4] == [
        Decimal("13235294.12"), Decimal("9999999.99"), Decimal("10000000.01"),
        Decimal("25882352.94"),
    ]  # fmt: skip
    assert (len(found), the(report).quarantined) == (7, 0)


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("1234.625", Decimal("1234.63")),
        ("1039.9900000000002", Decimal("1039.99")),
        ("0.1", Decimal("0.10")),
        ("7", Decimal("7.00")),
    ],
)
def test_a_number_of_json_has_no_writer_who_meant_thousands(
    home: Home, written: str, amount: Decimal
) -> None:
    columns = {"deal_id": "id", "created_at": "at", "amount": "sum", **AMOUNT}
    mapping(home, ["id"], {"deals": {"columns": columns}}, formats=["jsonl"])
    line = f'{{"id": "a", "at": "2026-01-01", "sum": {written}}}\n'
    (home.inbox / "a.jsonl").write_text(line)
    assert rows(home, land(home), "deals", "amount") == [(amount,)]
    # The same as text was written by somebody: three decimals may be thousands.
    (home.inbox / "a.jsonl").write_text(line.replace(written, f'"{written}"'))
    again = Landing(home).run().files[0]
    assert (again.outcome == "rejected") == (written == "1234.625")


def test_rows_without_an_id_are_numbered_and_it_is_said(home: Home) -> None:
    deliver(home, "06")
    columns = {"deal_id": {"row_number": True}, "seller_id": "Seller", "status": "Status"}
    mapping(home, ["Client"], {"deals": {"columns": columns}}, dialect={"separator": ";"})
    report = land(home)
    ids = [identity for (identity,) in rows(home, report, "deals", "deal_id")]
    assert len(set(ids)) == len(ids) == 40
    assert the(report).notes["ids are places in this one file, and change with the next"] == 40


def test_lines_that_end_in_carriage_returns_only(home: Home) -> None:
    deliver(home, "08")
    columns = {"deal_id": "Ref", "stage_id": "Phase", "amount": "Sum", **AMOUNT}
    mapping(home, ["Ref"], {"deals": {"columns": columns}}, dialect={"skip_lines": 1})
    found = rows(home, land(home), "deals", "deal_id, stage_id, amount")
    assert found == [("own:D1", "own:Won", Decimal(10)), ("own:D2", "own:Open", Decimal(20))]


def test_what_nobody_sees_in_an_id_is_not_in_it(home: Home) -> None:
    deliver(home, "09")
    mapping(home, ["Deal"], {"deals": {"columns": {**DEALS, "amount": "Amount", **AMOUNT}}})
    report = land(home)
    found = {identity for (identity,) in rows(home, report, "deals", "deal_id")}
    assert found == {"own:D1", "own:D2", "own:D 3"}
    assert the(report).notes["deal_id brought to one form"] == 3


@seed(12)
@settings(max_examples=100, deadline=None, database=None)
@given(st.text(st.sampled_from("Ab1 '.0\u200b\u00a0\u2009\ufeff\u202e"), min_size=1, max_size=8))
def test_an_id_has_one_form_however_it_is_written(text: str) -> None:
    """Recomputed letter by letter."""
    with duckdb.connect() as connection:
        create_macros(connection)
        query = "select unified_id(trimmed(visible(?)))"
        ((once,),) = connection.execute(query, [text]).fetchall()
    kept = "".join(c for c in text if c not in "\u200b\ufeff\u202e")
    kept = "".join(" " if c.isspace() else c for c in kept).strip()
    expected = " ".join(part for part in kept.lstrip("'").split(" ") if part)
    whole, point, zeros = expected.partition(".")
    if point and whole.isdigit() and zeros and not zeros.strip("0"):
        expected = whole
    assert once.strip() == expected or "'" in expected
    assert INVISIBLE[1] not in once


def test_days_without_a_year_take_the_one_that_the_mapping_gives(home: Home) -> None:
    deliver(home, "11")
    columns = {"deal_id": {"row_number": True}, "created_at": {"join": ["day", "month"]}}
    dialect = {"separator": ",", "dates": ["%d %b"], "year": 2025}
    mapping(home, ["day", "month"], {"deals": {"columns": columns}}, dialect=dialect)
    found = rows(home, land(home), "deals", "created_at")
    # Stockholm is an hour ahead of UTC in winter and two in summer; October 30 is winter again.
    assert found == [
        (datetime(2025, 5, 4, 22),), (datetime(2025, 6, 11, 22),), (datetime(2025, 10, 29, 23),),
    ]  # fmt: skip


def test_salesforce_ids_of_15_and_18_characters_are_one(home: Home) -> None:
    deliver(home, "13")
    report = land(home)
    ids = {identity for (identity,) in rows(home, report, "deals", "deal_id")}
    assert len(ids) == 10
    assert "salesforce:0067E00000aB00XQAS" in ids
    (task,) = rows(home, report, "activities", "deal_id")
    assert task == ("salesforce:0067E00000aB00XQAS",)


def test_ids_that_a_tool_turned_into_floats_are_the_same_ids(home: Home) -> None:
    deliver(home, "14")
    report = land(home)
    deals = {identity for (identity,) in rows(home, report, "deals", "deal_id")}
    logged = {identity for (identity,) in rows(home, report, "deal_changes", "deal_id")}
    assert logged and logged <= deals
    sellers = {s for (s,) in rows(home, report, "deals", "seller_id") if s}
    assert sellers <= {s for (s,) in rows(home, report, "sellers", "seller_id")}


def test_per_cent_cells_are_fractions_and_some_workbooks_begin_in_1904(home: Home) -> None:
    deliver(home, "21")
    (home.mappings / "pipedrive.yml").write_text(
        yaml.safe_dump({"files": {"deals": {"dialect": {"dates": ["iso", "excel_serial"]}}}})
    )
    report = land(home)
    found = rows(home, report, "deals", "deal_id, probability, created_at, closed_at")
    chances = [p for identity, p, *_ in found if p is not None]
    assert chances == pytest.approx([0.1, 0.75, 0.9, *chances[3:]])
    assert all(0 < chance < 1 for chance in chances)
    (serials,) = [row[2:] for row in found if row[0] == "pipedrive:102"]
    assert serials == (datetime(2026, 2, 1, 8), datetime(2026, 5, 1, 7))


def test_units_go_by_a_word_of_the_mapping_and_other_currencies_do_not(home: Home) -> None:
    deliver(home, "22")
    columns = {
        "deal_id": "Affärsnr", "stage_id": "Fas", "created_at": "Skapad",
        "amount": {"from": "Ordervärde", "without": ["kr", ":-"]}, **AMOUNT,
    }  # fmt: skip
    dialect = {"separator": ";", "encoding": "cp1252", "decimal": ",", "nulls": ["-"]}
    mapping(home, ["Affärsnr"], {"deals": {"columns": columns}}, dialect=dialect)
    report = land(home)
    found = [amount for (amount,) in rows(home, report, "deals", "amount")]
    assert found[:6] == [
        Decimal("125000.00"), Decimal("80000.00"), None, Decimal("1250000.00"),
        Decimal("95500.50"), Decimal("60000.00"),
    ]  # fmt: skip
    assert the(report).quarantined == 0
    file = next(home.inbox.iterdir())
    file.write_bytes(file.read_bytes().replace(b"125\xa0000 kr", b"125\xa0000 EUR", 1))
    assert list(land(home).files[-1].rules) == ["Ordervärde: not_a_number"]


@pytest.mark.parametrize(
    ("written", "amount"),
    [("\u2212250,50", "-250.50"), ("(1 250)", "-1250"), ("250-", "-250"), ("-0,5", "-0.5")],
)
def test_credit_notes_are_accepted_where_the_mapping_says_so(
    home: Home, written: str, amount: str
) -> None:
    for negative in (False, True):
        cell = {"from": "Sum", "negative": negative}
        columns = {"deal_id": "Ref", "created_at": "At", "amount": cell, **AMOUNT}
        dialect = {"separator": ";", "decimal": ","}
        mapping(home, ["Ref"], {"deals": {"columns": columns}}, dialect=dialect)
        rest = "".join(f"R{i};2026-01-01;1\n" for i in range(9))
        (home.inbox / "a.csv").write_text(f"Ref;At;Sum\nC;2026-01-01;{written}\n{rest}")
        report = land(home)
        assert report.files[-1].quarantined == (0 if negative else 1)
    assert rows(home, report, "deals", "amount")[0] == (Decimal(amount),)


def test_what_a_report_says_below_its_records_is_counted_apart(home: Home) -> None:
    deliver(home, "23")
    report = land(home)
    small = next(file for file in report.files if "small" in file.name)
    assert (small.accepted, small.quarantined) == (small.records, 0)
    assert small.notes["lines below the records"] == 5


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_lines_below_the_records_can_be_declared(home: Home, form: str) -> None:
    import openpyxl

    lines = ["Ref,At,Sum", "A,2026-01-01,1", "B,2026-01-01,2", "made by,x,", "page 1,,"]
    columns = {"deal_id": "Ref", "created_at": "At", "amount": "Sum", **AMOUNT}
    mapping(home, ["Ref"], {"deals": {"columns": columns}}, dialect={"skip_last_lines": 2})
    if form == "csv":
        (home.inbox / "a.csv").write_text("\n".join([*lines[:3], "", *lines[3:], "", ""]))
    else:
        book = openpyxl.Workbook()
        for line in lines:
            book.active.append(line.split(","))
        book.save(home.inbox / "a.xlsx")
    report = land(home)
    assert [row[0] for row in rows(home, report, "deals", "deal_id")] == ["own:A", "own:B"]
    assert the(report).quarantined == 0


def test_half_a_letter_in_a_cell_nobody_asks_for_rejects_nothing(home: Home) -> None:
    columns = {"deal_id": "id", "created_at": "at"}
    mapping(home, ["id"], {"deals": {"columns": columns}}, formats=["jsonl"])
    notes = ["\\ud83d", "\\ude00 x", "\\ud83d\\ude00"]
    (home.inbox / "a.jsonl").write_text(
        "".join(f'{{"id": "{i}", "at": "2026-01-01", "note": "{n}"}}\n'
                for i, n in enumerate(notes))
    )  # fmt: skip
    report = land(home)
    assert (the(report).accepted, the(report).quarantined) == (3, 0)


def test_times_without_signs_between(home: Home) -> None:
    set_company(home, zone="UTC")
    deliver(home, "04")
    columns = {
        "deal_id": "Opportunity ID", "field": {"constant": "stage_id"},
        "old_value": "Transition From Stage Name", "new_value": "Transition To Stage",
        "occurred_at": "Transition To Timestamp", "changed_by": "Transition By",
        "fidelity": {"constant": "event_log"},
    }  # fmt: skip
    mapping(
        home,
        ["Opportunity ID"],
        {"deal_changes": {"columns": columns}},
        dialect={"dates": ["%Y%m%d%H%M%S"]},
        known_at={"constant": "2026-04-01"},
    )
    found = rows(home, land(home), "deal_changes", "new_value, occurred_at")
    assert found[1] == ("own:Propose", datetime(2026, 1, 19, 14, 5))
    assert len(found) == 5


TWO_ORDERS = {
    "system": "own",
    "doc": "Two offices, one form",
    "files": {
        office: {
            "doc": office,
            "headers": ["Deal", "Made"],
            "dialect": {"dates": [order]},
            "tables": {"deals": {"columns": {"deal_id": "Deal", "created_at": "Made"}}},
        }
        for office, order in (("boston", "%m/%d/%Y"), ("leeds", "%d/%m/%Y"))
    },
}


@pytest.mark.parametrize(
    ("days", "office"),
    [(["01/02/2026", "01/13/2026"], "boston"), (["01/02/2026", "13/01/2026"], "leeds")],
)
def test_mappings_that_differ_in_dates_are_told_apart_by_the_cells(
    home: Home, days: list[str], office: str
) -> None:
    (home.mappings / "own.yml").write_text(yaml.safe_dump(TWO_ORDERS))
    (home.inbox / "deals.csv").write_text("Deal,Made\n" + "".join(f"{d},{d}\n" for d in days))
    (file,) = Landing(home).run().files
    assert file.file_kind == f"own/{office}"


def test_dates_that_both_orders_read_are_asked_about(home: Home) -> None:
    (home.mappings / "own.yml").write_text(yaml.safe_dump(TWO_ORDERS))
    (home.inbox / "deals.csv").write_text("Deal,Made\na,01/02/2026\n")
    (file,) = Landing(home).run().files
    assert file.outcome == "rejected"
    assert "fits own/boston and own/leeds" in file.message
