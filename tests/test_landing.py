"""Landing: exactly once by content, again when a mapping changes, and nothing lost on the way."""

import errno
import gzip
import os
import shutil
import warnings
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from ingestion import worker
from ingestion.errors import UserError, fault_in_words
from ingestion.files import write_once
from ingestion.home import Home
from ingestion.landing import arriving, deciding
from ingestion.landing.accounting import unaccounted
from ingestion.landing.archiving import archive_bytes
from ingestion.landing.deciding import Landing
from ingestion.landing.inbox import is_new
from ingestion.landing.manifest import read_manifests
from ingestion.landing.report import FileOutcome, Report

LONG = """Deal,Stage,Entered at,Owner,Amount
D1,Lead,2026-01-02,Ann,100
D1,Won,2026-02-02,Ann,100
D2,Lead,2026-01-05,Bo,50
"""


def with_part(part: str) -> str:
    """A mapping file with one more part, in which the fault is."""
    return f"system: x\ndoc: y\nfiles: {{a: {{doc: b, headers: [[c]], {part}, tables: {{}}}}}}"


STAGES = [
    {"pipeline_id": "default", "stage_id": "Lead", "position": 1, "kind": "open"},
    {"pipeline_id": "default", "stage_id": "Won", "position": 2, "kind": "won"},
]


@pytest.fixture
def sheet(home: Home) -> Home:
    (home.mappings / "sheet.yml").write_text(yaml.safe_dump({"stages": STAGES}))
    (home.inbox / "deals.csv").write_text(LONG)
    return home


def outcomes(report: Report) -> list[tuple[str, str]]:
    return [(file.name, file.outcome) for file in report.files]


def test_the_same_bytes_again_under_another_name_are_already_landed(sheet: Home) -> None:
    first = Landing(sheet).run()
    shutil.copy(sheet.inbox / "deals.csv", sheet.inbox / "renamed.csv")
    second = Landing(sheet).run()
    assert outcomes(first) == [("deals.csv", "landed")]
    assert second.files[1].message == "renamed.csv: already landed as deals.csv"
    assert outcomes(second)[1] == ("renamed.csv", "already_landed")
    assert second.loads == first.loads


def test_one_changed_byte_is_a_new_load_and_the_old_one_stays(sheet: Home) -> None:
    first = Landing(sheet).run()
    (sheet.inbox / "deals.csv").write_text(LONG.replace("D2", "D3"))
    second = Landing(sheet).run()
    assert outcomes(second) == [("deals.csv", "landed")]
    assert set(first.loads) < set(second.loads)


def test_a_changed_value_map_lands_again_from_the_archive(sheet: Home) -> None:
    first = Landing(sheet).run()
    (sheet.inbox / "deals.csv").unlink()
    columns = {
        "field": {"captured": "field", "values": {"Stage": "stage_id", "Owner": "seller_id"}},
        "new_value": {"unpivoted": True, "values": {"Ann": "Anna"}},
    }
    own = {
        "stages": STAGES,
        "files": {"long": {"tables": {"deal_changes": {"columns": columns}}}},
    }
    (sheet.mappings / "sheet.yml").write_text(yaml.safe_dump(own))
    second = Landing(sheet).run()
    assert outcomes(second) == [("deals.csv", "relanded")]
    old, new = set(first.loads) - set(second.loads), set(second.loads) - set(first.loads)
    assert len(old) == len(new) == 1
    assert len(second.loads) == len(first.loads)
    assert Landing(sheet).run().files == []


def test_an_arrival_counts_until_a_mapping_declares_when_it_was_known(sheet: Home) -> None:
    (sheet.inbox / "deals.csv").rename(sheet.inbox / "deals 2026-03-31.csv")
    first = Landing(sheet).run().files[0]
    own = {"stages": STAGES, "files": {"long": {"known_at": {"file_name": r"(\d{4}-\d\d-\d\d)"}}}}
    (sheet.mappings / "sheet.yml").write_text(yaml.safe_dump(own))
    second = Landing(sheet).run().files[0]
    assert (second.outcome, second.known_at) == ("relanded", "2026-03-31 21:59:59")
    assert first.known_at > second.known_at


def test_a_declared_known_at_is_fixed_at_the_first_landing(sheet: Home) -> None:
    (sheet.inbox / "deals.csv.known_at").write_text("2026-03-31\n")
    first = Landing(sheet).run().files[0]
    (sheet.inbox / "deals.csv.known_at").write_text("2026-04-30\n")
    own = {"stages": STAGES, "files": {"long": {"dialect": {"nulls": ["-"]}}}}
    (sheet.mappings / "sheet.yml").write_text(yaml.safe_dump(own))
    second = Landing(sheet).run().files[0]
    assert (first.known_at, second.outcome) == ("2026-03-31 21:59:59", "relanded")
    assert second.known_at == first.known_at


