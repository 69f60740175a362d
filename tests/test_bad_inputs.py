"""Bad inputs: each a generated file with its outcome, reason and counts, within memory and time.

The numbers are those of the catalogue the cases were taken from; what concerns several deliveries
is in test_deliveries, what concerns deals' histories in test_ledger.
"""

import gzip
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
import yaml

from ingestion.home import Home
from ingestion.landing.deciding import Landing
from ingestion.landing.report import FileOutcome

COLUMNS = ["Id", "Amount", "Currency", "Created", "Source"]
ROW = ["d{i}", "{i}.50", "SEK", "2026-01-02 10:00", "Mässa"]

LANDED, REJECTED, HELD = "landed", "rejected", "held"
Lines = list[list[str]]


def rows(n: int = 30) -> Lines:
    return [COLUMNS] + [[cell.format(i=i) for cell in ROW] for i in range(1, n + 1)]


def text(lines: Lines, separator: str = ",", end: str = "\n") -> str:
    return "".join(separator.join(line) + end for line in lines)


def changed(at: int, column: int, value: str, n: int = 30) -> str:
    lines = rows(n)
    lines[at][column] = value
    return text(lines)


def workbook(lines: list[list[Any]], adjust: Callable[[Any], None] = lambda book: None) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for line in lines:
        book.active.append(line)
    adjust(book)
    book.save(out)
    return out.getvalue()


