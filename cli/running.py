"""Commands that build: run, reconstruct.

Belongs here: their arguments and what they say. `run` takes the steps of Dagster's job without it.
"""

import logging
import traceback
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
from publishing.lease import Lease, LeaseHeld, lease
from publishing.set_manifest import SetManifest
from publishing.sets import PublishedSets


@click.command()
@click.option("--as-of", callback=as_day, help="The day to speak of; today if left out.")
@click.option("--force", is_flag=True, help="Build even where nothing is new.")
@click.pass_obj
def run(home_path: str, as_of: date | None, force: bool) -> None:
    """Take in the inbox, build, check and publish; unless nothing is new since the day's set."""
    with errors_as_messages():
        home = Home.at(home_path)
        company = home.prepare()
        Mappings.of(home, company)
        day = checked_day(as_of, company)
        with lease(home, "mellantid run") as held:
            code = _run(home, day, held, force)
    leave(code)


def _run(home: Home, day: date, held: Lease, is_forced: bool) -> int:
    from publishing.day import run_day

    show_progress()
    sets = PublishedSets(home)
    try:
        manifest = run_day(home, day, held, logging.getLogger("mellantid").info, is_forced)
    except Exception as error:
        failure = sets.status().refused
        if failure is None:
            raise
        if failure.kind == "fault" and not isinstance(error, (OSError, LeaseHeld)):
            traceback.print_exc()
        return _say_failure(sets, day, failure)
    if manifest.epoch != held.epoch:
        say(f"nothing new since {manifest.published_at}: the same files, settings and code")
        say("           --force builds again")
    _say_published(home, sets, sets.folder / manifest.run, manifest)
    return 0


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
    say("")
    say(f"pages      {shown(where / 'site' / 'index.html')} (mellantid open)")


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
