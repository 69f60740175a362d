"""The command that invents a company: simulate.

Belongs here: its arguments. The pipeline itself never imports the simulation.
"""

from datetime import date, datetime
from pathlib import Path

import click

from cli.messages import as_day, errors_as_messages, shown
from ingestion.errors import UserError


@click.command()
@click.option("--deals", default=3_000, show_default=True, type=click.IntRange(1, 5_000_000))
@click.option("--seed", default=1, show_default=True, type=int)
@click.option("--as-of", callback=as_day, help="The day of the exports; today if left out.")
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
    with errors_as_messages():
        from simulation.company import ZONE
        from simulation.histories import simulate as simulated
        from simulation.home import NotASimulation, write_home

        day = as_of or datetime.now(ZONE).date()
        try:
            written = write_home(simulated(deals, seed, day), out, crm, days)
        except NotASimulation as error:
            raise UserError(f"--out {error}") from error
        click.echo(f"{len(written)} files of an invented company in {shown(out.absolute())}")
