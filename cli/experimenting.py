"""Commands about experiments: experiment plan, experiment assign.

Belongs here: their arguments and what they say.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from cli.messages import errors_as_messages, say, shown
from ingestion.errors import UserError
from ingestion.home import Home

if TYPE_CHECKING:
    from publishing.experiments import Experiment


@click.group()
def experiment() -> None:
    """Plan an experiment, and assign its variants."""


@experiment.command("plan")
@click.argument("name")
@click.option(
    "--effect",
    required=True,
    type=float,
    help="The smallest difference worth knowing, in points: 3 is from 5 % to 8 %.",
)
@click.pass_obj
def plan(home_path: str, name: str, effect: float) -> None:
    """Say how many units and weeks settle it at the present volume, or that it cannot."""
    with errors_as_messages():
        from publishing.experiments import planned

        _, found, published = _declared(home_path, name)
        baseline, needed, window = planned(published, found, effect / 100)
        say(
            f"half a year   {baseline.n_units:,} {found.unit}s contacted, "
            f"{100 * baseline.rate:.1f} % with {found.outcome_id} within {window} days; units of "
            f"one company count as {1 / baseline.design_effect:.2f} of a free one"
        )
        say(
            f"needed        {needed.n_units:,} {found.unit}s for {effect:+g} points with 80 %, "
            "however often you look"
        )
        if needed.can_be_settled:
            weeks = needed.weeks
            say(f"time          {weeks:.0f} weeks, and {found.window_days} days of follow-up")
        else:
            points = f"{100 * needed.smallest:.1f} points"
            say(
                f"time          {needed.weeks:.0f} weeks: this volume cannot settle it. In "
                f"{needed.MAX_WEEKS} weeks it settles differences of {points}"
            )


@experiment.command("assign")
@click.argument("name")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--only",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with an id a line: assign these alone.",
)
@click.pass_obj
def assign(home_path: str, name: str, out: Path, only: Path | None) -> None:
    """Write a sheet of variants for the CRM and the inbox; each company always gets the same."""
    with errors_as_messages():
        from publishing.experiments import write_assignments

        if out.exists():
            raise UserError(f"{out.name}: is there already; name another, so that none is lost")
        home, found, published = _declared(home_path, name)
        ids = None
        if only is not None:
            lines = only.read_text(encoding="utf-8-sig").splitlines()
            ids = {line.strip() for line in lines if line.strip()}
        at = datetime.now(ZoneInfo(home.company().zone))
        counts = write_assignments(published, found, ids, at, out)
        told = ", ".join(f"{n:,} {variant}" for variant, n in counts.items())
        say(f"{shown(out.absolute())}: {told}")
        say("Import record_id and variant into the CRM, and put the file into the inbox.")


def _declared(home_path: str, name: str) -> "tuple[Home, Experiment, Path]":
    from publishing.experiments import declared
    from publishing.sets import PublishedSets

    home = Home.at(home_path)
    published = PublishedSets(home).current()
    if published is None:
        raise UserError("no set is published yet; run first")
    return home, declared(published, name), published
