"""From cells to typed rows: accepted, quarantined with a rule, or rejected whole."""

import codecs
import gzip
import json
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
import yaml
from conftest import set_company
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.casting.hashing import normalised_phone
from ingestion.home import Home
from ingestion.landing.deciding import Landing
from ingestion.landing.manifest import read_manifests
from ingestion.landing.report import FileOutcome

COLUMNS = {
    "deal_id": "Id",
    "amount": "Amount",
    "currency": {"from": ["Currency"], "default": "company_currency"},
    "created_at": "Created",
    "expected_close_on": "Close",
    "probability": "Chance",
    "source": "Source",
}


def use_mapping(home: Home, **dialect: Any) -> None:
    file = {
        "doc": "test",
        "formats": ["csv", "xlsx", "jsonl", "parquet"],
        "headers": [["Id"], ["Amount"]],
        "known_at": {"constant": "2026-12-31"},
        "dialect": dialect,
        "tables": {"deals": {"columns": COLUMNS}},
    }
    mapping = {"system": "test", "doc": "test", "files": {"deals": file}}
    (home.mappings / "test.yml").write_text(yaml.safe_dump(mapping))


def land(home: Home, content: bytes | str, name: str = "deals.csv", **dialect: Any) -> FileOutcome:
    use_mapping(home, **dialect)
    data = content.encode() if isinstance(content, str) else content
    (home.inbox / name).write_bytes(data)
    (outcome,) = Landing(home).run().files
    return outcome


def rows(home: Home, outcome: FileOutcome) -> list[dict[str, Any]]:
    path = home.landed / outcome.load_id / "deals.parquet"
    with duckdb.connect() as connection:
        frame = connection.execute(f"from read_parquet('{path}') order by record_number")
        names = [d[0] for d in frame.description]
        return [dict(zip(names, row, strict=True)) for row in frame.fetchall()]


def one(home: Home, column: str, text: str, **dialect: Any) -> Any:
    """The typed value of one cell, or the rule it was quarantined for."""
    headers = {"amount": "Amount", "created_at": "Created", "expected_close_on": "Close"}
    headers |= {
        "probability": "Chance",
        "currency": "Currency",
        "source": "Source",
        "deal_id": "Id",
    }
    cells = {"Id": "a", "Amount": "1"} | {headers[column]: text}
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells.values()]
    # A second, good row keeps the file from being rejected as a whole.
    good = ['"z"', '"1"', *['""'] * (len(cells) - 2)]
    content = "\n".join(";".join(line) for line in (cells, quoted, good)) + "\n"
    outcome = land(home, content, separator=";", **dialect)
    if outcome.quarantined:
        rule = sorted(outcome.rules)[0]
        assert rule.startswith(headers[column] + ": ")
        return rule.partition(": ")[2]
    assert outcome.outcome == "landed", outcome.message
    return rows(home, outcome)[0][column]


# --- money, numbers, dates -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "expected"),
    [
        ("117.0", ".", "", Decimal("117.00")),
        ("1 234 567,50", ",", "", Decimal("1234567.50")),
        ("1\u00a0234\u00a0567,50", ",", "", Decimal("1234567.50")),
        ("1\u202f234,5", ",", "", Decimal("1234.50")),
        ("1.234,50", ",", ".", Decimal("1234.50")),
        ("1,234.50", ",", "", "not_a_number"),
        ("1,234", ".", "", "not_a_number"),
        ("1,234", ",", "", "three_decimals"),
        ("1,234.50", ".", ",", Decimal("1234.50")),
        ("117.0051", ".", "", "too_many_decimals"),
        ("117.500", ".", "", "three_decimals"),  # or a hundred and seventeen thousand?
        ("1.000", ".", "", "three_decimals"),
        ("117.5000", ".", "", Decimal("117.50")),
        ("1234.50", ",", ".", "not_a_number"),
        ("1 2 3", ".", "", "not_a_number"),
        ("-5", ".", "", "below_minimum"),
        ("12345678901234567", ".", "", "too_large"),
        ("NaN", ".", "", "not_a_number"),
        ("#REF!", ".", "", "error_value"),
        ("1e6", ".", "", "not_a_number"),
    ],
)
def test_money(home: Home, text: str, decimal: str, thousands: str, expected: Any) -> None:
    assert one(home, "amount", text, decimal=decimal, thousands=thousands) == expected