def test_a_date_in_the_file_name_says_when_it_was_known(home: Home) -> None:
    (home.inbox / "hubspot-crm-exports-all-deals-2026-05-04.csv").write_text(
        "Record ID,Deal Stage\n1,Closed Won\n"
    )
    assert Landing(home).run().files[0].known_at == "2026-05-04 21:59:59"


def test_a_period_in_the_name_ends_when_the_report_was_made(home: Home) -> None:
    name = "hubspot-crm-exports-all-deals-2026-01-01_2026-09-30.csv"
    (home.inbox / name).write_text("Record ID,Deal Stage\n1,Closed Won\n")
    assert Landing(home).run().files[0].known_at == "2026-09-30 21:59:59"


def test_a_day_in_the_name_ends_in_the_zone_that_the_mapping_says(sheet: Home) -> None:
    (sheet.inbox / "deals.csv").rename(sheet.inbox / "deals 2026-03-31.csv")
    known_at = {"file_name": r"(\d{4}-\d\d-\d\d)", "zone": "America/New_York"}
    own = {"stages": STAGES, "files": {"long": {"known_at": known_at}}}
    (sheet.mappings / "sheet.yml").write_text(yaml.safe_dump(own))
    assert Landing(sheet).run().files[0].known_at == "2026-04-01 03:59:59"


def test_a_creation_a_year_ahead_is_caught_like_a_change_ahead(home: Home) -> None:
    days = ["2026-03-02", "2026-04-02", "2026-04-30", "2027-03-02"]
    (home.inbox / "hubspot-crm-exports-all-deals-2026-05-04.csv").write_text(
        "Record ID,Deal Stage,Create Date\n"
        + "".join(
            f"{i},Closed Won,{day} 10:00\n" for i, day in enumerate(days * 10 + days[:3] * 90)
        )
    )
    (file,) = Landing(home).run().files
    assert file.outcome == "landed"
    assert file.rules == {"Create Date: after_the_export_was_made": 10}


def test_snapshots_are_known_row_by_row(sheet: Home) -> None:
    import duckdb

    (sheet.inbox / "deals.csv").write_text(
        "Deal,Snapshot date,Stage\nD1,2026-01-31,Lead\nD1,2026-07-31,Won\n"
    )
    outcome = Landing(sheet).run().files[0]
    path = sheet.landed / outcome.load_id / "deals.parquet"
    with duckdb.connect() as connection:
        query = f"select cast(known_at as varchar) from '{path}' order by record_number"
        known = [row[0] for row in connection.execute(query).fetchall()]
    assert known == ["2026-01-31 22:59:59", "2026-07-31 21:59:59"]


def test_dry_run_says_the_same_and_keeps_nothing(sheet: Home) -> None:
    (sheet.inbox / "bad.csv").write_text("a,b\n1,2\n")
    report = Landing(sheet, dry_run=True).run()
    assert outcomes(report) == [("bad.csv", "rejected"), ("deals.csv", "landed")]
    assert not any(sheet.archive.iterdir())
    assert not any(sheet.landed.iterdir())


def test_a_dry_run_names_stages_that_no_mapping_declares(sheet: Home) -> None:
    text = LONG + "D3,Demo,2026-01-05,Bo,1\nD4,Demo,2026-01-05,Bo,\n"
    (sheet.inbox / "deals.csv").write_text(text)
    report = Landing(sheet, dry_run=True).run()
    assert report.unknown_stages == [(None, "sheet:Demo", 2)]
    assert Landing(sheet).run().unknown_stages == []


def test_a_damaged_load_lands_anew_from_the_archive_and_never_from_damaged_bytes(
    sheet: Home,
) -> None:
    (sheet.inbox / "deals.csv").write_text(LONG)
    (first,) = Landing(sheet).run().files
    table = sheet.landed / first.load_id / "deals.parquet"
    whole = table.read_bytes()
    (sheet.inbox / "deals.csv").unlink()
    assert Landing(sheet).run().files == []
    table.write_bytes(whole[:40] + b"x" + whole[41:])
    (again,) = Landing(sheet).run().files
    assert (again.outcome, again.load_id) == ("relanded", first.load_id)
    assert table.read_bytes() == whole
    # The archive is damaged too: nothing to make it from.
    archived = sheet.archive / first.sha256
    archived.write_bytes(archived.read_bytes().replace(b"Lead", b"Leaf"))
    table.unlink()
    (refused,) = Landing(sheet).run().files
    assert (refused.outcome, refused.rule) == ("rejected", "archive_damaged")
    assert "deals.csv (archived): is damaged in the archive; restore" in refused.message
    # Delivered once more, the bytes are whole again.
    (sheet.inbox / "deals.csv").write_text(LONG)
    (healed,) = Landing(sheet).run().files
    assert healed.outcome == "relanded" and table.read_bytes() == whole