def repacked(book: bytes, replace: dict[str, Callable[[bytes], bytes]]) -> bytes:
    """The workbook with some of its parts rewritten."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(out, "w", 8) as new:
        for entry in old.infolist():
            data = old.read(entry)
            new.writestr(entry.filename, replace.get(entry.filename, lambda d: d)(data))
    return out.getvalue()


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return out.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def hidden(book: Any) -> None:
    book.active.row_dimensions[3].hidden = True
    book.active.sheet_state = "visible"


def merged(book: Any) -> None:
    book.active.merge_cells("D1:E1")


def far_cell(book: bytes) -> bytes:
    cell = (
        b'<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>x</t></is></c></row></sheetData>'
    )
    return repacked(book, {SHEET: lambda xml: xml.replace(b"</sheetData>", cell)})


def laughs(xml: bytes) -> bytes:
    entities = b'<!DOCTYPE l [<!ENTITY a0 "ha">' + b"".join(
        f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">'.encode() for i in range(1, 10)
    )
    body = xml.split(b"?>", 1)[-1]
    return entities + b"]>" + body.replace(b"M\xc3\xa4ssa", b"&a9;", 1)


def external(xml: bytes) -> bytes:
    entity = b'<!DOCTYPE l [<!ENTITY a0 SYSTEM "file:///etc/passwd">]>'
    return entity + xml.split(b"?>", 1)[-1].replace(b"M\xc3\xa4ssa", b"&a0;", 1)


def bomb_of_zeros(mebibytes: int) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed:
        packed.write(text(rows()).encode())
        for _ in range(mebibytes):
            packed.write(b"0" * (1 << 20))
    return out.getvalue()


def zip_bomb(book: bytes) -> bytes:
    return repacked(book, {SHEET: lambda xml: xml + b" " * (300 << 20)})


@dataclass(frozen=True)
class Case:
    """`content` and what must become of it; `rules` are those of quarantined records."""

    number: str
    what: str
    content: str | bytes | Callable[[], bytes]
    outcome: str = LANDED
    rule: str = ""
    rules: dict[str, int] = field(default_factory=dict)
    records: int = 30
    dialect: dict[str, Any] = field(default_factory=dict)
    message: str = ""


PLAIN = text(rows())
SEMICOLON = {"separator": ";", "decimal": ","}
SWEDISH = text(rows(), ";").replace(".50", ",50")
XLSX = workbook([[*line[:1], float(line[1]), *line[2:]] if i else line
                 for i, line in enumerate(rows())])  # fmt: skip
JSONL = "".join(
    json.dumps(dict(zip(COLUMNS, line, strict=True)), ensure_ascii=False) + "\n"
    for line in rows()[1:]
)

CASES = [
    # --- encoding and dialect
    Case("1", "UTF-8", PLAIN),
    Case("2", "UTF-8 with its mark", PLAIN.encode("utf-8-sig")),
    Case("3", "UTF-16 with its mark", PLAIN.encode("utf-16")),
    Case("4", "UTF-16 without mark", PLAIN.encode("utf-16-le")),
    Case("4b", "UTF-16, the other order", PLAIN.encode("utf-16-be")),
    Case("4c", "NULs here and there", PLAIN.replace("d", "d\0").encode(), REJECTED,
         "required_column_missing"),
    Case("5", "Windows-1252", (PLAIN.replace("Mässa", "Mässa – 5 €")).encode("cp1252"),
         dialect={"encoding": "cp1252"}),
    Case("6", "Latin-1", PLAIN.encode("latin-1"), dialect={"encoding": "latin-1"}),
    Case("7", "encoded twice, one of many", changed(5, 4, "MalmÃ¶", 200), records=200,
         rules={"Source: mojibake": 1}),
    Case("7b", "encoded twice throughout", PLAIN.replace("Mässa", "MÃ¤ssa"), REJECTED, "mojibake"),
    Case("9", "two encodings in one file", PLAIN.encode() + PLAIN.encode("cp1252"), REJECTED,
         "wrong_encoding"),
    Case("10", "letters composed of two", PLAIN.replace("ä", "a\u0308")),
    Case("11", "a NUL in a text", changed(5, 4, "x\0y"), rules={"Source: nul_byte": 1}),
    Case("13", "semicolons, decimal commas", SWEDISH, dialect=SEMICOLON),
    Case("14", "commas where semicolons are declared", PLAIN, REJECTED, "unrecognised",
         dialect=SEMICOLON),
    Case("15", "tabs", text(rows(), "\t"), dialect={"separator": "\t"}),
    Case("15b", "pipes", text(rows(), "|"), dialect={"separator": "|"}),
    Case("16", "Excel's sep=", "sep=;\n" + SWEDISH, dialect=SEMICOLON),
    Case("18", "mixed line ends", "".join(
        line + ("\r\n" if i % 2 else "\n") for i, line in enumerate(PLAIN.splitlines()))),
    Case("19", "line ends within quotes", changed(5, 4, '"a\nb\n"')),
    Case("20", "a stray quotation mark", changed(5, 4, '"a "b" c"'),
         rules={"broken_quotes": 1}),
    Case("20b", "stray marks in a third of the lines", text(
        [COLUMNS, *([*line[:4], '"a "b" c"'] if i % 3 == 0 else line
                    for i, line in enumerate(rows()[1:]))]), REJECTED, "too_many_bad_records"),
    Case("20c", "a mark that swallows fifteen lines", changed(5, 4, '"abc').replace(
        "d20,20.50,SEK,2026-01-02 10:00,Mässa", 'd20,20.50,SEK,2026-01-02 10:00,"ok"'), REJECTED,
         "unterminated_quote"),
    Case("20d", "lines swallowed by the rules", changed(5, 4, '"abc').replace(
        "d20,20.50,SEK,2026-01-02 10:00,Mässa", 'd20,20.50,SEK,2026-01-02 10:00,def"'), REJECTED,
         "unterminated_quote", message="record 5"),
    Case("21", "a quotation that never ends", changed(30, 4, '"a'), REJECTED,
         "unterminated_quote", message="cut short"),
    Case("22", "width changes in one line", changed(1, 4, "a,b"),
         rules={"wrong_number_of_cells": 1}),
    Case("22b", "width changes at line 2,047", changed(2_047, 4, "a,b", 3_000), records=3_000,
         rules={"wrong_number_of_cells": 1}),
    Case("22c", "width changes for good", text(
        [*rows(10), *([*line, "x"] for line in rows()[11:])]), REJECTED, "too_many_bad_records"),
    Case("24", "a title above the headers", "Pipeline report\n\n" + PLAIN, REJECTED, "unrecognised",
         message="mellantid map"),
    Case("24b", "a title, declared", "Pipeline report\n\n" + PLAIN, dialect={"skip_lines": 2}),
    Case("24c", "a title over two lines in quotes", '"Pipeline\nreport"\n' + PLAIN,
         dialect={"skip_lines": 2}),
    Case("25b", "a totals line among three columns", text(
        [line[:3] for line in rows()]) + "Totalt (30),465.00,SEK\n", records=31,
         rules={"row: totals_row": 1}),
    Case("25", "a totals line", PLAIN + "Summa,465,,,\n", records=31,
         rules={"row: totals_row": 1, "Currency: missing_beside_an_amount": 1}),
    Case("26", "separators at every line's end", PLAIN.replace("\n", ",,\n")),
    Case("27", "blank lines", PLAIN.replace("\n", "\n\n") + ",,,,\n"),
    Case("28", "10 MB in one cell", changed(5, 4, "x" * 10_000_000),
         rules={"field_too_large": 1}),
    Case("29", "20,000 columns", text([COLUMNS + [f"h{i}" for i in range(20_000)], ["x"] * 20_005]),
         REJECTED, "too_many_columns"),
    # --- structure
    Case("30", "nothing at all", b"", REJECTED, "empty_file"),
    Case("31", "headers only", text([COLUMNS]), REJECTED, "no_records"),
    Case("32", "one header twice", PLAIN.replace("Source", "Amount", 1), REJECTED,
         "duplicate_header"),
    Case("34", "columns in another order", text([line[::-1] for line in rows()])),
    Case("35", "a required header renamed", PLAIN.replace("Amount", "Amounts", 1), REJECTED,
         "required_column_missing", message="nearest: 'Amounts'"),
    Case("36", "a column nobody asked for", text([[*line, "more"] for line in rows()])),
    Case("37", "an optional column left out", text([line[:3] for line in rows()])),
    Case("37b", "a required column left out", text([line[1:] for line in rows()]), REJECTED,
         "required_column_missing"),
    Case("40", "ids that turn from numbers to text", PLAIN.replace("d1,", "1001,")),
    Case("41", "a header out of a horror film", PLAIN.replace(
        "Source", '"""; drop table source; --"', 1)),
    # --- numbers, dates, money
    Case("43", "spaces between thousands", SWEDISH.replace(
        "1,50", "1 234\u00a0567,50").replace("2,50", "1\u202f234,50"), dialect=SEMICOLON),
    Case("44", "points between thousands", SWEDISH.replace("1,50", "1.234,50"),
         dialect={**SEMICOLON, "thousands": "."}),
    Case("45", "the other decimal sign", SWEDISH.replace(";5,50", ";1,234.50"), dialect=SEMICOLON,
         rules={"Amount: not_a_number": 1}),
    Case("46", "1,234: what is it?", changed(5, 1, '"1,234"'), rules={"Amount: not_a_number": 1}),
    Case("48", "NaN", changed(5, 1, "NaN"), rules={"Amount: not_a_number": 1}),
    Case("48b", "infinite", changed(5, 1, "inf"), rules={"Amount: not_a_number": 1}),
    Case("48c", "1e6", changed(5, 1, "1e6"), rules={"Amount: not_a_number": 1}),
    Case("48d", "#N/A in an amount", changed(5, 1, "#N/A"), rules={
        "Amount: error_value": 1, "Amount: not_a_number": 1}),
    Case("48e", "#REF! in a text", changed(5, 4, "#REF!"), rules={"Source: error_value": 1}),
    Case("49", "a negative amount", changed(5, 1, "-5"), rules={"Amount: below_minimum": 1}),
    Case("50", "more than money has digits", changed(5, 1, "12345678901234567.00"),
         rules={"Amount: too_large": 1}),
    Case("50b", "three decimals", changed(5, 1, "1.005"), rules={
        "Amount: three_decimals": 1, "Amount: too_many_decimals": 1}),
    Case("51", "leading zeros and long ids", PLAIN.replace("d1,", "0012345678901234567890,", 1)),
    Case("51b", "an id that Excel rounded", changed(5, 0, "1.23E+17"),
         rules={"Id: id_in_scientific_notation": 1}),
    Case("52", "an integer past 2^53 in JSON", JSONL.replace('"d1"', "9007199254740993", 1)),
    Case("53", "ISO times with offsets", changed(5, 3, "2026-01-02T10:00:00+03:00")),
    Case("54", "03/04/2026 without a word on its order", PLAIN.replace(
        "2026-01-02 10:00", "03/04/2026"), REJECTED, "order_of_day_and_month_not_declared",
         message="'Created'"),
    Case("54b", "a single such date", changed(5, 3, "03/04/2026"), REJECTED,
         "order_of_day_and_month_not_declared"),
    Case("54c", "an impossible day in a declared order", PLAIN.replace(
        "2026-01-02 10:00", "02/01/2026").replace("d5,5.50,SEK,02/01", "d5,5.50,SEK,31/06"),
         dialect={"dates": ["%d/%m/%Y"]}, rules={"Created: not_a_date": 1}),
    Case("55", "the 30th of February", changed(5, 3, "2026-02-30"),
         rules={"Created: not_a_date": 1}),
    Case("55b", "the year 26", changed(5, 3, "0026-01-01"),
         rules={"Created: date_out_of_range": 1}),
    Case("55c", "the year 9999", changed(5, 3, "9999-12-31"),
         rules={"Created: date_out_of_range": 1}),
    Case("57", "an hour that summer time skips", changed(5, 3, "2026-03-29 02:30"),
         rules={"Created: local_time_skipped_by_summer_time": 1}),
    Case("58", "an hour that occurs twice", changed(5, 3, "2025-10-26 02:30")),
    Case("60", "an amount without currency", changed(5, 2, ""),
         rules={"Currency: missing_beside_an_amount": 1}),
    Case("60b", "a currency that is none", changed(5, 2, "XXQ"),
         rules={"Currency: unknown_currency": 1}),
    # --- workbooks
    Case("62", "a workbook", XLSX),
    Case("63", "a wrong dimension", repacked(XLSX, {
        SHEET: lambda xml: xml.replace(b'<dimension ref="A1:E31"', b'<dimension ref="A1:A1"')})),
    Case("64", "a cell at the far end", far_cell(XLSX), REJECTED, "too_large"),
    Case("65", "a zip bomb", lambda: zip_bomb(XLSX), REJECTED, "too_large"),
    Case("67", "an archive in an archive", archive({"x.zip": archive({"a.csv": PLAIN.encode()})}),
         REJECTED, "nested_archive"),
    Case("67b", "100,000 entries", lambda: archive({f"{i}.csv": b"" for i in range(100_000)}),
         REJECTED, "too_many_members"),
    Case("67c", "an entry that climbs out", archive({"../x.csv": PLAIN.encode()}), REJECTED,
         "unsafe_name"),
    Case("67d", "an absolute entry", archive({"/etc/x.csv": PLAIN.encode()}), REJECTED,
         "unsafe_name"),
    Case("68", "a billion laughs", repacked(workbook(rows()), {SHEET: laughs}), REJECTED),
    Case("68b", "an external entity", repacked(workbook(rows()), {SHEET: external}), REJECTED),
    Case("68c", "laughs in the list of sheets", repacked(XLSX, {"xl/workbook.xml": laughs}),
         REJECTED, "unreadable"),
    Case("69", "an old or locked workbook", b"\xd0\xcf\x11\xe0" + bytes(600), REJECTED,
         "old_or_encrypted_workbook"),
    Case("69b", "a web page", b"<html><table><tr><td>Id</td></tr></table></html>", REJECTED,
         "markup"),
    Case("69c", "a binary workbook", archive({"xl/workbook.bin": b"x"}), REJECTED,
         "binary_workbook"),
    Case("69d", "a document", archive({"[Content_Types].xml": b"x", "word/document.xml": b"x"}),
         REJECTED, "not_a_table"),
    Case("71", "hidden rows", workbook(rows(), hidden)),
    Case("72", "merged headers", workbook(rows(), merged), REJECTED, "merged_headers"),
    Case("73", "formulas never calculated", workbook(
        [*rows(), ["d31", "=SUM(B2:B31)", "SEK", "2026-01-02", "x"]]), REJECTED,
         "formulas_without_results"),
    Case("74", "numbers as text and text as numbers", workbook(
        [COLUMNS, ["0042", "5", "SEK", "2026-01-02", "x"], [42, 5, "SEK", "2026-01-02", 7]]),
         records=2),
    Case("75", "1.1 stored as 1.1000000000000001", workbook(
        [COLUMNS, ["d1", 1.1000000000000001, "SEK", "2026-01-02", "x"],
         ["d2", 0.1 + 0.2, "SEK", "2026-01-02", "x"]]), records=2),
    Case("76", "an id that a workbook cut short", workbook(
        [COLUMNS, ["d1", 1, "SEK", "2026-01-02", "x"], [1.2345678901234567e20, 2, "SEK",
                                                       "2026-01-02", "x"]]), records=2,
         rules={"Id: id_in_scientific_notation": 1}),
    Case("76c", "long ids below empty rows and beside empty columns", repacked(workbook(
        [[None], [None], [None, None, *COLUMNS], [None, None, 777, 1, "SEK", "2026-01-02", "x"],
         [None, None, "d2", 2, "SEK", "2026-01-02", "x"]],
        lambda book: setattr(book.active["A1"], "number_format", "0.00")), {
            SHEET: lambda xml: xml.replace(b">777<", b">1234567890123456789<")}), records=2),
    Case("76b", "an error value", workbook(
        [COLUMNS, ["d1", 1, "SEK", "2026-01-02", "x"], ["d2", "#DIV/0!", "SEK", "2026-01-02",
                                                       "x"]]), records=2,
         rules={"Amount: error_value": 1, "Amount: not_a_number": 1}),
    # --- JSON
    Case("78", "a last line cut short", JSONL[:-20], REJECTED, "truncated"),
    Case("79", "a key twice", JSONL.replace('{"Id": "d5"', '{"Id": "d5", "Id": "d6"', 1),
         rules={"duplicate_key": 1}),
    Case("80", "lines that are no objects", JSONL + "[1, 2]\n5\n", records=32,
         rules={"not_an_object": 2}),
    Case("81", "an object in one record where others have a number", JSONL.replace(
        '"Amount": "5.50"', '"Amount": {"value": 5}'), rules={"Amount: not_a_number": 1}),
    Case("82", "a mark and blank lines", ("\ufeff" + JSONL.replace("\n", "\n\n"))),
    Case("82b", "a comma too many", JSONL.replace('"Mässa"}', '"Mässa",}', 1),
         rules={"not_json": 1}),
    Case("84", "one document over many lines", json.dumps([{"Id": "d1"}], indent=1), REJECTED,
         "not_json_lines", message="one object a line"),
    Case("84b", "a nested bomb", '{"Id": ' + "[" * 100_000 + "]" * 100_000 + "}\n" + JSONL,
         records=31, rules={"not_json": 1}),
    # --- delivery
    Case("98", "gzip", gzip.compress(PLAIN.encode(), mtime=0)),
    Case("98b", "gzip cut short", gzip.compress(PLAIN.encode() * 9, mtime=0)[:-20], REJECTED,
         "truncated"),
    Case("98c", "a gzip bomb", lambda: bomb_of_zeros(200), REJECTED, "too_large"),
    Case("98d", "gzip in two parts", gzip.compress(text(rows()[:10]).encode(), mtime=0)
         + gzip.compress(text(rows()[10:]).encode(), mtime=0)),
    Case("110", "formulas in names", changed(5, 4, '"=HYPERLINK(""x"")"')),
]  # fmt: skip


