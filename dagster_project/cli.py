"""The command line: run, reconstruct, ingest, map, status, rollback, simulate.

Belongs here: arguments, messages, exit codes.
Does not belong here: what a run does; `run` is the same Dagster job as the schedule's.

Exit codes: 0 published · 1 the gate refused and the last good set stands · 2 wrong usage or
configuration · 3 the run could not be finished (another run holds the home, or a fault).
"""

import json
import logging
import os
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
from ingestion.company import Company
from ingestion.errors import FileRejected, UserError
from ingestion.home import Home
from ingestion.landing import FileOutcome, Landing, inbox_files
from ingestion.mappings.loading import Mappings

from dagster_project.lease import LeaseHeld, holder, lease

REFUSED, USAGE, UNFINISHED = 1, 2, 3


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", envvar="MELLANTID_HOME", default="data", help="The data home.")
@click.version_option(package_name="mellantid")
@click.pass_context
def main(context: click.Context, home: str) -> None:
    """Sales navigation from CRM exports: cause, effect and split times."""
    context.obj = home


@contextmanager
def _errors() -> Iterator[None]:
    """A person's mistake is one line; a defect of the program keeps its traceback."""
    try:
        yield
    except UserError as error:
        _fail(USAGE, str(error))
    except LeaseHeld as error:
        _fail(UNFINISHED, f"{error}; wait for it, nothing was changed")


def _fail(code: int, message: str) -> None:
    click.echo(f"mellantid: {message}", err=True)
    sys.exit(code)


