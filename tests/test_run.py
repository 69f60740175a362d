"""A day, end to end: what must be seen when files come again, fail, or a run dies.

`run_job` is Dagster's job, `ran` and the command take the same steps without it.
"""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import hashes, ran

from cli.main import main
from cli.messages import errors_as_messages
from ingestion.errors import UserError, fault_in_words
from ingestion.home import Home
from ingestion.landing.deciding import Landing
from ingestion.landing.manifest import read_manifests
from ingestion.landing.report import last_report
from publishing.failures import Failure
from publishing.gate.expectations import EXPECTATIONS
from publishing.inputs import code_hash
from publishing.lease import LeaseHeld
from publishing.set_manifest import read_manifest
from publishing.sets import PublishedSets
from publishing.standing import standing_set
from publishing.warehouse import Warehouse
from simulation.histories import simulate
from simulation.home import write_home

DAY, NEXT_DAY = date(2026, 6, 29), date(2026, 6, 30)
MELLANTID = str(Path(sys.executable).with_name("mellantid"))
RunJob = Callable[[Home, date], bool]


@pytest.fixture
def small_home(tmp_path: Path) -> Home:
    write_home(simulate(120, 3, DAY), tmp_path / "home")
    return Home.at(tmp_path / "home")


@pytest.fixture(scope="module")
def first_day(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The company's home after its first day, run without disturbance; not to be changed."""
    root = tmp_path_factory.mktemp("first") / "home"
    write_home(simulate(120, 3, DAY), root)
    home = Home.at(root)
    assert ran(home, DAY)
    return home


@pytest.fixture
def published_home(first_day: Home, tmp_path: Path) -> Home:
    """A copy of it, to go on with."""
    return Home.at(shutil.copytree(first_day.root, tmp_path / "home", symlinks=True))


def deals_file(home: Home) -> Path:
    return home.inbox / f"hubspot-crm-exports-all-deals-{DAY}.csv"


def as_next_day(home: Home, change: Callable[[str], str]) -> str:
    """Tomorrow's deals export: today's, changed. Returns its name."""
    path = home.inbox / f"hubspot-crm-exports-all-deals-{NEXT_DAY}.csv"
    path.write_text(change(deals_file(home).read_text()))
    return path.name


def test_after_a_refused_export_is_taken_away_a_run_publishes_and_depends_on_the_files_alone(
    published_home: Home, run_job: RunJob
) -> None:
    home, published = published_home, PublishedSets(published_home)
    first = published.current()
    assert first is not None
    before = hashes(first)
    page = (first / "docs" / "index.html").read_text()
    assert "pipeline_movement" in page and str(home.root) not in page
    name = as_next_day(home, without_stage)
    assert not run_job(home, NEXT_DAY)
    assert published.current() == first
    assert_refused_for(published, "every_file_landed", name, "")
    for path in home.archive.glob("*.json"):
        if json.loads(path.read_text())["first_name"] == name:
            path.with_suffix("").unlink()
            path.unlink()
    # The same file again under another name, all others gone, and the private build too.
    shutil.rmtree(home.warehouse)
    name = deals_file(home).name
    deals_file(home).rename(home.inbox / "the same.csv")
    for path in home.inbox.iterdir():
        if path.name != "the same.csv":
            path.unlink()
    assert ran(home, DAY)
    assert published.status().refused is None
    second = published.current()
    assert second is not None
    assert second != first
    report = last_report(home)
    assert report is not None
    messages = [file.message for file in report.files]
    assert f"the same.csv: already landed as {name}" in messages
    assert hashes(second) == before
    # A value map changed: the old load is superseded, without the file being dropped again.
    mapping = home.mappings / "hubspot.yml"
    content = mapping.read_text()
    mapping.write_text(content.replace("Closed Lost: lost", "Closed Lost: won"))
    assert mapping.read_text() != content
    # What was lost long ago is won now: not without a person saying so.
    assert not ran(home, DAY)
    refused = published.status().refused
    assert refused is not None
    checks = [reason.partition(":")[0] for reason in refused.reasons]
    assert "finished_cohorts_by_segment_keep_their_conversion" in checks
    # What it refused was built of the new load.
    (load,) = (load for load in read_manifests(home, Landing(home).run().loads)
               if load.file_kind == "hubspot/deals")  # fmt: skip
    assert load.load_id not in {old.load_id for old in read_manifest(second).loads}
    assert hashes(Warehouse(home, DAY).marts)["dim_deals"] != before["dim_deals"]


def half_unknown(text: str) -> str:
    lines = text.splitlines(keepends=True)
    for stage in ("Closed Lost", "Closed Won"):
        lines[1::2] = [line.replace(f'"{stage}"', '"Somewhere"') for line in lines[1::2]]
    return "".join(lines)


def times_thousand(text: str) -> str:
    return text.replace('.0","', '000.0","')


def without_stage(text: str) -> str:
    return text.replace('"Deal Stage"', '"Stage of deal"')


def test_a_poisoned_export_is_not_published_and_the_last_good_set_stands(
    published_home: Home,
) -> None:
    published = PublishedSets(published_home)
    good = published.current()
    name = as_next_day(published_home, half_unknown)
    assert not ran(published_home, NEXT_DAY)
    assert (published.current(), published.sets()) == (good, [good])
    said = "Somewhere in default of hubspot"
    assert_refused_for(published, "every_stage_is_known", name, said)


def assert_refused_for(published: PublishedSets, check: str, name: str, said: str) -> None:
    refused = published.status().refused
    assert refused is not None
    assert refused.kind == "refused", refused
    reasons = [reason for reason in refused.reasons if reason.startswith(check)]
    assert reasons and said in reasons[0], refused.reasons
    (new,) = refused.new_files
    assert new.startswith(f"{name} (archive/")


def test_an_empty_company_publishes_with_checks_not_applicable(home: Home, run_job: RunJob) -> None:
    assert run_job(home, DAY)
    manifest = PublishedSets(home).current_manifest()
    assert manifest is not None
    assert manifest.tables["dim_deals"].rows == 0
    outcomes = {c.name: c.outcome for c in manifest.checks if c.asked_by != "dbt"}
    assert len(outcomes) == len(EXPECTATIONS) + 3
    assert set(outcomes.values()) == {"not_applicable"}


# --- the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("company.yml: wrong"), 2, "mellantid: company.yml: wrong\n"),
        (LeaseHeld("mellantid run holds it"), 3, "wait for it"),
        (
            OSError(errno.ENOSPC, "No space left on device", "x"),
            3,
            "x: the disk is full",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "y"),
            3,
            "y: may not be read",
        ),
        (KeyboardInterrupt(), 3, "interrupted; the last good set stands"),
        (ZeroDivisionError("x"), 3, "ZeroDivisionError"),
        (UserError("a \x1b[31mred\x07 name"), 2, "mellantid: a ?[31mred? name\n"),
    ],
)
def test_an_exit_code_of_1_means_refused_and_nothing_else(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left, errors_as_messages():
        raise error
    assert left.value.code == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        BrokenProcessPool("A process in the pool was terminated abruptly"),
        RuntimeError("dbt could not build dim_deals: Out of Memory Error: failed to pin block"),
    ],
)
def test_too_little_memory_is_no_defect(error: Exception) -> None:
    assert "more memory than this machine has" in fault_in_words(error)