@given(st.decimals(min_value=0, max_value=10**13, places=2))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_money_written_the_swedish_way_reads_back(home: Home, amount: Decimal) -> None:
    text = f"{amount:,.2f}".replace(",", "\u00a0").replace(".", ",")
    assert one(home, "amount", text, decimal=",") == amount


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.4", 0.4), ("40 %", 0.4), ("40%", 0.4), ("1.4", "not_between_0_and_1"),
        ("high", "not_a_number"),
    ],
)  # fmt: skip
def test_probability(home: Home, text: str, expected: Any) -> None:
    found = one(home, "probability", text)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize(
    ("text", "dates", "expected"),
    [
        ("2026-03-01 10:00", ["iso"], "2026-03-01 09:00:00"),  # Stockholm, winter
        ("2026-07-01 10:00", ["iso"], "2026-07-01 08:00:00"),
        ("2026-07-01T10:00:00Z", ["iso"], "2026-07-01 10:00:00"),
        ("2026-07-01T10:00:00.123+03:00", ["iso"], "2026-07-01 07:00:00.123000"),
        ("2026-07-01", ["iso"], "2026-06-30 22:00:00"),
        ("7/1/2026", ["%m/%d/%Y"], "2026-06-30 22:00:00"),
        ("2026-02-30", ["iso"], "not_a_date"),
        ("0026-01-01", ["iso"], "date_out_of_range"),
        ("9999-12-31", ["iso"], "date_out_of_range"),
        ("2026-03-29 02:30", ["iso"], "local_time_skipped_by_summer_time"),
        ("2025-10-26 02:30", ["iso"], "2025-10-26 01:30:00"),  # twice: read as the later
        ("45631.5", ["excel_serial"], "2024-12-05 11:00:00"),
        ("1767225600", ["epoch"], "2026-01-01 00:00:00"),
        ("1767225600123", ["epoch_ms"], "2026-01-01 00:00:00.123000"),
    ],
)
def test_timestamps(home: Home, text: str, dates: list[str], expected: str) -> None:
    assert str(one(home, "created_at", text, dates=dates)) == expected


def test_times_that_occur_twice_are_counted(home: Home) -> None:
    outcome = land(home, "Id,Amount,Created\na,1,2025-10-26 02:30\nb,1,2025-10-26 04:30\n")
    (manifest,) = read_manifests(home, [outcome.load_id])
    assert manifest.tables["deals"].ambiguous_times == 1


def test_midnight_that_summer_time_skips_is_still_that_day(home: Home) -> None:
    set_company(home, zone="America/Sao_Paulo")
    assert str(one(home, "created_at", "2017-10-15")) == "2017-10-15 03:00:00"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-04-01", "2026-04-01 04:00:00"),
        ("2026-04-01 00:00", "2026-04-01 00:00:00"),
        ("2026-04-01T00:00:00Z", "2026-04-01 00:00:00"),
    ],
)
def test_a_date_without_a_time_is_a_day_of_the_companys(
    home: Home, text: str, expected: str
) -> None:
    set_company(home, zone="America/New_York")
    assert str(one(home, "created_at", text, zone="UTC")) == expected


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        ("currency", "sek", "SEK"),
        ("currency", "XXQ", "unknown_currency"),
        ("deal_id", "0012345678901234567890", "test:0012345678901234567890"),
        ("deal_id", "1,23E+17", "id_in_scientific_notation"),
        ("deal_id", "401013266745e5661589292315434968", "test:401013266745e5661589292315434968"),
        ("source", "Malm\u00c3\u00b6", "mojibake"),
        ("source", "A\u030angstr\u00f6m", "Ångström"),  # NFC
        ("source", '=HYPERLINK("x")', '=HYPERLINK("x")'),
        ("source", "a\nb", "a\nb"),
    ],
)
def test_text(home: Home, column: str, text: str, expected: str) -> None:
    assert one(home, column, text) == expected


def test_nul_byte_is_quarantined(home: Home) -> None:
    outcome = land(home, "Id,Amount,Source\na,1,x\x00y\nb,1,z\n")
    assert outcome.rules == {"Source: nul_byte": 1}


# --- encodings and dialects ----------------------------------------------------------------------