def _day(_context: click.Context, _parameter: click.Parameter, text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise click.BadParameter("write the day as 2026-03-31") from error


# --- run -----------------------------------------------------------------------------------------


@main.command()
@click.option("--as-of", callback=_day, help="The day to speak of; today if left out.")
@click.pass_obj
def run(home_path: str, as_of: date | None) -> None:
    """Take in the inbox, build, check and publish."""
    with _errors():
        home = Home.at(home_path)
        company = home.prepare()
        Mappings.of(home, company)
        day = _checked_day(as_of, company)
        with lease(home, "mellantid run"):
            code = _run(home, day)
    _leave(code)


def _leave(code: int) -> None:
    """Exit without DuckDB 2.0's report of leaked objects at interpreter shutdown.

    It is written by its binding to file descriptor 2 and says nothing about this run.
    """
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(code)


def _checked_day(as_of: date | None, company: Company) -> date:
    today = company.today()
    if as_of is None:
        return today
    if not date(2010, 1, 1) <= as_of <= today:
        raise UserError(f"--as-of {as_of}: choose a day from 2010-01-01 to today ({today})")
    return as_of


def _run(home: Home, day: date) -> int:
    _set_up(home)
    _show_progress()
    logging.getLogger("mellantid").info("starting Dagster")
    import dagster as dg

    from dagster_project import definitions
    from dagster_project.publish import Published

    job = definitions.defs.resolve_job_def("daily")
    with dg.DagsterInstance.get() as instance:
        result = job.execute_in_process(
            instance=instance,
            partition_key=day.isoformat(),
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    published = Published(home)
    if result.success:
        _report(home, published, result.run_id)
        return 0
    refused = published.status().get("refused") or {}
    if refused.get("run_id") != result.run_id:
        reasons = ["see the run in Dagster's UI (make dev)"]
        refused = {"kind": "fault", "reasons": reasons, "new_files": []}
    return _explain(published, day, refused)


def _set_up(home: Home) -> None:
    """What Dagster needs before it is imported: its folder, its settings, no telemetry."""
    folder = home.root / "dagster"
    folder.mkdir(exist_ok=True)
    if not (folder / "dagster.yaml").exists():
        shutil.copy(Path(__file__).with_name("dagster.yaml"), folder)
    os.environ["MELLANTID_HOME"] = str(home.root)
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "1"


def _show_progress() -> None:
    """Our own log on standard error, with the seconds since the start."""
    begin = time.monotonic()

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            click.echo(f"{time.monotonic() - begin:6.1f} s  {record.getMessage()}", err=True)

    logger = logging.getLogger("mellantid")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(Lines())
    warnings.simplefilter("ignore")


def _report(home: Home, published: Any, run_id: str) -> None:
    from dashboard import first_page

    report = json.loads((home.landed / "last_report.json").read_text(encoding="utf-8"))
    folder = next(
        f for f in reversed(published.sets()) if published.manifest(f)["run_id"] == run_id
    )
    manifest = published.manifest(folder)
    files = [FileOutcome(**file) for file in report["files"]]
    _say_files(files, every=False)
    outcomes = [check["outcome"] for check in manifest["checks"]]
    click.echo(
        f"records    {_total(manifest, 'accepted')} accepted, "
        f"{_total(manifest, 'quarantined')} quarantined (mellantid status says why)"
    )
    click.echo(
        f"checks     {outcomes.count('passed')} passed, "
        f"{outcomes.count('not_applicable')} not applicable"
    )
    current = published.current() == folder
    where = published.link if current else folder
    later = "" if current else f" (current stays {published.status()['current']['as_of']})"
    click.echo(f"published  {_shown(where)} as of {manifest['as_of']}{later}")
    end = f"{home.company().end_of(date.fromisoformat(manifest['as_of'])):%Y-%m-%d %H:%M:%S}"
    if unknown := sum(load["known_at"] > end for load in manifest["loads"]):
        click.echo(
            f"           {unknown} files were known only later and are not in it; "
            "docs/mappings.md, known_at"
        )
    click.echo()
    click.echo(first_page.text(folder))


def _total(manifest: dict[str, Any], key: str) -> str:
    files = (load for load in manifest["loads"] if not load["entry"].endswith("/stages"))
    return f"{sum(load[key] for load in files):,}"


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _say_files(files: list[FileOutcome], every: bool) -> None:
    """The count of files by outcome; each new or rejected one (or every one) on a line."""
    counts = {o: sum(f.outcome == o for f in files) for o in OUTCOMES}
    shown = [f"{n} {OUTCOMES[o]}" for o, n in counts.items() if n or o == "rejected"]
    click.echo(f"files      {len(files)} in the inbox: {', '.join(shown)}")
    for file in files:
        if file.outcome == "rejected":
            click.echo(f"  rejected  {file.message}")
        elif file.outcome == "held":
            click.echo(f"  held      {file.message}")
        elif file.outcome == "already_landed" and (every or not file.message.endswith(file.name)):
            click.echo(f"  known     {file.message}")
        elif every:
            detail = f"{file.accepted:,} of {file.records:,} records, known {file.known_at}"
            click.echo(f"  {file.outcome:<9} {file.name} by {file.entry}: {detail}")
            _say_details(file)


def _say_details(file: FileOutcome) -> None:
    first: dict[str, int] = {}
    for record, rule in file.first_rejects:
        first.setdefault(rule, record)
    for rule, n in file.rules.items():
        where = f", first in record {first[rule]}" if rule in first else ""
        click.echo(f"            quarantined {n:,}: {rule}{where}")
    for note, n in file.notes.items():
        click.echo(f"            {note.replace('_', ' ')}: {n:,}, read like the others")
    if file.unused:
        click.echo(f"            not asked for by the mapping: {', '.join(file.unused)}")


OUTCOMES = {
    "landed": "landed",
    "relanded": "landed again under a changed mapping",
    "already_landed": "already landed",
    "rejected": "rejected",
    "held": "held until whole",
}


def _explain(published: Any, day: date, refused: dict[str, Any]) -> int:
    reasons = refused["reasons"]
    code = {"refused": REFUSED, "configuration": USAGE}.get(refused["kind"], UNFINISHED)
    verb = {REFUSED: "not published, the gate refused", USAGE: "not published"}.get(code, "failed")
    for reason in reasons:
        click.echo(f"mellantid: {day}: {verb}: {reason}", err=True)
    for name in refused["new_files"]:
        click.echo(f"mellantid: new since the last good set: {name}", err=True)
    if refused["new_files"]:
        click.echo("mellantid: to take a file back: docs/operations.md, withdraw", err=True)
    current = published.manifest(published.current())
    stands = f"as of {current['as_of']} ({current['run']}); it stands" if current else "none yet"
    click.echo(f"mellantid: last good set: {stands}", err=True)
    return code


# --- the others ----------------------------------------------------------------------------------


@main.command()
@click.option("--dry-run", is_flag=True, help="Say what would land and be rejected; keep nothing.")
@click.pass_obj
def ingest(home_path: str, dry_run: bool) -> None:
    """Take in the inbox without building anything."""
    with _errors():
        home = Home.at(home_path)
        home.prepare()
        with lease(home, "mellantid ingest"):
            report = Landing(
                home, dry_run, say=lambda text: click.echo(f"  {text}", err=True)
            ).run()
        if dry_run:
            click.echo("dry run: nothing was kept")
        _say_files(report.files, every=True)
        for pipeline, stage, n in report.unknown_stages:
            # As the mapping writes them, without their system.
            where = f" of pipeline {pipeline.partition(':')[2]}" if pipeline else ""
            click.echo(
                f"  unknown stage {stage.partition(':')[2]}{where} in {n:,} records: "
                "add it to `stages` in mappings/, or to the column's value map"
            )
        if report.having("rejected"):
            sys.exit(REFUSED)


@main.command("map")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--write", is_flag=True, help="Save the proposal in the home's mappings/.")
@click.option("--system", default="own", show_default=True, help="The mapping it goes into.")
@click.pass_obj
def map_file(home_path: str, file: Path, write: bool, system: str) -> None:
    """Profile an unknown export and propose its mapping, with what only you can decide."""
    with _errors():
        from ingestion.proposing.writing import as_text, propose_for, save_mapping

        home = Home.at(home_path)
        if write:
            home.prepare()
        try:
            proposal = propose_for(home, file)
        except FileRejected as error:
            raise UserError(f"{file.name}: {error}") from error
        if proposal.recognised:
            click.echo(f"# The mapping {proposal.recognised} takes this file already.")
        click.echo(as_text(proposal, system, file.stem))
        if write:
            path = save_mapping(home, proposal, system, file.stem)
            click.echo(
                f"# Written to {_shown(path)}. Answer the questions in it, put the file into the "
                "inbox, and see what becomes of it: mellantid ingest --dry-run"
            )


@main.command()
@click.pass_obj
def status(home_path: str) -> None:
    """What is published, what was refused, what is quarantined and why."""
    with _errors():
        from ingestion.landing import is_new

        from dagster_project.publish import Published

        home = Home.at(home_path)
        if not home.root.exists():
            raise UserError(f"home {home.root}: does not exist; `mellantid run` makes it")
        home.company()
        published = Published(home)
        manifest = published.manifest(published.current())
        if manifest:
            click.echo(
                f"published    as of {manifest['as_of']}, {manifest['published_at']}, "
                f"set {manifest['run']}"
            )
        else:
            click.echo("published    nothing yet")
        if refused := published.status().get("refused"):
            click.echo(f"refused      since {refused['since']}: {'; '.join(refused['reasons'])}")
        click.echo(f"running      {holder(home) or 'nothing'}")
        waiting = sum(1 for _ in inbox_files(home)) if home.inbox.exists() else 0
        news = ", some of them new" if waiting and is_new(home) else ""
        click.echo(f"inbox        {waiting} files{news}")
        _say_quarantined(home)


def _say_quarantined(home: Home) -> None:
    path = home.landed / "last_report.json"
    if not path.exists():
        return
    report = json.loads(path.read_text(encoding="utf-8"))
    names = {}
    for receipt_file in home.archive.glob("*.json"):
        receipt = json.loads(receipt_file.read_text(encoding="utf-8"))
        names[receipt["sha256"]] = receipt["first_name"]
    for load in report["loads"]:
        manifest = json.loads((home.landed / load / "manifest.json").read_text(encoding="utf-8"))
        first = {rule: record for record, rule in reversed(manifest.get("first_rejects", []))}
        for rule, n in manifest["rules"].items():
            name = names.get(manifest["sha256"], manifest["entry"])
            where = f", first in record {first[rule]}" if rule in first else ""
            click.echo(
                f"quarantined  {name}: {rule}: {n:,} of {manifest['records']:,} records{where}"
            )
    for file in report["files"]:
        if file["outcome"] in ("rejected", "held"):
            click.echo(f"{file['outcome']:<12} {file['message']}")


@main.command()
@click.option("--as-of", callback=_day, required=True, help="The past day to speak of.")
@click.pass_obj
def reconstruct(home_path: str, as_of: date) -> None:
    """Build a past day's tables as the CRM knew them then, from what is known today.

    Where `run --as-of` uses the exports made by that day, this uses the changes recorded by then
    that later exports tell of. Nothing is published: the two must not be mixed.
    """
    with _errors():
        home = Home.at(home_path)
        company = home.prepare()
        day = _checked_day(as_of, company)
        with lease(home, "mellantid reconstruct"):
            report = Landing(home).run()
            _say_files(report.files, every=False)
            from dagster_project import dbt_build, estimates
            from dagster_project.gate import FAILED
            from dagster_project.warehouse import AS_RECONSTRUCTED, Warehouse

            warehouse = Warehouse(home, day, AS_RECONSTRUCTED)
            warehouse.begin(report.loads)
            built = dbt_build.build(warehouse, lambda text: click.echo(f"  {text}", err=True))
            failed = [test for test in built.tests if test.outcome == FAILED]
            if faults := [*built.broken, *(f"{test.name}: {test.detail}" for test in failed)]:
                _fail(REFUSED, "; ".join(faults))
            warehouse.hand_over([model.name for model in dbt_build.published_models()])
            incoherent = estimates.estimate(warehouse)
            if incoherent.outcome == FAILED:
                _fail(REFUSED, f"{incoherent.name}: {incoherent.detail}")
            warehouse.retire_others(company.keep_warehouses)
        click.echo(f"as the CRM knew it on {day}, not published: {_shown(warehouse.marts)}")


@main.command()
@click.pass_obj
def rollback(home_path: str) -> None:
    """Make the set published before the current one current again."""
    with _errors():
        from dagster_project.publish import Published

        home = Home.at(home_path)
        if not home.published.exists():
            raise UserError(f"home {home.root}: nothing is published there")
        with lease(home, "mellantid rollback"):
            folder = Published(home).rollback()
            as_of = Published(home).manifest(folder)["as_of"]
        click.echo(f"current is now {folder.name}, as of {as_of}; the next run publishes anew")


@main.command()
@click.option("--deals", default=3_000, show_default=True, type=click.IntRange(1, 5_000_000))
@click.option("--seed", default=1, show_default=True, type=int)
@click.option("--as-of", callback=_day, help="The day of the exports; today if left out.")
@click.option("--crm", default="hubspot", type=click.Choice(["hubspot", "salesforce"]))
@click.option(
    "--days",
    default=1,
    show_default=True,
    type=click.IntRange(1, 1_000),
    help="Days of exports, one drop a day, the last on --as-of.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="An empty folder.")
def simulate(deals: int, seed: int, as_of: date | None, crm: str, days: int, out: Path) -> None:
    """Write the exports of an invented company into a home of their own."""
    with _errors():
        from simulation.company import ZONE
        from simulation.company import simulate as simulated
        from simulation.home import NotASimulation, write_home

        day = as_of or datetime.now(ZONE).date()
        try:
            written = write_home(simulated(deals, seed, day), out, crm, days)
        except NotASimulation as error:
            raise UserError(f"--out {error}") from error
        click.echo(f"{len(written)} files of an invented company in {_shown(out.absolute())}")


if __name__ == "__main__":
    main()