def command(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MELLANTID, "--home", str(home.root), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def killed_home(small_home: Home) -> Home:
    """The company's home after its run was killed early and late."""
    script = [MELLANTID, "--home", str(small_home.root), "run", "--as-of", str(DAY)]
    for moment in ("reading calls", "dbt: 40", "estimating", "publishing"):
        with subprocess.Popen(script, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if moment in line:
                    os.kill(process.pid, signal.SIGKILL)
                    break
            assert process.wait() == -signal.SIGKILL, moment
        assert PublishedSets(small_home).sets() == []
    return small_home


def test_after_killed_runs_the_command_publishes_refuses_and_says_so(
    killed_home: Home, first_day: Home
) -> None:
    """Runs killed in the middle have left nothing to mend."""
    script = [MELLANTID, "--home", str(killed_home.root), "run", "--as-of", str(DAY)]
    with subprocess.Popen(script, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert one.stderr is not None
        one.stderr.readline()
        # Of two at once one works, and the other says who.
        other = command(killed_home, "run", "--as-of", str(DAY))
        said, errors = one.communicate()
    assert other.returncode == 3
    assert f"mellantid run (process {one.pid} on " in other.stderr
    assert len(other.stderr.splitlines()) == 1
    assert one.returncode == 0, errors
    for part in ("15 already landed", "records", "checks", "published", "120 deals", "Negotiation",
                 "for each meeting"):  # fmt: skip
        assert part in said
    assert "Traceback" not in errors
    assert "leaked" not in errors
    again = command(killed_home, "run", "--as-of", str(DAY))
    assert again.returncode == 0
    assert "nothing new since" in again.stdout
    assert "120 deals" in again.stdout
    good, expected = (PublishedSets(home).current() for home in (killed_home, first_day))
    assert good is not None
    assert expected is not None
    assert hashes(good) == hashes(expected)
    assert not list(killed_home.root.glob("*/.tmp-*"))
    name = as_next_day(killed_home, times_thousand)
    refused = command(killed_home, "run", "--as-of", str(NEXT_DAY))
    assert refused.returncode == 1
    assert "the gate refused: amounts_keep_their_scale" in refused.stderr
    assert f"new since the last good set: {name}" in refused.stderr
    assert f"last good set: as of {DAY}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert PublishedSets(killed_home).sets() == [good]
    status = CliRunner().invoke(main, ["--home", str(killed_home.root), "status"])
    assert (status.exit_code, f"as of {DAY}" in status.stdout) == (0, True)
    assert "refused      since 20" in status.stdout


def test_a_set_stands_until_a_setting_or_the_set_changes(published_home: Home) -> None:
    home, sets = published_home, PublishedSets(published_home)
    current = sets.current()
    assert current is not None
    deals_file(home).touch()
    loads = Landing(home).run().loads
    standing = standing_set(home, DAY, loads)
    assert standing is not None
    assert standing.run == current.name
    assert standing_set(home, NEXT_DAY, loads) is None
    assert standing_set(home, DAY, loads[1:]) is None
    for file in (home.company_file, home.mappings / "hubspot.yml"):
        text = file.read_text()
        file.write_text(
            text.replace("idle_days: 30", "idle_days: 31").replace("label: Working", "label: Busy")
        )
        assert file.read_text() != text
        assert standing_set(home, DAY, loads) is None
        file.write_text(text)
    assert standing_set(home, DAY, loads) is not None
    sets.save_status(refused=Failure(run_id="x", kind="fault", reasons=["r"], new_files=[]))
    assert standing_set(home, DAY, loads) is None
    (sets.folder / "status.js").write_text("{")
    assert standing_set(home, DAY, loads) is None
    sets.save_status(is_cleared=True)
    with (current / "dim_deals.parquet").open("ab") as table:
        table.write(b"x")
    assert standing_set(home, DAY, loads) is None
    (current / "manifest.json").write_text("{")
    assert standing_set(home, DAY, loads) is None


def test_any_change_of_the_code_is_another_code(tmp_path: Path) -> None:
    """Wherever the checkout lies; what dbt writes for itself is none."""
    checkout = tmp_path / "target"
    hashes_of = []
    for name, text in (
        ("dbt/models/a.sql", "select 1"),
        ("dbt/models/a.sql", "select 2"),
        ("publishing/b.py", "1"),
        ("ingestion/sources/c.yml", "1"),
        ("dbt/target/compiled.sql", "1"),
    ):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(text)
        code_hash.cache_clear()
        hashes_of.append(code_hash(checkout))
    code_hash.cache_clear()
    assert len(set(hashes_of)) == 4
    assert hashes_of[-1] == hashes_of[-2]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["run", "--as-of", "yesterday"], "write the day as 2026-03-31"),
        (["run", "--as-of", "2999-01-01"], "choose a day from 2010-01-01 to today"),
        (["frobnicate"], "No such command"),
        (["rollback"], "no earlier published set"),
        (["open"], "no pages are published there"),
        (["simulate", "--out", "."], "not simulated"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    home: Home, arguments: list[str], part: str
) -> None:
    done = CliRunner().invoke(main, ["--home", str(home.root), *arguments])
    assert done.exit_code == 2
    assert part in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_configuration_is_exit_code_2(home: Home) -> None:
    home.company_file.write_text("zone: Mars\n")
    for arguments in (["run"], ["ingest"], ["status"]):
        done = CliRunner().invoke(main, ["--home", str(home.root), *arguments])
        assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
        assert "company.yml: zone: 'Mars' is not an IANA zone" in done.stderr


def test_ingest_says_what_landed_and_what_did_not(small_home: Home) -> None:
    (small_home.inbox / "strange.csv").write_text("a,b\n1,2\n")
    ingest = ["--home", str(small_home.root), "ingest"]
    dry = CliRunner().invoke(main, [*ingest, "--dry-run"])
    assert dry.exit_code == 1
    assert "dry run: nothing was kept" in dry.stdout
    assert "strange.csv: has headers that no mapping knows" in dry.stdout
    assert not any(small_home.landed.iterdir())
    assert command(small_home, "ingest").returncode == 1
    assert "by hubspot/deals" in dry.stdout
