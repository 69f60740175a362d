"""Commands about what is to come: backtest.

Belongs here: their arguments and what they say.
"""

from typing import Any

import click

from cli.messages import REFUSED, errors_as_messages, fail, say
from ingestion.errors import UserError
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