def test_every_record_is_accepted_or_quarantined(sheet: Home) -> None:
    text = LONG + "D3,Lead,not a day,Bo,1\nD4,Lead,2026-01-01,Bo,x\n,Lead,2026-01-01,Bo,1\n"
    (sheet.inbox / "deals.csv").write_text(text)
    outcome = Landing(sheet).run().files[0]
    assert (outcome.records, outcome.accepted, outcome.quarantined) == (6, 4, 2)
    assert outcome.rules == {"Deal: missing": 1, "Entered at: not_a_date": 1}
    # The stage that the record tells stands.
    assert outcome.left_out == {"Amount: not_a_number": 1}


def test_rejects_and_messages_hold_no_value_from_the_file(sheet: Home) -> None:
    secret = "Very Private Person"
    text = LONG + f"D3,Lead,{secret},{secret},{secret}\n"
    (sheet.inbox / "deals.csv").write_text(text)
    (sheet.inbox / "worse.csv").write_text(f'Deal,Stage,Entered at\n"{secret},x,2026-01-01\n')
    report = Landing(sheet).run()
    assert secret not in str(report)
    for load in report.loads:
        for name in ("rejects.parquet", "manifest.json"):
            assert secret.encode() not in (sheet.landed / load / name).read_bytes()


def test_a_folder_or_link_in_the_inbox_is_not_followed(sheet: Home, tmp_path: Path) -> None:
    (tmp_path / "outside.csv").write_text(LONG)
    (sheet.inbox / "link.csv").symlink_to(tmp_path / "outside.csv")
    os.mkfifo(sheet.inbox / "pipe.csv")
    (sheet.inbox / "amount=999").mkdir()
    shutil.copy(sheet.inbox / "deals.csv", sheet.inbox / "amount=999" / "deals.csv")
    found = dict(outcomes(Landing(sheet).run()))
    assert found["link.csv"] == found["pipe.csv"] == "rejected"
    assert {found["amount=999/deals.csv"], found["deals.csv"]} == {"landed", "already_landed"}


def test_names_that_look_like_patterns_are_only_names(sheet: Home) -> None:
    (sheet.inbox / "deal[1]*.csv").write_text(LONG.replace("D1", "D9"))
    assert dict(outcomes(Landing(sheet).run()))["deal[1]*.csv"] == "landed"


def test_half_written_files_are_left_alone(sheet: Home) -> None:
    (sheet.inbox / "more.csv.part").write_text("Deal,St")
    (sheet.inbox / ".hidden.csv").write_text("x")
    (sheet.inbox / "~$deals.xlsx").write_text("x")
    assert outcomes(Landing(sheet).run()) == [("deals.csv", "landed")]


def test_what_a_killed_landing_left_is_cleared(sheet: Home) -> None:
    (sheet.landed / ".tmp-abc").mkdir()
    (sheet.archive / ".tmp-123").write_text("half a file")
    report = Landing(sheet).run()
    assert outcomes(report) == [("deals.csv", "landed")]
    assert not [p for f in (sheet.landed, sheet.archive) for p in f.glob(".tmp-*")]


