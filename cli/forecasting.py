"""Commands about what is to come: backtest, check-in.

Belongs here: their arguments and what they say.
"""

from pathlib import Path
from typing import Any

import click

from cli.messages import REFUSED, errors_as_messages, fail, say, shown
from ingestion.errors import UserError
from ingestion.files import write_atomically
from ingestion.home import Home
from publishing.lease import lease

NAMES = {
    "mellantid": "Mellantid",
    "crm_probabilities": "CRM probabilities",
    "crm_recalibrated": "the same, recalibrated",
    "run_rate": "run rate",
    "last_year": "last year",
}


@click.command()
@click.option("--quarters", default=8, show_default=True, help="How many past quarters.")
@click.pass_obj
def backtest(home_path: str, quarters: int) -> None:
    """Forecast past quarters again, from what the CRM knew on their first day, and score that.

    The scores are published with the next run (forecast_scores).
    """
    with errors_as_messages():
        from ingestion.landing.deciding import Landing
        from publishing.day import reconstruct
        from publishing.forecasts import keep_backtest, origins, scored
        from publishing.gate.checks import Refused
        from publishing.sets import PublishedSets

        home = Home.at(home_path)
        sets = PublishedSets(home)
        manifest, published = sets.current_manifest(), sets.current()
        if manifest is None or published is None:
            raise UserError(f"home {home.root}: nothing is published there; `mellantid run` first")
        days = origins(published, manifest.as_of, quarters)
        with lease(home, "mellantid backtest"):
            report = Landing(home).run()
            for day in days:
                say(f"as the CRM knew it on {day}", err=True)
                try:
                    keep_backtest(reconstruct(home, day, report.loads, lambda text: None))
                except Refused as refused:
                    fail(REFUSED, f"{day}: {refused}")
                    raise
        _say_scores(scored(published, home, manifest.as_of))


def _say_scores(scores: Any) -> None:
    """A line a forecaster: of the company's quarter that began on the origin."""
    mine = scores[
        (scores["basis"] == "as_reconstructed")
        & (scores["scope"] == "company")
        & (scores["part"] == "total")
        & (scores["period_start_on"] == scores["origin_on"])
    ]
    say(f"{'quarter by quarter, as reconstructed':<38}{'quarters':>9}{'mean CRPS':>14}"
        f"{'mean error':>14}{'within 10–90 %':>16}")  # fmt: skip
    for name, label in NAMES.items():
        rows = mine[mine["forecaster"] == name]
        if len(rows):
            say(f"{label:<38}{len(rows):>9}{rows['crps_amount'].astype(float).mean():>14,.0f}"
                f"{rows['error_amount'].astype(float).mean():>+14,.0f}"
                f"{int(rows['is_within_p10_p90'].sum()):>10} of {len(rows)}")  # fmt: skip
    say("CRPS: how far forecasts were from what came, their whole range counted; less is better.")


@click.command("check-in")
@click.option("--language", type=click.Choice(["en", "sv"]), help="Default: that of company.yml.")
@click.option("--to", type=click.Path(path_type=Path), help="Where to write the page.")
@click.pass_obj
def check_in(home_path: str, language: str | None, to: Path | None) -> None:
    """Hold the check-in, if it is due: print it, and write it as a page for e-mail.

    What is held is kept in check_ins/ with the numbers it stood on. Between two check-ins this
    shows where things stand, and decides nothing.
    """
    with errors_as_messages():
        from dashboard import check_in as laid_out
        from publishing.check_ins import hold
        from publishing.sets import PublishedSets

        home = Home.at(home_path)
        company = home.company()
        sets = PublishedSets(home)
        manifest, published = sets.current_manifest(), sets.current()
        if manifest is None or published is None:
            raise UserError(f"home {home.root}: nothing is published there; `mellantid run` first")
        with lease(home, "mellantid check-in"):
            is_held = hold(home, published, manifest.as_of)
        page = laid_out.page(published, is_held, language or company.language)
        if page is None:
            raise UserError("there is nothing to check in on: no deal has entered a stage")
        say(laid_out.text(page))
        target = to or home.check_ins / f"{manifest.as_of}.html"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, laid_out.html(page))
        say("")
        say(f"page       {shown(target)}")
