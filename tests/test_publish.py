"""Publishing: whole sets, one switch, nothing lost for readers, no silent change of schema."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest
from conftest import build, hashes

from dashboard.site.parts import SetFacts
from ingestion.errors import UserError
from ingestion.home import Home
from ingestion.landing.manifest import undamaged
from ingestion.stored import DamagedFile
from publishing import catalogue, schema, sets
from publishing.gate.checks import Refused
from publishing.holdings import verify_home
from publishing.lease import Lease, LeaseHeld, lease
from publishing.marts import opened
from publishing.set_manifest import read_manifest
from publishing.sets import PublishedSets
from publishing.verification import verify, verify_in_fresh_process
from publishing.warehouse import Warehouse
from simulation.histories import simulate
from simulation.home import write_home

DAY = date(2026, 6, 30)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Home:
    root = tmp_path_factory.mktemp("built") / "home"
    write_home(simulate(80, 3, DAY), root)
    home = Home.at(root)
    home.prepare()
    build(home, DAY)
    return home


# Enough tables to keep sets apart by: all of them take a second a set.
FEW = [t for t in catalogue.published_models() if t.name in ("dim_deals", "fct_stage_transitions")]


@pytest.fixture(scope="module")
def built_few(built: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A copy of the home, its marts without derived views."""
    home = Home.at(shutil.copytree(built.root, tmp_path_factory.mktemp("few") / "home"))
    (Warehouse(home, DAY).marts / "views.sql").write_text("")
    return home


def verify_here(folder: Path) -> None:
    """As in a fresh process, of which one for each of fifty sets would take 20 s."""
    if faults := list(verify(folder)):
        raise Refused(f"verification: {faults}")


@pytest.fixture
def published(built_few: Home, monkeypatch: pytest.MonkeyPatch) -> PublishedSets:
    """No sets yet; those to come have few tables."""
    monkeypatch.setattr(sets, "verify_in_fresh_process", verify_here)
    return without_sets(built_few)


@pytest.fixture
def published_whole(built: Home) -> PublishedSets:
    return without_sets(built)


def without_sets(home: Home) -> PublishedSets:
    for path in home.published.iterdir():
        subprocess.run(["rm", "-rf", str(path)], check=True)
    return PublishedSets(home)


def no_pages(folder: Path, facts: SetFacts) -> None:
    """They have a test of their own."""


def put_out(
    published: PublishedSets, as_of: date = DAY, tables: list[catalogue.PublishedTable] = FEW
) -> Path:
    """One publish of what is built, as if it had been built for `as_of`."""
    warehouse = Warehouse(published.home, DAY)
    warehouse.as_of = as_of
    with lease(published.home, "test") as held:
        manifest = published.publish(warehouse, tables, [], held, "run", no_pages)
    return published.folder / manifest.run


def test_a_set_holds_every_table_twice_documented_and_hashed(
    published_whole: PublishedSets,
) -> None:
    folder = put_out(published_whole, tables=catalogue.published_models())
    manifest = read_manifest(folder)
    assert published_whole.current() == folder
    assert hashes(folder) == {t: content.content_hash for t, content in manifest.tables.items()}
    with duckdb.connect(str(folder / "marts.duckdb"), read_only=True) as connection:
        tables = connection.execute("select table_name, comment from duckdb_tables()").fetchall()
        columns = connection.execute(
            "select comment from duckdb_columns() where not internal"
        ).fetchall()
        views = connection.execute(
            "select view_name, comment from duckdb_views() where not internal"
        ).fetchall()
        with opened(folder) as parquet:
            for name in manifest.views:
                counted = f"select count(*), sum(hash(rows)) from {name} as rows"
                found = connection.execute(counted).fetchall()
                assert found == parquet.execute(counted).fetchall() != [(0, None)]
    assert {name for name, _ in tables} == set(manifest.tables)
    assert {name for name, _ in views} == set(manifest.views) != set()
    assert all(comment for _, comment in [*tables, *views])
    assert all(comment for (comment,) in columns)
    assert (folder / "docs" / "index.html").stat().st_size > 100_000
    assert "marts.duckdb" in manifest.files and "docs/index.html" in manifest.files


def test_marts_are_in_a_storage_version_that_older_clients_read(published: PublishedSets) -> None:
    """DuckDB 1.5 reads storage versions 64 to 68 and refuses 69; the number is at byte 12."""
    head = (put_out(published) / "marts.duckdb").open("rb").read(20)
    assert head[8:12] == b"DUCK"
    assert 64 <= int.from_bytes(head[12:20], "little") <= 68


