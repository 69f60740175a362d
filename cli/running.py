"""Commands that build: run, reconstruct.

Belongs here: their arguments and what they say. `run` is the same Dagster job as the schedule's.
"""

import logging
import shutil
from datetime import date
from pathlib import Path

import click

from cli.messages import (
    REFUSED,
    UNFINISHED,
    USAGE,
    as_day,
    checked_day,
    errors_as_messages,
    fail,
    leave,
    say,
    say_files,
    show_progress,
    shown,
)
from ingestion.home import Home
from ingestion.landing.report import last_report
from ingestion.mappings.loading import Mappings
from publishing.failures import Failure
from publishing.lease import lease
from publishing.set_manifest import SetManifest
from publishing.sets import PublishedSets

DAGSTER_SETTINGS = Path(__file__).parents[1] / "dagster_project" / "dagster.yaml"


@click.command()
@click.option("--as-of", callback=as_day, help="The day to speak of; today if left out.")
@click.pass_obj
def run(home_path: str, as_of: date | None) -> None:
    """Take in the inbox, build, check and publish."""
    with errors_as_messages():
        home = Home.at(home_path)
        company = home.prepare()
        Mappings.of(home, company)
        day = checked_day(as_of, company)
        with lease(home, "mellantid run"):
            code = _run(home, day)
    leave(code)


def _run(home: Home, day: date) -> int:
    show_progress()
    logging.getLogger("mellantid").info("starting Dagster")
    import dagster as dg

    from dagster_project.definitions import build_defs
    from dagster_project.triggers import JOB

    job = build_defs(home).resolve_job_def(JOB)
    with dg.DagsterInstance.from_config(str(_dagster_folder(home))) as instance:
        result = job.execute_in_process(
            instance=instance,
            partition_key=day.isoformat(),
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    sets = PublishedSets(home)
    if result.success:
        _say_published(home, sets, *sets.of_run(result.run_id))
        return 0
    failure: Failure | None = sets.status().refused
    if failure is None or failure.run_id != result.run_id:
        reasons = ["see the run in Dagster's UI (make dev)"]
        failure = Failure(run_id=result.run_id, kind="fault", reasons=reasons, new_files=[])
    return _say_failure(sets, day, failure)


def _dagster_folder(home: Home) -> Path:
    """The home's own Dagster folder, with its settings."""
    folder = home.root / "dagster"
    folder.mkdir(exist_ok=True)
    if not (folder / DAGSTER_SETTINGS.name).exists():
        shutil.copy(DAGSTER_SETTINGS, folder)
    return folder


def _say_published(home: Home, sets: PublishedSets, folder: Path, manifest: SetManifest) -> None:
    from dashboard import first_page

    if report := last_report(home):
        say_files(report.files, every=False)
    outcomes = [check.outcome for check in manifest.checks]
    files = [load for load in manifest.loads if not load.file_kind.endswith("/stages")]
    accepted, quarantined = (
        sum(getattr(load, name) for load in files) for name in ("accepted", "quarantined")
    )
    say(
        f"records    {accepted:,} accepted, {quarantined:,} quarantined (mellantid status says why)"
    )
    say(
        f"checks     {outcomes.count('passed')} passed, "
        f"{outcomes.count('not_applicable')} not applicable"
    )
    current = sets.current_manifest()
    is_current = current is not None and current.run == manifest.run
    where = sets.link if is_current else folder
    later = "" if is_current or current is None else f" (current stays {current.as_of})"
    say(f"published  {shown(where)} as of {manifest.as_of}{later}")
    end = f"{home.company().end_of(manifest.as_of):%Y-%m-%d %H:%M:%S}"
    if unknown := sum(load.known_at > end for load in manifest.loads):
        say(
            f"           {unknown} files were known only later and are not in it; "
            "docs/mappings.md, known_at"
        )
    say("")
    say(first_page.text(folder))


def _say_failure(sets: PublishedSets, day: date, failure: Failure) -> int:
    code = {"refused": REFUSED, "configuration": USAGE}.get(failure.kind, UNFINISHED)
    verb = {REFUSED: "not published, the gate refused", USAGE: "not published"}.get(code, "failed")
    for reason in failure.reasons:
        say(f"mellantid: {day}: {verb}: {reason}", err=True)
    for name in failure.new_files:
        say(f"mellantid: new since the last good set: {name}", err=True)
    if code == REFUSED:
        say("mellantid: if it is right as it is: accepted_changes, docs/operations.md", err=True)
    if failure.new_files:
        say("mellantid: to take a file back: docs/operations.md, withdraw", err=True)
    current = sets.current_manifest()
    stands = f"as of {current.as_of} ({current.run}); it stands" if current else "none yet"
    say(f"mellantid: last good set: {stands}", err=True)
    return code


@click.command()
@click.option("--as-of", callback=as_day, required=True, help="The past day to speak of.")
@click.pass_obj
def reconstruct(home_path: str, as_of: date) -> None:
    """Build a past day's tables as the CRM knew them then, from what is known today.

    Where `run --as-of` uses the exports made by that day, this uses the changes recorded by then
    that later exports tell of. Nothing is published: the two must not be mixed.
    """
    with errors_as_messages():
        from ingestion.landing.deciding import Landing
        from publishing.day import reconstruct as reconstruct_day
        from publishing.gate.checks import Refused

        home = Home.at(home_path)
        day = checked_day(as_of, home.prepare())
        with lease(home, "mellantid reconstruct"):
            report = Landing(home).run()
            say_files(report.files, every=False)
            try:
                warehouse = reconstruct_day(
                    home, day, report.loads, lambda text: say(f"  {text}", err=True)
                )
            except Refused as refused:
                fail(REFUSED, str(refused))
                raise
        say(f"as the CRM knew it on {day}, not published: {shown(warehouse.marts)}")