def test_a_file_that_breaks_its_parser_stops_no_other(sheet: Home) -> None:
    (sheet.inbox / "a.jsonl").write_text('{"Deal": 1}\n[1, 2]\n5\n')
    data = bytearray(gzip.compress(LONG.encode() * 500))
    data[len(data) // 2] ^= 255
    (sheet.inbox / "b.csv.gz").write_bytes(data)
    with zipfile.ZipFile(sheet.inbox / "c.xlsx", "w") as book:
        book.writestr("xl/workbook.xml", "<workbook/>")
    (sheet.inbox / "d.csv").write_text(LONG.replace("D1", "D8"))
    (sheet.inbox / "d.csv.known_at").write_bytes("some day".encode("utf-16"))
    (sheet.inbox / "e\x1b[31m\n.csv").write_text("a,b\n1,2\n")
    report = Landing(sheet).run()
    found = dict(outcomes(report))
    assert found.pop("deals.csv") == "landed"
    assert len(found) == 5
    assert set(found.values()) == {"rejected"}
    assert all(file.message.isprintable() for file in report.files)


def test_hostile_files_beside_exports_are_refused_and_stop_no_other(
    sheet: Home, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("2026-01-01")
    for n, name in enumerate(("linked.csv", "piped.csv", "long.csv", "folder.csv")):
        (sheet.inbox / name).write_text(LONG.replace("D1", f"E{n}"))
    (sheet.inbox / "linked.csv.known_at").symlink_to(tmp_path / "secret")
    os.mkfifo(sheet.inbox / "piped.csv.known_at")
    (sheet.inbox / "long.csv.known_at").write_text("2026-01-01" + " " * 1_000_000)
    (sheet.inbox / "folder.csv.known_at").mkdir()
    report = Landing(sheet).run()
    found = {file.name: file.rule for file in report.files if file.outcome == "rejected"}
    assert found == dict.fromkeys(
        ("linked.csv", "piped.csv", "long.csv", "folder.csv"), "known_at_unreadable"
    )
    assert ("deals.csv", "landed") in outcomes(report)


def test_a_name_of_255_letters_lands(sheet: Home) -> None:
    name = "d" * 251 + ".csv"
    (sheet.inbox / name).write_text(LONG.replace("D1", "D7"))
    assert outcomes(Landing(sheet).run()) == [(name, "landed"), ("deals.csv", "landed")]


def test_what_may_not_be_read_is_named_and_refused(
    sheet: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The superuser, who runs tests, may read anything: the system is told to say no."""
    (sheet.inbox / "closed").mkdir()
    (sheet.inbox / "closed" / "more.csv").write_text(LONG)
    (sheet.inbox / "mine.csv").write_text(LONG.replace("D1", "D8"))
    scandir, opened = os.scandir, os.open

    def denied(what: Any) -> Callable[..., Any]:
        def maybe(path: Any, *arguments: Any, **named: Any) -> Any:
            if str(path).endswith(("/closed", "/mine.csv")):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return what(path, *arguments, **named)

        return maybe

    monkeypatch.setattr(os, "scandir", denied(scandir))
    monkeypatch.setattr(os, "open", denied(opened))
    report = Landing(sheet).run()
    found = {file.name: file.rule for file in report.files if file.outcome == "rejected"}
    assert found == {"closed": "not_permitted", "mine.csv": "not_permitted"}
    assert ("deals.csv", "landed") in outcomes(report)


def test_a_file_that_vanishes_while_it_is_read_stops_no_other(
    sheet: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("before.csv", "meanwhile.csv"):
        (sheet.inbox / name).write_text(LONG.replace("D1", name[0]))
    (sheet.inbox / "zz.csv").write_text(LONG.replace("D1", "D9"))
    archived = arriving.archive_bytes

    def vanishing(path: Path, folder: Path) -> Any:
        if path.name == "before.csv":
            path.unlink()
        found = archived(path, folder)
        if path.name == "meanwhile.csv":
            path.unlink()
        return found

    monkeypatch.setattr(arriving, "archive_bytes", vanishing)
    assert outcomes(Landing(sheet).run()) == [
        ("before.csv", "held"), ("deals.csv", "landed"), ("meanwhile.csv", "landed"),
        ("zz.csv", "landed"),
    ]  # fmt: skip


def test_files_without_a_name_and_names_that_stand_twice_are_refused(sheet: Home) -> None:
    (sheet.inbox / "..csv").write_text(LONG)
    for name, members in (("twice.zip", ("a.csv", "a.csv")), ("nameless.zip", ("x/..csv",))):
        with zipfile.ZipFile(sheet.inbox / name, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for n, member in enumerate(members):
                archive.writestr(member, LONG.replace("D1", f"Z{n}"))
    report = Landing(sheet).run()
    found = {file.name: file.rule for file in report.files if file.outcome == "rejected"}
    assert found == {
        "..csv": "unsafe_name", "nameless.zip": "unsafe_name", "twice.zip": "duplicate_member"
    }  # fmt: skip


def test_a_stage_that_is_a_persons_address_is_quarantined(sheet: Home) -> None:
    rows = "".join(f"D{n},Lead,2026-01-02,Ann,1\n" for n in range(30))
    wrong = "X1,eva@example.com,2026-01-02,Ann,1\nX2,+46 70 123 45 67,2026-01-02,Ann,1\n"
    (sheet.inbox / "deals.csv").write_text(LONG.partition("\n")[0] + "\n" + rows + wrong)
    report = Landing(sheet, dry_run=True).run()
    (file,) = report.files
    (rule,) = file.left_out  # one change of a deal, whose record counts
    assert "looks_personal" in rule and file.left_out[rule] == 2
    assert "eva" not in str(report) and "4567" not in str(report).replace(" ", "")


def test_a_full_disk_is_a_fault_of_the_machine_and_not_of_the_file(
    sheet: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = duckdb.IOException("IO Error: Could not write file: No space left on device")

    def filled(*_: Any) -> None:
        raise full

    outcome = worker._outcome(filled, ())
    assert isinstance(outcome, OSError)
    assert fault_in_words(outcome) == "the disk is full; free some space and run again"
    monkeypatch.setattr(deciding.READERS, "call", lambda *_, **__: raised(outcome))
    with pytest.raises(OSError, match="No space left"):
        Landing(sheet).run()


def raised(error: BaseException) -> None:
    raise error


def test_a_dry_run_of_the_same_bytes_under_two_names(sheet: Home) -> None:
    shutil.copy(sheet.inbox / "deals.csv", sheet.inbox / "copy.csv")
    report = Landing(sheet, dry_run=True).run()
    assert [o for _, o in outcomes(report)] == ["landed", "already_landed"]


def test_the_sensor_sees_a_new_file_once(sheet: Home) -> None:
    assert is_new(sheet)
    (sheet.inbox / "strange.csv").write_text("a,b\n1,2\n")
    (sheet.inbox / "link.csv").symlink_to(sheet.inbox / "deals.csv")
    Landing(sheet).run()
    assert not is_new(sheet)
    (sheet.inbox / "deals.csv").write_text(LONG + "D5,Lead,2026-01-05,Bo,50\n")
    assert is_new(sheet)


@pytest.fixture
def read(sheet: Home, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that a pass reads; what is there counts as long unchanged."""
    names: list[str] = []

    def archive(path: Path, folder: Path) -> Any:
        names.append(path.name)
        return archive_bytes(path, folder)

    monkeypatch.setattr(arriving, "archive_bytes", archive)
    monkeypatch.setattr(arriving, "SETTLED_SECONDS", -1)
    return names


def test_what_is_unchanged_is_not_read_again(sheet: Home, read: list[str]) -> None:
    with zipfile.ZipFile(sheet.inbox / "more.zip", "w") as archive:
        archive.writestr("deals.csv", LONG + "D5,Lead,2026-01-05,Bo,50\n")
    first = Landing(sheet).run()
    assert read == ["deals.csv", "more.zip", "member-0"]
    second = Landing(sheet).run()
    assert len(read) == 3
    assert [o for _, o in outcomes(second)] == ["already_landed"] * 2
    assert second.loads == first.loads


def test_changed_content_lands_whatever_its_size_and_time_of_writing(
    sheet: Home, read: list[str]
) -> None:
    path = sheet.inbox / "deals.csv"
    Landing(sheet).run()
    before, text = path.stat(), path.read_text()
    path.write_text(text.replace("Bo", "Al"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert text != path.read_text()
    assert is_new(sheet)
    assert [o for _, o in outcomes(Landing(sheet).run())] == ["landed"]
    assert not is_new(sheet)


def test_a_file_read_just_after_it_changed_is_read_once_more(
    sheet: Home, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "SETTLED_SECONDS", 2)
    Landing(sheet).run()
    Landing(sheet).run()
    assert read == ["deals.csv"] * 2


def test_a_member_that_was_withdrawn_is_taken_again_with_its_archive(
    sheet: Home, read: list[str]
) -> None:
    """As long as the archive lies in the inbox. One within another has no list of members."""
    inner = sheet.root / "inner.zip"
    for path, members in ((inner, ("c.csv", "d.csv")), (sheet.inbox / "more.zip", ("a.csv",))):
        with zipfile.ZipFile(path, "w") as archive:
            for n, member in enumerate(members):
                archive.writestr(member, LONG.replace("D1", f"{path.stem}{n}"))
    with zipfile.ZipFile(sheet.inbox / "outer.zip", "w") as archive:
        archive.write(inner, "inner.zip")
    first = Landing(sheet).run()
    (member,) = (file for file in first.files if file.name == "more.zip/a.csv")
    for name in (member.sha256, f"{member.sha256}.json"):
        (sheet.archive / name).unlink()
    second = Landing(sheet).run()
    assert [(f.name, f.rule) for f in second.files] == [(f.name, f.rule) for f in first.files]
    assert (sheet.archive / member.sha256).exists()


def test_bytes_lost_from_the_archive_are_taken_again(sheet: Home, read: list[str]) -> None:
    (file,) = Landing(sheet).run().files
    (sheet.archive / file.sha256).unlink()
    Landing(sheet).run()
    assert (sheet.archive / file.sha256).exists()


# --- mappings ------------------------------------------------------------------------------------


def test_adding_a_crm_is_adding_a_file(home: Home) -> None:
    (home.mappings / "acme.yml").write_text(
        """
system: acme
doc: A CRM nobody has heard of
stages:
  - {pipeline_id: p, stage_id: New, position: 1, kind: open}
files:
  deals:
    doc: its export
    headers: [[Ref], [Phase]]
    dialect: {separator: "|", decimal: ","}
    tables:
      deals:
        columns:
          deal_id: Ref
          stage_id: {from: [Phase], values: {Neu: New}}
          pipeline_id: {constant: p}
          amount: Worth
          currency: {constant: EUR}
"""
    )
    (home.inbox / "x.txt").write_text("Ref|Phase|Worth\n7|Neu|1,5\n")
    report = Landing(home).run()
    assert (report.files[0].file_kind, report.files[0].accepted) == ("acme/deals", 1)
    facts = [m for m in read_manifests(home, report.loads) if m.file_kind == "acme/deals"]
    money = facts[0].money["deals"]
    assert (money.came_in, money.accepted) == ({"EUR": "1.50"}, {"EUR": "1.50"})
    assert money.quarantined == {"EUR": "0.00"}


def test_a_missing_required_column_names_file_mapping_and_nearest_header(home: Home) -> None:
    (home.inbox / "hubspot-crm-exports-all-deals-2026-05-04.csv").write_text(
        "Record ID,Dealstage,Amount\n1,x,2\n"
    )
    (file,) = Landing(home).run().files
    assert file.rule == "required_column_missing"
    for part in ("all-deals-2026-05-04.csv", "hubspot/deals", "'Deal Stage'", "'Dealstage'"):
        assert part in file.message


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("system: x\ndoc: y\nfiles: {a: {doc: b, headers: [[c]], tables: {dealz: {columns: {}}}}}",
         "dealz is not an input table"),
        ("system: x\ndoc: y\nfiles: {a: {doc: b, headers: [[c]], "
         "tables: {deals: {columns: {deal_id: c, amout: d}}}}}", "deals has no column amout"),
        ("system: x\ndoc: y\nfiles: {a: {doc: b, headers: [[c]], tables: {leads: {columns: "
         "{source: d}}}}}", "leads needs lead_id"),
        ("system: hubspot\ndoc: y\nfiles: {}", "system hubspot is that of hubspot.yml"),
        ("system: x\n  doc: y", "not readable as YAML"),
        ("system: x\ndoc: y\nfiels: {}\nfiles: {}", "fiels"),
        ("system: x\ndoc: y\nfiles: {}\nstages: [{pipeline_id: p, stage_id: s, rolle: lead}]",
         "a stage has no 'rolle'"),
        ("system: x\ndoc: y\nfiles: {}\nstages: [{pipeline_id: p, stage_id: s}, "
         "{pipeline_id: p, stage_id: s}]", "s is there twice"),
        (with_part("dialect: {zone: Mars/Base}"), "'Mars/Base' is not an IANA zone"),
        (with_part("dialect: {dates: dd/mm/yyyy}"), "strptime, as in %d/%m/%Y"),
        (with_part("dialect: {dates: ['%Q']}"), "strptime"),
        (with_part('dialect: {decimal: ",", thousands: ","}'), "the same sign"),
        (with_part("known_at: {file_name: '([0-9'}"), "not a regular expression"),
        (with_part("known_at: {file_name: '[0-9]+'}"), "needs (brackets) around the date"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_is_told_in_one_line(home: Home, text: str, fault: str) -> None:
    (home.mappings / "zz.yml").write_text(text)
    with pytest.raises(UserError, match=r"zz\.yml") as error:
        Landing(home)
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("zone: Stockholm", "IANA zone"),
        ("currency: kr", "currency"),
        ("curency: SEK", "curency"),
        ("keep_published_days: 0", "keep_published_days"),
        ("- a", "key: value"),
        ("zone: [", "not readable as YAML"),
    ],
)
def test_a_wrong_company_file_is_told_in_one_line(home: Home, text: str, fault: str) -> None:
    home.company_file.write_text(text)
    with pytest.raises(UserError, match=r"company\.yml") as error:
        home.company()
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


def test_the_company_file_of_the_first_run_holds_the_defaults(home: Home) -> None:
    from ingestion.company import Company

    assert home.company() == Company()
    assert home.company().end_of(date(2026, 3, 29)).isoformat() == "2026-03-29T21:59:59"


@pytest.mark.parametrize("text", ["", "ab", "not a key", "ab" * 31])
def test_an_empty_or_short_key_is_refused(
    sheet: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    monkeypatch.setenv("MELLANTID_KEY_FILE", str(tmp_path / "short.key"))
    (tmp_path / "short.key").write_text(text)
    with pytest.raises(UserError, match="holds no key of 32 bytes; restore it from backup"):
        Landing(sheet)


def test_a_key_is_made_once_whole_and_for_its_owner_alone(
    sheet: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "config" / "made.key"
    monkeypatch.setenv("MELLANTID_KEY_FILE", str(path))
    made = sheet.hash_key()
    assert len(made) == 32 and path.stat().st_mode & 0o777 == 0o600
    write_once(path, "ab" * 32)
    assert sheet.hash_key() == made
    assert [p.name for p in path.parent.iterdir()] == ["made.key"]


def test_a_home_hashed_with_another_key_is_refused(
    sheet: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Landing(sheet).run()
    monkeypatch.setenv("MELLANTID_KEY_FILE", str(tmp_path / "other.key"))
    with pytest.raises(UserError, match="missing, and this home was hashed"):
        Landing(sheet)
    (tmp_path / "other.key").write_text("ab" * 32)
    with pytest.raises(UserError, match="is not the key"):
        Landing(sheet)
    monkeypatch.setenv("MELLANTID_KEY_FILE", str(sheet.root / "hash.key"))
    with pytest.raises(UserError, match="lies inside the home"):
        Landing(sheet)


# --- HubSpot -------------------------------------------------------------------------------------


def test_hubspot_calls_by_api_name_and_by_label_are_the_same_call(home: Home) -> None:
    import duckdb

    (home.inbox / "calls-api.csv").write_text(
        "hs_object_id,hs_timestamp,hs_call_disposition,hs_call_direction,hs_call_duration,"
        "hubspot_owner_id,Associated Deal IDs\n"
        "5,2026-01-02T10:00:00Z,f240bbac-87c9-4f6e-bf70-924b57d47db7,OUTBOUND,61500,7,1;2\n"
    )
    (home.inbox / "calls-view.csv").write_text(
        "Record ID,Activity date,Call outcome,Call direction,Call duration,Activity assigned to,"
        "Associated Deal IDs\n"
        "5,2026-01-02 11:00,Connected,Outbound,61500,7,1\n"
    )
    report = Landing(home).run()
    assert {file.file_kind for file in report.files} == {"hubspot/calls"}
    paths = [str(home.landed / file.load_id / "activities.parquet") for file in report.files]
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select distinct activity_id, type, cast(occurred_at as varchar), seller_id, "
            "direction, outcome, duration_s from read_parquet(?)",
            [paths],
        ).fetchall()
    assert rows == [
        ("hubspot:5", "call", "2026-01-02 10:00:00", "hubspot:7", "outbound", "connected", 61)
    ]
    links = {file.name: landed(home, file, "activity_links", "record_type, record_id")
             for file in report.files}  # fmt: skip
    assert links == {
        "calls-api.csv": [("deal", "hubspot:1"), ("deal", "hubspot:2")],
        "calls-view.csv": [("deal", "hubspot:1")],
    }


def test_hubspot_view_takes_a_companys_own_stages_from_the_home(home: Home) -> None:
    import duckdb

    values = {"Första mötet": "first"}
    own = {
        "stages": [{"pipeline_id": "default", "stage_id": "first", "position": 1, "kind": "open"}],
        "files": {
            "deals": {"tables": {"deals": {"columns": {"stage_id": {"values": values}}}}},
        },
    }
    (home.mappings / "hubspot.yml").write_text(yaml.safe_dump(own))
    (home.inbox / "deals.csv").write_text(
        'Record ID,Deal Stage,"Date entered ""Contract Sent (Sales Pipeline)"""\n'
        "1,Första mötet,2026-01-02 10:00\n2,Closed Won,\n"
    )
    (file,) = Landing(home).run().files
    with duckdb.connect() as connection:
        folder = home.landed / file.load_id
        stages = connection.execute(f"select stage_id from '{folder}/deals.parquet'").fetchall()
        entered = connection.execute(
            f"select deal_id, new_value, fidelity from '{folder}/deal_changes.parquet'"
        ).fetchall()
    assert sorted(stages) == [("hubspot:closedwon",), ("hubspot:first",)]
    assert entered == [("hubspot:1", "hubspot:contractsent", "latest_per_stage")]


def test_hubspot_lists_the_merged_on_the_deal_that_goes_on(home: Home) -> None:
    (home.inbox / "deals-2026-01-31.csv").write_text(
        "Record ID,Deal Stage,Merged Deal IDs\n1,Closed Won,5;6\n2,Closed Won,\n"
    )
    (file,) = Landing(home).run().files
    assert landed(home, file, "deal_merges", "deal_id, merged_into_deal_id") == [
        ("hubspot:5", "hubspot:1"),
        ("hubspot:6", "hubspot:1"),
    ]


def test_a_change_dated_after_its_export_is_quarantined(home: Home) -> None:
    (home.inbox / "deal-property-history-2026-01-31.csv").write_text(
        "dealId,property,value,timestamp\n"
        "1,dealstage,closedwon,2026-01-31T22:59:59Z\n"
        "2,dealstage,closedwon,2027-01-31T10:00:00Z\n"
    )
    (file,) = Landing(home).run().files
    assert file.rules == {"timestamp: after_the_export_was_made": 1}
    assert landed(home, file, "deal_changes", "deal_id") == [("hubspot:1",)]


def test_a_date_that_cannot_be_read_costs_that_change_and_not_the_deal(home: Home) -> None:
    entered = 'Date entered ""Contract Sent (Sales Pipeline)""'
    (home.inbox / "deals-2026-03-31.csv").write_text(
        f'Record ID,Deal Stage,"{entered}"\n1,Contract Sent,2026-01-02 10:00\n'
        "2,Contract Sent,soon\n3,Nowhere,2026-01-02 10:00\n"
    )
    (file,) = Landing(home).run().files
    assert (file.accepted, file.quarantined, file.rules) == (3, 0, {})
    ((rule, n),) = file.left_out.items()
    assert rule.endswith(": not_a_date") and n == 1
    assert landed(home, file, "deals", "deal_id") == [(f"hubspot:{n}",) for n in (1, 2, 3)]
    assert landed(home, file, "deal_changes", "deal_id") == [("hubspot:1",), ("hubspot:3",)]
    assert unaccounted([home.landed / file.load_id]) == []


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("leads.csv", "Id,Status,Converted"),
        ("users.csv", "User ID,Email,Active"),
        ("users.csv", "id,email,first_name"),
        ("events.csv", "id,start,end"),
        ("opportunities.csv", "id,stage_name,close_date"),
        ("Export_Opportunity.csv", "ID,Name,Account,Stage,Amount,Close Date"),
        ("contacts.csv", "Record Id,Email,First Name,Last Name"),
        ("accounts.csv", "ID,Name,Industry,Employees,Billing Country"),
        ("log.csv", "deal_id,name,value,timestamp"),
    ],
)
def test_headers_of_any_system_make_no_file_a_certain_systems(
    home: Home, name: str, headers: str
) -> None:
    record = ",".join("1" for _ in headers.split(","))
    (home.inbox / name).write_text(f"{headers}\n{record}\n")
    (file,) = Landing(home).run().files
    assert file.outcome == "rejected"
    assert "`mellantid map`" in file.message


# --- Salesforce ----------------------------------------------------------------------------------


def landed(home: Home, file: FileOutcome, table: str, columns: str) -> list[tuple[Any, ...]]:
    import duckdb

    path = home.landed / file.load_id / f"{table}.parquet"
    with duckdb.connect() as connection:
        return connection.execute(f"select {columns} from '{path}' order by all").fetchall()


@pytest.mark.parametrize(
    "header",
    [
        "Id,StageName,Amount,CurrencyIsoCode,CloseDate,CreatedDate,Type,LeadSource,OwnerId,"
        "AccountId,Probability,IsDeleted",
        "Opportunity ID,Stage,Amount,Amount Currency,Close Date,Created Date,Type,Lead Source,"
        "Opportunity Owner,Account ID,Probability (%),IsDeleted",
        "Opportunity Name,Stage,Amount,Amount Currency,Close Date,Created Date,Type,Lead Source,"
        "Opportunity Owner,Account ID,Probability (%),IsDeleted",
        "id,stage_name,amount,currency_iso_code,close_date,created_date,type,lead_source,owner_id,"
        "account_id,probability,is_deleted",
    ],
)
def test_salesforce_opportunities_by_api_name_by_label_and_as_synced(
    home: Home, header: str
) -> None:
    (home.inbox / "Opportunities-2026-01-31.csv").write_text(
        f"{header}\n"
        "006A,Proposal/Price Quote,1200.5,EUR,2026-03-31,2026-01-02T10:00:00.000+0000,"
        "Existing Customer - Upgrade,Web,005X,001Z,75,false\n"
    )
    (file,) = Landing(home).run().files
    assert file.file_kind == "salesforce/opportunities"
    columns = (
        "deal_id, stage_id, pipeline_id, cast(amount as varchar), currency, "
        "cast(expected_close_on as varchar), deal_type, source, seller_id, account_id, "
        "probability, is_deleted"
    )
    assert landed(home, file, "deals", columns) == [
        ("salesforce:006A", "salesforce:Proposal/Price Quote", "salesforce:default", "1200.50",
         "EUR", "2026-03-31", "expansion", "Web", "salesforce:005X", "salesforce:001Z", 0.75, False)
    ]  # fmt: skip


def test_salesforce_tasks_and_events_are_calls_and_meetings_of_what_their_ids_say(
    home: Home,
) -> None:
    (home.inbox / "Task-2026-01-31.csv").write_text(
        "Id,WhatId,WhoId,OwnerId,ActivityDate,CompletedDateTime,TaskSubtype,CallDurationInSeconds\n"
        "00T1,006A,00QL,005X,2026-01-05,2026-01-05T09:30:00Z,Call,61\n"
        "00T2,001Z,003C,005X,2026-02-05,,Task,\n"
    )
    (home.inbox / "Event-2026-01-31.csv").write_text(
        "Id,WhatId,WhoId,OwnerId,StartDateTime,EndDateTime,IsDeleted,IsChild\n"
        "00U1,006A,003C,005X,2026-01-07T09:00:00Z,2026-01-07T10:00:00Z,false,false\n"
        "00U2,006A,003C,005X,2026-01-07T09:00:00Z,2026-01-07T10:00:00Z,false,TRUE\n"
    )
    files = {file.file_kind: file for file in Landing(home).run().files}
    columns = (
        "activity_id, type, cast(occurred_at as varchar), deal_id, lead_id, contact_id, is_deleted"
    )
    assert landed(home, files["salesforce/tasks"], "activities", columns) == [
        ("salesforce:00T1", "call", "2026-01-04 23:00:00", "salesforce:006A", "salesforce:00QL",
         None, None),
        ("salesforce:00T2", "task", "2026-02-04 23:00:00", None, None, "salesforce:003C", None),
    ]  # fmt: skip
    assert landed(home, files["salesforce/events"], "activities", columns) == [
        ("salesforce:00U1", "meeting", "2026-01-07 09:00:00", "salesforce:006A", None,
         "salesforce:003C", False),
        ("salesforce:00U2", "meeting", "2026-01-07 09:00:00", "salesforce:006A", None,
         "salesforce:003C", True),
    ]  # fmt: skip