SWEDISH = "Id;Amount;Source\na;1;Mässa Åre\n"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (SWEDISH.encode(), "utf-8"),
        (codecs.BOM_UTF8 + SWEDISH.encode(), "utf-8"),
        (SWEDISH.encode("utf-16"), "utf-8"),  # the byte-order mark declares it
        (SWEDISH.encode("cp1252"), "cp1252"),
        (SWEDISH.encode("latin-1"), "latin-1"),
        (("sep=;\n" + SWEDISH).encode(), "utf-8"),
        (SWEDISH.replace("\n", "\r\n").encode(), "utf-8"),
        (gzip.compress(SWEDISH.encode(), mtime=0), "utf-8"),
        (SWEDISH.replace("\n", ";;\n").encode(), "utf-8"),
    ],
)
def test_encodings_and_line_ends(home: Home, content: bytes, encoding: str) -> None:
    outcome = land(home, content, separator=";", encoding=encoding)
    assert [row["source"] for row in rows(home, outcome)] == ["Mässa Åre"]


def test_reordered_headers_are_matched_by_name(home: Home) -> None:
    outcome = land(home, "Source,Amount,Id\nfair,12,a\n")
    (row,) = rows(home, outcome)
    assert (row["deal_id"], row["amount"], row["source"]) == ("test:a", Decimal("12.00"), "fair")


def test_lines_of_nothing_but_separators_are_passed_over(home: Home) -> None:
    outcome = land(home, "Id,Amount\na,1\n,\n,\n\nb,2\n  ,\n")
    assert (outcome.records, outcome.accepted) == (2, 2)


def test_rows_of_the_wrong_width_are_quarantined_by_their_number(home: Home) -> None:
    lines = ["Id,Amount", *(f"d{i},1" for i in range(1, 31))]
    lines[5] = "d5"
    lines[9] = "d9,1,2"
    outcome = land(home, "\n".join(lines) + "\n")
    assert (outcome.records, outcome.accepted, outcome.quarantined) == (30, 28, 2)
    path = home.landed / outcome.load_id / "rejects.parquet"
    with duckdb.connect() as connection:
        found = connection.execute(f"select record_number, rule from '{path}'").fetchall()
    assert found == [(5, "wrong_number_of_cells"), (9, "wrong_number_of_cells")]
    assert [row["record_number"] for row in rows(home, outcome)] == [
        n for n in range(1, 31) if n not in (5, 9)
    ]


@pytest.mark.parametrize("k", [1, 100, 2_047])
def test_rows_before_a_change_of_width_are_never_lost(home: Home, k: int) -> None:
    """DuckDB's sniffer drops all k rows before the change, in silence (duckdb#25827)."""
    lines = ["Id,Amount", *(f"d{i},1" for i in range(3_000))]
    lines[k + 1] = "x,1,2"
    outcome = land(home, "\n".join(lines) + "\n")
    assert (outcome.accepted, outcome.quarantined) == (2_999, 1)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "empty_file"),
        (b"Id,Amount\n", "no_records"),
        (b'Id,Amount\na,"1\nb,2\n', "unterminated_quote"),
        (b"Id,Amount,Amount\na,1,2\n", "duplicate_header"),
        ("Id,Amount,Source\na,1,å\n".encode("cp1252"), "wrong_encoding"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "old_or_encrypted_workbook"),
        (b"<html><table></table></html>", "markup"),
        (b"%PDF-1.7", "not_a_table"),
        (b"PK\x03\x04" + bytes(50), "broken_archive"),
        (gzip.compress(b"Id,Amount\n" + b"a,1\n" * 999, mtime=0)[:-20], "truncated"),
        (b"PAR1" + bytes(50), "unreadable"),
        (b"\n".join([b"Id,Amount", *[b"a,x"] * 30, b""]), "too_many_bad_records"),
        ("Id,Amount,Source\n" + "a,1,Malm\u00c3\u00b6\n" * 3 + "b,1,x\n" * 90, "mojibake"),
    ],
)
def test_files_that_cannot_be_trusted_are_rejected_whole(
    home: Home, content: bytes | str, rule: str
) -> None:
    outcome = land(home, content)
    assert (outcome.outcome, outcome.rule) == ("rejected", rule)
    assert outcome.message.startswith("deals.csv: ")
    assert not [p for p in home.landed.iterdir() if p.name == outcome.load_id]


def visible(text: str) -> str:
    """What a person sees of a text: every space is one, and what takes no room is not there."""
    unseen = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
    kept = "".join(c for c in text if c not in unseen and not "\u202a" <= c <= "\u202e")
    return "".join(" " if unicodedata.category(c) == "Zs" and c != "\u1680" else c for c in kept)


