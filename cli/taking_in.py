"""Commands about files and their mappings: ingest, map, tally.

Belongs here: their arguments and what they say.
"""

import sys
from pathlib import Path

import click

from cli.messages import REFUSED, errors_as_messages, say, say_files, shown
from ingestion.errors import FileRejected, UserError
from ingestion.home import Home
from ingestion.landing.deciding import Landing
from publishing.lease import lease


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would land and be rejected; keep nothing.")
@click.pass_obj
def ingest(home_path: str, dry_run: bool) -> None:
    """Take in the inbox without building anything."""
    with errors_as_messages():
        home = Home.at(home_path)
        home.prepare()
        with lease(home, "mellantid ingest"):
            report = Landing(home, dry_run, say=lambda text: say(f"  {text}", err=True)).run()
        if dry_run:
            say("dry run: nothing was kept")
        say_files(report.files, every=True)
        for pipeline, stage, n in report.unknown_stages:
            # As the mapping writes them, without their system.
            where = f" of pipeline {pipeline.partition(':')[2]}" if pipeline else ""
            say(
                f"  unknown stage {stage.partition(':')[2]}{where} in {n:,} records: "
                "add it to `stages` in mappings/, or to the column's value map"
            )
        if report.having("rejected"):
            sys.exit(REFUSED)


@click.command("map")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--write", is_flag=True, help="Save the proposal in the home's mappings/.")
@click.option("--system", default="own", show_default=True, help="The mapping it goes into.")
@click.pass_obj
def map_file(home_path: str, file: Path, write: bool, system: str) -> None:
    """Profile an unknown export and propose its mapping, with what only you can decide."""
    with errors_as_messages():
        from ingestion.proposing.writing import as_text, propose_for, save_mapping

        home = Home.at(home_path)
        if write:
            home.prepare()
        try:
            proposal = propose_for(home, file)
        except FileRejected as error:
            raise UserError(f"{file.name}: {error}") from error
        if proposal.recognised:
            say(f"# The mapping {proposal.recognised} takes this file already.")
        say(as_text(proposal, system, file.stem))
        if write:
            path = save_mapping(home, proposal, system, file.stem)
            say(
                f"# Written to {shown(path)}. Answer the questions in it, put the file into the "
                "inbox, and see what becomes of it: mellantid ingest --dry-run"
            )


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def tally(home_path: str, out: Path) -> None:
    """Write a workbook to note calls, mails and meetings in; dropped into the inbox it lands."""
    with errors_as_messages():
        from publishing.sets import PublishedSets
        from publishing.tally import write_tally

        if out.suffix.lower() != ".xlsx":
            raise UserError(f"{out.name}: name a workbook, as in tally.xlsx")
        if out.exists():
            raise UserError(f"{out.name}: is there already; name another, so that no line is lost")
        home = Home.at(home_path)
        lists = write_tally(out, PublishedSets(home).current())
        known = ", ".join(f"{n} of {header}" for header, n in lists.items() if n)
        say(f"{shown(out.absolute())}: choices of the company's own: {known}")