def deliver(home: Home, case: Case) -> None:
    home.prepare()
    columns = {
        "deal_id": "Id", "amount": "Amount", "currency": "Currency", "created_at": "Created",
        "source": "Source",
    }  # fmt: skip
    mapping = {"doc": "t", "formats": ["csv", "xlsx", "jsonl"], "headers": [["Id"], ["Amount"]],
               "names": ["case*"], "dialect": case.dialect,
               "tables": {"deals": {"columns": columns}}}  # fmt: skip
    (home.mappings / "test.yml").write_text(
        yaml.safe_dump({"system": "test", "doc": "t", "files": {"deals": mapping}})
    )
    content = case.content() if callable(case.content) else case.content
    path = home.inbox / "case"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.utime(path, (1_700_000_000, 1_700_000_000))


def land(home: Home, case: Case) -> list[FileOutcome]:
    deliver(home, case)
    return Landing(home).run().files


def landed_ids(home: Home, file: FileOutcome) -> int:
    with duckdb.connect() as connection:
        path = home.landed / file.load_id / "deals.parquet"
        row = connection.execute(f"select count(distinct deal_id) from '{path}'").fetchone()
    return int(row[0]) if row else 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number} {case.what}")
def test_bad_input(home: Home, case: Case) -> None:
    begin = time.monotonic()
    files = land(home, case)
    assert time.monotonic() - begin < 60
    (file,) = files
    assert file.outcome == case.outcome, file
    if case.outcome == REJECTED:
        assert file.rule == case.rule or not case.rule, file
        assert case.message in file.message
        assert file.message.isprintable()
        assert not file.load_id
        return
    assert file.rules == case.rules
    assert file.records == case.records == file.accepted + file.quarantined
    assert landed_ids(home, file) == file.accepted