def test_a_damaged_set_is_never_made_current(
    published: PublishedSets, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = put_out(published)

    def damaged(folder: Path) -> None:
        path = folder / "dim_deals.parquet"
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
        verify_in_fresh_process(folder)

    monkeypatch.setattr(sets, "verify_in_fresh_process", damaged)
    with pytest.raises(Refused, match=r"verification: dim_deals.parquet does not read back"):
        put_out(published)
    assert published.current() == good
    assert not list(verify(good))


def test_a_past_day_does_not_move_current_backwards(published: PublishedSets) -> None:
    today = put_out(published, date(2026, 6, 30))
    past = put_out(published, date(2026, 5, 31))
    assert past.exists()
    assert published.current() == today
    again = put_out(published, date(2026, 6, 30))
    assert published.current() == again
    assert published.last_before(date(2026, 6, 1)) == past


def test_rollback_goes_to_the_set_before_and_the_next_run_goes_on(published: PublishedSets) -> None:
    with pytest.raises(UserError, match="no earlier published set"):
        published.rollback()
    first, second = put_out(published), put_out(published)
    assert published.folder / published.rollback().run == first == published.current()
    assert published.status().current.run == first.name
    assert second.exists()
    assert put_out(published) == published.current()


def test_rollback_goes_to_what_was_current_before_and_retention_keeps_that(
    published: PublishedSets,
) -> None:
    """Not to a set of a past day made in between, nor to one that was rolled back from."""
    first = put_out(published, date(2026, 6, 29))
    past = put_out(published, date(2026, 5, 31))
    second = put_out(published, date(2026, 6, 30))
    assert published.previous() == first
    old = time.time() - 90 * 86_400
    for folder in (first, past):
        os.utime(folder / "manifest.json", (old, old))
    third = put_out(published, date(2026, 6, 30))
    assert published.previous() == second and not past.exists() and not first.exists()
    assert published.folder / published.rollback().run == second
    os.utime(second / "manifest.json", (old, old))
    fourth = put_out(published, date(2026, 6, 30))
    assert third.exists() and second.exists()
    assert published.folder / published.rollback().run == second == published.current()
    assert fourth.exists()
    with pytest.raises(UserError, match="no earlier published set"):
        published.rollback()


@pytest.mark.parametrize("text", [None, '{"names": ["x'])
def test_lost_or_damaged_bookkeeping_of_switches_is_rebuilt_from_the_sets(
    published: PublishedSets, text: str | None
) -> None:
    first = put_out(published, date(2026, 6, 29))
    put_out(published, date(2026, 5, 31))
    put_out(published, date(2026, 6, 30))
    path = published.folder / "switches.json"
    path.unlink()
    if text:
        path.write_text(text)
    assert published.previous() == first
    assert published.folder / published.rollback().run == first


def test_a_set_of_a_day_to_come_does_not_stay_current(published: PublishedSets) -> None:
    ahead = put_out(published, date(2999, 1, 1))
    assert published.current() == ahead
    # A clock that fell back knows of exports after its day: nor does its set take the place.
    put_out(published, date(2020, 1, 1))
    assert published.current() == ahead
    now = put_out(published)
    assert published.current() == now
    assert published.last_before(DAY) == now


def test_epochs_go_on_where_the_lease_file_is_lost(published: PublishedSets) -> None:
    put_out(published)
    last = put_out(published)
    epoch = read_manifest(last).epoch
    for text in (None, "{"):
        path = published.home.root / ".lease"
        path.unlink()
        if text:
            path.write_text(text)
        newer = put_out(published)
        assert read_manifest(newer).epoch > epoch
        assert published.current() == newer
        epoch = read_manifest(newer).epoch


def test_a_set_whose_manifest_is_damaged_blocks_no_other(published: PublishedSets) -> None:
    earlier = put_out(published)
    broken = put_out(published)
    (broken / "manifest.json").write_text('{"run"')
    with pytest.raises(DamagedFile, match=r"manifest.json: is damaged"):
        published.current_manifest()
    assert any("manifest.json" in fault for fault in verify_home(published.home))
    assert published.last_before(DAY) == earlier
    (published.folder / "status.js").write_text("window.mell")
    healed = put_out(published)
    assert published.current() == healed
    assert published.status().current is not None


def test_an_overtaken_run_does_not_publish(published: PublishedSets) -> None:
    good = put_out(published)
    with lease(published.home, "later") as later:
        stale = Lease(later.path, later.epoch - 1)
        warehouse = Warehouse(published.home, DAY)
        with pytest.raises(LeaseHeld, match="overtaken"):
            published.publish(warehouse, FEW, [], stale, "run", no_pages)
    assert published.current() == good


def test_retention_goes_by_age_and_keeps_current_and_previous(published: PublishedSets) -> None:
    folders = [put_out(published) for _ in range(4)]
    old = time.time() - 31 * 86_400
    for folder in folders[:3]:
        os.utime(folder / "manifest.json", (old, old))
    last = put_out(published)
    assert [f.exists() for f in folders] == [False, False, False, True]
    assert published.current() == last


# --- schema --------------------------------------------------------------------------------------


def _pretend_before(published: PublishedSets, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the current set is said to have held."""
    path = published.link.resolve() / "manifest.json"
    manifest = read_manifest(path.parent)
    change(manifest.tables["dim_deals"].columns)
    manifest.write(path)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (lambda columns: columns.update(region="VARCHAR"), "dim_deals.region"),
        (lambda columns: columns.update(amount="DOUBLE"), "dim_deals.amount"),
    ],
)
def test_a_column_that_goes_or_changes_must_be_announced(
    published: PublishedSets,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], None],
    column: str,
) -> None:
    put_out(published)
    _pretend_before(published, change)
    with pytest.raises(Refused, match=f"{column} would be removed, renamed or retyped"):
        put_out(published)
    changelog = tmp_path / "CHANGELOG.md"
    monkeypatch.setattr(schema, "CHANGELOG", changelog)
    monkeypatch.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 1)
    heading = f"## Schema {schema.SCHEMA_VERSION}\n\n"
    changelog.write_text(heading + "`dim_deals.other` went\n## Schema 1\n" + f"`{column}`")
    with pytest.raises(Refused, match=column):
        put_out(published)
    changelog.write_text(heading + f"`{column}` went\n")
    put_out(published)


def test_a_new_column_needs_no_announcement(published: PublishedSets) -> None:
    put_out(published)
    _pretend_before(published, lambda columns: columns.pop("product"))
    put_out(published)


# --- readers -------------------------------------------------------------------------------------

READER = """
import sys, time, duckdb
path, until = sys.argv[1], float(sys.argv[2])
held = duckdb.connect(path, read_only=True, config={"threads": 1})
first = held.execute("select count(*), max(move_number) from fct_stage_transitions").fetchone()
print("open", flush=True)
queries = 0
while time.time() < until:
    rows = held.execute("select count(*), max(a.move_number) from fct_stage_transitions as a, "
                        "range(2000)").fetchone()
    assert rows[0] == 2000 * first[0] and rows[1] == first[1], (rows, first)
    queries += 1
    fresh = duckdb.connect(path, read_only=True, config={"threads": 1})
    fresh.execute("select count(*) from dim_deals").fetchone()
    fresh.close()
print(queries, flush=True)
"""


def test_a_reader_is_never_disturbed_by_five_publishes_nor_they_by_it(
    published: PublishedSets,
) -> None:
    put_out(published)
    path = published.link / "marts.duckdb"
    script = [sys.executable, "-c", READER, str(path), str(time.time() + 600)]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "open\n"
        folders = {put_out(published) for _ in range(5)}
        assert len(folders) == 5
        assert reader.poll() is None, "the reader failed while sets were published"
        reader.kill()


def test_the_lease_says_who_holds_it(home: Home) -> None:
    script = (
        "import sys, time; from publishing.lease import lease; "
        "from ingestion.home import Home\n"
        "with lease(Home.at(sys.argv[1]), 'the other run'):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(home.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(LeaseHeld, match=rf"the other run \(process {other.pid} on .* since 20"),
            lease(home, "mine"),
        ):
            pass
        other.kill()  # -9: the operating system lets go of the lock
    with lease(home, "mine") as mine:
        assert mine.epoch == 2


# --- damage --------------------------------------------------------------------------------------


def flipped(paths: list[Path], n: int) -> Iterator[Path]:
    """One bit of one of these files wrong, `n` times; whole again afterwards."""
    random = Random(12)
    for _ in range(n):
        path = random.choice(paths)
        data = path.read_bytes()
        place = random.randrange(8 * len(data))
        broken = bytearray(data)
        broken[place // 8] ^= 1 << place % 8
        path.write_bytes(bytes(broken))
        yield path
        path.write_bytes(data)


def files_below(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size)


def test_any_flipped_bit_of_what_landed_is_noticed_before_it_is_built_from(built: Home) -> None:
    loads = [path for path in files_below(built.landed) if path.parent != built.landed]
    for path in flipped(loads, 90):
        assert undamaged(path.parent) is None, path.name
    assert all(undamaged(path.parent) for path in loads)


def test_any_flipped_bit_of_archive_or_set_is_told_by_name(published: PublishedSets) -> None:
    archived = [p for p in files_below(published.home.archive) if p.suffix != ".fingerprint"]
    for path in flipped(archived, 60):
        assert path.stem[:12] in "".join(verify_home(published.home))
    folder = put_out(published)
    assert list(verify_home(published.home)) == []
    for path in flipped(files_below(folder), 50):
        assert folder.name in "".join(verify_home(published.home)), path.name


def test_a_damaged_set_is_neither_rolled_back_to_nor_compared_with(
    published: PublishedSets,
) -> None:
    first, second = put_out(published), put_out(published)
    assert published.last_before(DAY) == second
    page = second / "dim_deals.parquet"
    page.write_bytes(page.read_bytes()[:-1] + b"x")
    assert published.last_before(DAY) == first
    put_out(published)
    with pytest.raises(UserError, match=f"rollback: set {second.name}: dim_deals.parquet"):
        published.rollback()
