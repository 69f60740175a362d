"""What tests share: homes of their own, the build without Dagster, the whole job in process."""

import fcntl
import gc
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from histories import AS_OF
from playwright.sync_api import Browser, Playwright
from reference import Reference, Run

from ingestion.home import Home
from ingestion.landing.deciding import Landing
from publishing import catalogue, dbt_build
from publishing.day import Day, run_day
from publishing.dbt_process import invoke
from publishing.gate.checks import Refused
from publishing.inputs import KnowledgeBasis
from publishing.lease import lease
from publishing.marts import opened
from publishing.sets import PublishedSets
from publishing.statements import parsed_manifest
from publishing.warehouse import Warehouse
from simulation.histories import simulate
from simulation.home import write_home

SHARED = Path(__file__).parents[2] / "shared" / "data"
MAPPINGS = Path(__file__).parent / "mappings"
CASES = Path(__file__).parent / "cases"


# Files with few and long tests: begun last, workers would wait for one of them for minutes. Of the
# first ones one only lands, while for the others dbt compiles the project.
LONG = (
    "test_strangers_deals", "test_strangers_files", "test_run", "test_ledger", "test_real_data",
    "test_deliveries", "test_exports",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first. xdist keeps the order (--no-loadscope-reorder)."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(autouse=True, scope="session")
def little_garbage_collection() -> None:
    """What a worker has imported stays: Python need not look through it for garbage so often."""
    gc.set_threshold(100_000, 20, 100)


@pytest.fixture(autouse=True, scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MELLANTID_KEY_FILE", str(tmp_path_factory.mktemp("key") / "hash.key"))
        yield


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.at(tmp_path / "home")
    home.prepare()
    return home


def shared(name: str) -> Path:
    """A real data set; the test is skipped where the data are not at hand (CI has them)."""
    if not (SHARED / name).exists():
        pytest.skip(f"{name} is not beside this checkout")
    return SHARED / name


def set_company(home: Home, **entries: object) -> None:
    lines = [f"{key}: {value}\n" for key, value in entries.items()]
    home.company_file.write_text("".join(lines))


def delivered(home: Home, file: Path, on: date) -> None:
    """A copy in the inbox, exported on that day. What says no day is known when the test runs."""
    copy = Path(shutil.copy(file, home.inbox))
    copy.with_name(f"{copy.name}.known_at").write_text(f"{on}T12:00:00Z")


def build(home: Home, as_of: date, knowledge_basis: KnowledgeBasis = "as_known") -> Path:
    """Landing, building and handing over, without Dagster. Returns the folder of Parquet marts."""
    day = begun(home, as_of, knowledge_basis)
    assert day.build().faults() == []
    return day.warehouse.marts


def build_only(home: Home, as_of: date, knowledge_basis: KnowledgeBasis = "as_known") -> Path:
    """As `build`, without writing Parquet, a tenth of the time: `mart` reads the database."""
    day = begun(home, as_of, knowledge_basis)
    built = dbt_build.build(day.warehouse, day.say)
    assert built.faults() == []
    return day.warehouse.marts


def build_by_dbt(home: Home, as_of: date, threads: int) -> Path:
    """The same where dbt itself builds and tests every model."""
    warehouse = begun(home, as_of, "as_known").warehouse
    profile = warehouse.folder / "profiles.yml"
    profile.write_text(re.sub(r'(threads"?): \d+', rf"\1: {threads}", profile.read_text()))
    chosen = ["--exclude-resource-type", "unit_test", "exposure"]
    arguments = ["build", *chosen, "--profiles-dir", str(warehouse.folder)]
    found = invoke(arguments, warehouse.folder / "dbt", parsed_manifest())
    assert [r.node.name for r in found.results if r.status not in ("success", "pass")] == []
    warehouse.hand_over(catalogue.published_models())
    return warehouse.marts


def publish(home: Home, as_of: date) -> Path:
    """The folder of a set of the day, pages and all; the gate is not asked."""
    build(home, as_of)
    day = Day(home, as_of, "test", lambda text: None)
    day.estimate()
    with lease(home, "test") as held:
        manifest = PublishedSets(home).publish(
            day.warehouse, catalogue.published_tables(), [], held, "test", day.write_pages
        )
    return home.published / manifest.run


def made_once(
    name: str, make: Callable[[Home], object], tmp_path_factory: pytest.TempPathFactory
) -> Home:
    """The home that `make` fills, for all test workers, each of which would take seconds to make
    its own. Not to be changed.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    home, made = Home.at(base / name), base / f"{name}.made"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(home)
            made.touch()
    return home


PUBLISHED_ON = date(2026, 6, 30)
SCRIPT = "<script>{{7*7}}</script>"


@pytest.fixture(scope="session")
def company_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Of an invented company of 500 deals, one of whose stages is called like a script, published;
    not to be changed.
    """

    def make(home: Home) -> None:
        write_home(simulate(500, 3, PUBLISHED_ON), home.root)
        home.prepare()
        for path in (home.mappings / "hubspot.yml", *home.inbox.glob("*all-deals*")):
            path.write_text(path.read_text().replace("Proposal sent", SCRIPT))
        publish(home, PUBLISHED_ON)

    return made_once("company", make, tmp_path_factory)


@pytest.fixture(scope="session")
def company_set(company_home: Home) -> Path:
    """What it has published; not to be changed."""
    folder = PublishedSets(company_home).current()
    assert folder is not None
    return folder


@pytest.fixture(scope="session")
def made_up_marts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Marts of 500 made-up histories: reopened, merged, deleted, without amounts, in three
    currencies; not to be changed.
    """

    def make(home: Home) -> None:
        home.prepare()
        shutil.copy(MAPPINGS / "crm.yml", home.mappings)
        # In a process of its own: hypothesis takes constants from whatever a worker has imported.
        script = (
            "import pathlib, sys, histories\n"
            "histories.write(histories.made_up(500, 1), pathlib.Path(sys.argv[1]))"
        )
        command = [sys.executable, "-c", script, str(home.inbox)]
        subprocess.run(command, check=True, cwd=Path(__file__).parent)
        build(home, AS_OF)

    return Warehouse(made_once("made-up", make, tmp_path_factory), AS_OF).marts


def chromium(playwright: Playwright) -> Browser:
    """Debian's, which is installed where that may be."""
    if not shutil.which("chromium") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        install = ["apt-get", "install", "-qq", "-y", "chromium"]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
    path = shutil.which("chromium")
    if not path:
        pytest.fail("pages are tested in Chromium: install Debian's package `chromium`")
    # Without these it asks for hosts of its maker at every start.
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--disable-quic", "--no-first-run"]  # fmt: skip
    return playwright.chromium.launch(
        executable_path=path, args=["--no-sandbox", "--disable-gpu", *quiet]
    )


def begun(home: Home, as_of: date, knowledge_basis: KnowledgeBasis) -> Day:
    """A day after landing, its private database empty but for what landed."""
    report = Landing(home).run()
    assert not report.having("rejected"), report.having("rejected")
    day = Day(home, as_of, "test", lambda text: None, knowledge_basis)
    day.begin(report.loads)
    return day


def mart(folder: Path, name: str) -> pd.DataFrame:
    """A table of a folder of marts, or what is derived from them."""
    if not any(folder.iterdir()):
        with duckdb.connect(str(folder.parent / "build.duckdb"), read_only=True) as connection:
            return connection.execute(f"from {name} order by 1, 2").df()
    stored = [name] if (folder / f"{name}.parquet").exists() else []
    with opened(folder, *stored) as connection:
        return connection.execute(f"from {name}").df()


def raw(marts: Path) -> dict[str, list[dict[str, Any]]]:
    """The landed rows that a build read, by input table; `run` has its one row."""
    from ingestion.tables import TABLES

    found = {}
    with duckdb.connect(str(marts.parent / "build.duckdb"), read_only=True) as connection:
        for table in (*TABLES, "run", "sightings"):
            result = connection.execute(f"from raw.{table}")
            names = [column[0] for column in result.description]
            found[table] = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    return found


def reference(marts: Path) -> Reference:
    """The plain-Python ledger of the rows that a build read."""
    tables = raw(marts)
    (run,) = tables.pop("run")
    return Reference(
        tables,
        Run(
            run["as_of_at"],
            run["zone"],
            run["currency"],
            run["correction_grace_seconds"],
            run["bulk_deals"],
        ),
    )


def against_reference(marts: Path) -> list[str]:
    """Every difference between the built ledger and the plain-Python one, move by move."""
    with duckdb.connect() as connection:
        result = connection.execute(f"from '{marts / 'fct_stage_transitions.parquet'}'")
        names = [column[0] for column in result.description]
        rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    built = {(row["journey_id"], row["move_number"]): row for row in rows}
    expected = {(row["journey_id"], row["move_number"]): row for row in reference(marts).moves()}
    found = []
    for key in sorted(built.keys() | expected.keys()):
        ours, theirs = built.get(key), expected.get(key)
        if ours is None or theirs is None:
            found.append(f"{key}: built {ours}, expected {theirs}")
            continue
        if ours["amount"] is not None:
            ours["amount"] = float(ours["amount"])
        wrong = {name: (ours[name], theirs[name]) for name in theirs if ours[name] != theirs[name]}
        if wrong:
            found.append(f"{key}: {wrong}")
    return found


def hashes(folder: Path) -> dict[str, str]:
    """Content hash of every Parquet table in a folder."""
    from publishing.content import content_hash

    with duckdb.connect() as connection:
        return {
            path.stem: content_hash(connection, f"read_parquet('{path}')")
            for path in sorted(folder.glob("*.parquet"))
        }


def ran(home: Home, day: date) -> bool:
    """Whether a run of the day without Dagster published."""
    home.prepare()
    with lease(home, "test") as held:
        try:
            run_day(home, day, held, lambda text: None)
        except Refused:
            return False
    return True


@pytest.fixture(scope="session")
def run_job() -> Callable[[Home, date], bool]:
    """The daily job in this process, on a home and day; whether it published."""
    import dagster as dg

    from dagster_project.definitions import build_defs

    def run(home: Home, as_of: date) -> bool:
        home.prepare()
        job = build_defs(home).resolve_job_def("daily")
        with dg.DagsterInstance.ephemeral() as instance:
            result = job.execute_in_process(
                instance=instance,
                partition_key=as_of.isoformat(),
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        return result.success

    return run


def pytest_unconfigure() -> None:
    """Spare the reader DuckDB 2.0's report of leaked objects when a test worker shuts down."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