GREEDY = ("28", "29", "64", "65", "67b", "68", "84b", "98c")


def test_the_reader_stays_within_its_memory(tmp_path: Path) -> None:
    """What the fattest reader of the greediest files held resident; in a process of its own, as a
    child's peak begins with the size of its parent.
    """
    for case in CASES:
        if case.number in GREEDY:
            deliver(Home.at(tmp_path / case.number), case)
    code = (
        "import pathlib, resource, sys\n"
        "from ingestion.home import Home\n"
        "from ingestion.landing.deciding import Landing\n"
        "from ingestion.worker import READERS\n"
        "for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    Landing(Home.at(folder)).run()\n"
        "    READERS.stop()\n"
        "    print(folder.name, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    peaks = [int(line.split()[1]) * 1_024 for line in result.stdout.splitlines()]
    assert len(peaks) == len(GREEDY)
    assert max(peaks) <= 512_000_000, result.stdout


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path, outside: path.symlink_to(outside), "a link"),
        (lambda path, outside: os.link(outside, path), "a hard link"),
        (lambda path, _outside: os.mkfifo(path), "not a plain file"),
        (lambda path, _outside: path.mkdir(), "not a plain file"),
    ],
    ids=["link", "hard link", "pipe", "folder"],
)
def test_97_what_is_no_file_of_its_own_is_rejected(
    home: Home, tmp_path: Path, make: Callable[[Path, Path], None], said: str
) -> None:
    (tmp_path / "outside").write_text(PLAIN)
    make(home.inbox / "deals.csv", tmp_path / "outside")
    (file,) = Landing(home).run().files
    assert (file.outcome, file.rule) == ("rejected", "not_a_file")
    assert said in file.message


def test_values_survive_what_is_accepted_with_a_change(tmp_path: Path) -> None:
    """Where acceptance means reading something else than the bytes say, the values are right."""
    found = {}
    for case in CASES:
        if case.number in ("4", "10", "43", "52", "74", "75", "76", "76c", "110"):
            home = Home.at(tmp_path / case.number)
            (file,) = land(home, case)
            path = home.landed / file.load_id / "deals.parquet"
            with duckdb.connect() as connection:
                found[case.number] = connection.execute(
                    f"select deal_id, cast(amount as varchar), source from '{path}' "
                    "order by record_number"
                ).fetchall()
    assert found["4"][0] == ("test:d1", "1.50", "Mässa") == found["10"][0]
    assert [row[1] for row in found["43"][:2]] == ["1234567.50", "1234.50"]
    assert found["52"][0][0] == "test:9007199254740993"
    assert [row[0] for row in found["74"]] == ["test:0042", "test:42"]
    assert [row[1] for row in found["75"]] == ["1.10", "0.30"]
    assert len(found["76"]) == 1
    assert [row[0] for row in found["76c"]] == ["test:1234567890123456789", "test:d2"]
    assert found["110"][4][2] == '=HYPERLINK("x")'
