"""Commands about what a home holds: open, status, verify, rollback.

Belongs here: their arguments and what they say.
"""

import sys
import webbrowser

import click

from cli.messages import UNFINISHED, errors_as_messages, said_of_rejects, say, shown
from ingestion.errors import UserError
from ingestion.home import Home
from ingestion.landing.inbox import inbox_files, is_new
from ingestion.landing.manifest import read_manifests
from ingestion.landing.receipts import read_receipt
from ingestion.landing.report import last_report
from publishing.lease import holder, lease
from publishing.sets import PublishedSets


@click.command("open")
@click.pass_obj
def open_page(home_path: str) -> None:
    """Open the pages of the current set in a browser."""
    with errors_as_messages():
        home = Home.at(home_path)
        published = PublishedSets(home)
        page = published.link / "site" / "index.html"
        if not page.exists():
            raise UserError(
                f"home {home.root}: no pages are published there; `mellantid run` first"
            )
        say(f"page       {shown(page)}")
        if not webbrowser.open(page.absolute().as_uri()):
            say("           no browser could be started here: open that file in one")


@click.command()
@click.pass_obj
def status(home_path: str) -> None:
    """What is published, what was refused, what is quarantined and why."""
    with errors_as_messages():
        home = Home.at(home_path)
        if not home.root.exists():
            raise UserError(f"home {home.root}: does not exist; `mellantid run` makes it")
        company = home.company()
        sets = PublishedSets(home)
        manifest = sets.current_manifest()
        if manifest:
            say(f"published    as of {manifest.as_of}, {manifest.published_at}, set {manifest.run}")
            if manifest.as_of > company.today():
                say("             of a day to come: a clock was ahead; the next run replaces it")
        else:
            say("published    nothing yet")
        if refused := sets.status().refused:
            say(f"refused      since {refused.since}: {'; '.join(refused.reasons)}")
        say(f"running      {holder(home) or 'nothing'}")
        waiting = sum(1 for _ in inbox_files(home)) if home.inbox.exists() else 0
        news = ", some of them new" if waiting and is_new(home) else ""
        say(f"inbox        {waiting} files{news}")
        _say_quarantined(home)


def _say_quarantined(home: Home) -> None:
    report = last_report(home)
    if report is None:
        return
    for manifest in read_manifests(home, report.loads):
        lines = said_of_rejects(manifest)
        receipt = read_receipt(home, manifest.sha256) if lines else None
        name = receipt.first_name if receipt else manifest.file_kind
        for line in lines:
            say(f"{name}: {line}")
    for file in report.having("rejected", "held"):
        say(f"{file.outcome:<12} {file.message}")


@click.command()
@click.pass_obj
def verify(home_path: str) -> None:
    """Hold archive, landed files and published sets against the hashes they were written with."""
    with errors_as_messages():
        from publishing.holdings import verify_home

        home = Home.at(home_path)
        if not home.root.exists():
            raise UserError(f"home {home.root}: does not exist")
        faults = list(verify_home(home))
        for fault in faults:
            say(fault, err=True)
        if faults:
            sys.exit(UNFINISHED)
        say("archive, landed files and published sets are as they were written")


@click.command()
@click.pass_obj
def rollback(home_path: str) -> None:
    """Make the set published before the current one current again."""
    with errors_as_messages():
        home = Home.at(home_path)
        if not home.published.exists():
            raise UserError(f"home {home.root}: nothing is published there")
        with lease(home, "mellantid rollback"):
            manifest = PublishedSets(home).rollback()
        say(f"current is now {manifest.run}, as of {manifest.as_of}; the next run publishes anew")
