"""What the home stores for itself: read as written, upgraded, never half believed."""

import json
from pathlib import Path

import pytest

from ingestion.errors import UserError
from ingestion.home import Home
from ingestion.landing.manifest import LoadManifest
from ingestion.landing.receipts import Receipt, SeenName, read_receipt, receipt_file
from ingestion.landing.report import FileOutcome, Report, last_report, save_report
from ingestion.stored import DamagedFile, Stored
from publishing.failures import Failure
from publishing.gate.checks import CheckResult, StepResults
from publishing.inputs import BuildInputs
from publishing.set_manifest import SetManifest
from publishing.status import Status, read_status, write_status

RECEIPT = Receipt(
    sha256="ab",
    bytes=3,
    first_name="åäö.csv",
    names=(SeenName(name="åäö.csv", size=3, mtime_ns=1_700_000_000_000_000_001),),
    arrived_at="2026-01-01 00:00:00",
    file_kinds={"": "crm/deals"},
)
MODELS: list[Stored] = [
    RECEIPT,
    Report(files=[FileOutcome(name="a", outcome="landed", rules={"x: missing": 2})], loads=["l"]),
    StepResults(results=[CheckResult("a", "dbt", "failed", "why")]),
    BuildInputs(
        loads=["l"],
        files={"deals": ["landed/l/deals.parquet"]},
        run={"bulk_deals": 5},
        sightings=[("l", "2026-01-01 00:00:00", 1, "crm/deals deals"), ("l", None, 2, "")],
        settings_hash="s",
    ),
    Status(),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_what_is_written_reads_back_and_says_its_format(model: Stored, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    model.write(path)
    assert type(model).read(path) == model
    assert json.loads(path.read_text())["format_version"] == type(model).FORMAT


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[1, 2]",
        lambda text: text.replace('{\n  "', '{\n  "unknown": 1, "', 1),
        lambda text: "\x00" * len(text),
    ],
    ids=["cut", "empty", "another form", "a key too many", "zeros"],
)
def test_a_damaged_file_is_named_and_never_half_believed(
    model: Stored, damage: object, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    path = folder / "file.json"
    assert callable(damage)
    path.write_text(damage(model.as_text()))
    with pytest.raises(DamagedFile, match=rf"archive/file.json: is damaged.*; {model.REMEDY}"):
        type(model).read(path)


def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text(
        RECEIPT.as_text().replace(f'"format_version": {Receipt.FORMAT}', '"format_version": 99')
    )
    with pytest.raises(UserError, match="written by a later version"):
        Receipt.read(path)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ({"entries": {"": "crm/deals"}, "mappings": "x"}, {"": "crm/deals"}),
        ({"entry": "crm/deals"}, {"": "crm/deals"}),
        ({"entry": None}, {}),
    ],
)
def test_receipts_of_earlier_versions_are_read(
    home: Home, kinds: dict[str, object], expected: dict[str, str]
) -> None:
    old = {"sha256": "ab", "bytes": 3, "first_name": "a", "names": [], "sidecar": None,
           "arrived_at": "2026-01-01 00:00:00", "known_at": None,
           "is_known_at_declared": False, **kinds}  # fmt: skip
    receipt_file(home, "ab").write_text(json.dumps(old))
    receipt = read_receipt(home, "ab")
    assert receipt is not None
    assert (receipt.file_kinds, receipt.known_at) == (expected, "")


def test_manifests_of_earlier_versions_are_read(tmp_path: Path) -> None:
    load = {"load_id": "l", "sha256": "ab", "known_at": "2026-01-01 00:00:00", "records": 1,
            "accepted": 1, "quarantined": 0, "rules": {}, "entry": "crm/deals"}  # fmt: skip
    table = {"absent": [], "mapped": {}, "ambiguous_times": 0, "rows": 1}
    money = {"deals": {"in": {"SEK": "1.00"}, "accepted": {"SEK": "1.00"}, "quarantined": {}}}
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**load, "sheet": None, "mapping_hash": "h", "notes": {},
                                "tables": {"deals": table}, "unmapped_headers": [],
                                "money": money}))  # fmt: skip
    found = LoadManifest.read(path)
    assert (found.file_kind, found.first_rejects) == ("crm/deals", [])
    assert found.money["deals"].came_in == {"SEK": "1.00"}
    published = {"run": "r", "run_id": "i", "as_of": "2026-01-01", "epoch": 1, "published_at": "t",
                 "schema_version": 3, "code_version": "c", "tables": {}, "files": {},
                 "checks": [{"name": "a", "asked_by": "dbt", "outcome": "passed", "detail": ""}],
                 "loads": [load]}  # fmt: skip
    path.write_text(json.dumps(published))
    assert SetManifest.read(path).loads[0].file_kind == "crm/deals"


def test_reports_of_earlier_versions_are_read(home: Home) -> None:
    old = {"run_id": "r", "loads": ["l"], "results": [],
           "files": [{"name": "a", "outcome": "landed", "entry": "crm/deals"}]}  # fmt: skip
    (home.landed / "last_report.json").write_text(json.dumps(old))
    report = last_report(home)
    assert report is not None
    assert report.files[0].file_kind == "crm/deals"
    save_report(home, report)
    assert last_report(home) == report


def test_a_status_of_an_earlier_version_keeps_since_when_it_was_refused(tmp_path: Path) -> None:
    old = {"current": None, "refused": {"run_id": "r", "kind": "fault", "reasons": ["x"],
                                        "new_files": [], "since": "2026-01-01T00:00:00+00:00",
                                        "at": "2026-01-02T00:00:00+00:00"}}  # fmt: skip
    (tmp_path / "status.js").write_text(f"window.mellantidStatus = {json.dumps(old)};\n")
    failure = Failure(run_id="s", kind="fault", reasons=["y"], new_files=[])
    status = write_status(tmp_path, None, failure)
    assert status.refused is not None
    assert status.refused.since == "2026-01-01T00:00:00+00:00"
    assert read_status(tmp_path) == status
    (tmp_path / "status.js").write_text("window.mellant")
    with pytest.raises(DamagedFile, match=r"status.js: is damaged"):
        read_status(tmp_path)
    assert write_status(tmp_path, None, is_cleared=True).refused is None