@given(
    st.lists(
        st.tuples(
            st.text(
                st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufeff"),
                max_size=20,
            ),
            st.integers(0, 10**9),
        ),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_survives_or_is_counted(home: Home, values: list[tuple[str, int]]) -> None:
    """records = accepted + quarantined, and accepted text is the text that was written."""
    import csv
    import io
    import unicodedata

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["Id", "Amount", "Source"])
    writer.writerows((f"d{i}", amount, text) for i, (text, amount) in enumerate(values))
    outcome = land(home, out.getvalue())
    if outcome.outcome == "rejected":
        assert outcome.rule in ("mojibake", "too_many_bad_records")
        return
    assert outcome.records == len(values) == outcome.accepted + outcome.quarantined
    for row in rows(home, outcome):
        written, amount = values[row["record_number"] - 1]
        tidy = visible(unicodedata.normalize("NFC", written))
        assert (row["source"] or "") == tidy.strip(" \u00a0\u202f") or tidy.strip() != tidy
        assert row["amount"] == amount


# --- other formats -------------------------------------------------------------------------------


def test_workbook(home: Home, tmp_path: Path) -> None:
    from datetime import datetime

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Id", "Amount", "Created", "Source"])
    sheet.append([12345, 1.1, datetime(2026, 1, 2, 10, 0), "mässa"])
    sheet.append(["0042", "2", None, None])
    book.save(tmp_path / "x.xlsx")
    outcome = land(home, (tmp_path / "x.xlsx").read_bytes(), "deals.xlsx")
    first, second = rows(home, outcome)
    assert (first["deal_id"], first["amount"]) == ("test:12345", Decimal("1.10"))
    assert str(first["created_at"]) == "2026-01-02 09:00:00"
    assert (second["deal_id"], second["source"]) == ("test:0042", None)


def test_workbook_rows_wider_than_the_headers_are_quarantined(home: Home, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["Id", "Amount"], ["a", 1], ["b", 2, "more"], [None, None], ["c", 3]):
        sheet.append(row)
    book.save(tmp_path / "x.xlsx")
    outcome = land(home, (tmp_path / "x.xlsx").read_bytes(), "deals.xlsx")
    assert (outcome.records, outcome.rules) == (3, {"wrong_number_of_cells": 1})


def test_json_lines_keep_large_numbers_exact(home: Home) -> None:
    lines = [{"Id": 9007199254740993, "Amount": 5}, {"Id": "b", "Amount": "6.5", "Extra": {"x": 1}}]
    outcome = land(home, "\n".join(map(json.dumps, lines)), "deals.jsonl")
    assert [row["deal_id"] for row in rows(home, outcome)] == ["test:9007199254740993", "test:b"]


def test_truncated_json_lines_are_rejected(home: Home) -> None:
    outcome = land(home, '{"Id": 1, "Amount": 2}\n{"Id": 2, "Am')
    assert outcome.outcome == "rejected"


def test_parquet(home: Home, tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            'copy (select 7 as "Id", 12.5::decimal(9,2) as "Amount", '
            f"timestamptz '2026-01-02 10:00:00Z' as \"Created\") to '{tmp_path / 'x.parquet'}'"
        )
    outcome = land(home, (tmp_path / "x.parquet").read_bytes(), "deals.parquet")
    (row,) = rows(home, outcome)
    assert (row["deal_id"], row["amount"]) == ("test:7", Decimal("12.50"))
    assert str(row["created_at"]) == "2026-01-02 10:00:00"


# --- people --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["070-174 06 05", "+46 70 174 06 05", "0046701740605"])
def test_one_phone_number_in_many_spellings(text: str) -> None:
    assert normalised_phone(text, "SE") == "+46701740605"


def test_mail_and_phone_leave_only_as_keyed_hashes(home: Home) -> None:
    headers = "Record ID,First Name,Email,Phone Number\n"
    (home.inbox / "hubspot-contacts-a.csv").write_text(
        headers + "1,A,Some.One@Firm.example,070-174 06 05\n"
    )
    (home.inbox / "hubspot-contacts-b.csv").write_text(
        headers + "1,A,some.one@firm.example ,+46701740605\n"
    )
    report = Landing(home).run()
    folders = [home.landed / file.load_id for file in report.files]
    with duckdb.connect() as connection:
        found = {
            connection.execute(
                f"select email_hash, phone_hash from '{folder / 'contacts.parquet'}'"
            ).fetchone()
            for folder in folders
        }
    assert len(found) == 1
    assert all(len(value) == 64 for value in found.pop())
    written = b"".join(p.read_bytes() for f in folders for p in f.iterdir())
    for secret in (b"one@firm", b"174 06 05", b"701740605", b"One@Firm"):
        assert secret not in written
