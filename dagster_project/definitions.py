"""The Dagster code location: `build_defs(home)` puts assets and triggers together.

Belongs here: assembling. Does not belong here: assets (`assets`), job, schedule, sensors
(`triggers`), reading a home when this module is imported.

Dagster is a trigger and a window. What has landed, what is published and who may write is decided
by the home's own files, so the same run works from cron.
"""

import os

import dagster as dg

from dagster_project.assets import build_assets
from dagster_project.triggers import alert_sensors, build_triggers
from ingestion.home import Home


def build_defs(home: Home) -> dg.Definitions:
    """The definitions of one home. Raises UserError for a faulty company file."""
    company = home.company()
    assets = build_assets(home, company)
    triggers = build_triggers(home, company, assets.days)
    return dg.Definitions(
        assets=assets.assets,
        asset_checks=[assets.expectations],
        jobs=[triggers.daily],
        schedules=[triggers.every_morning],
        sensors=[triggers.inbox, *alert_sensors(company)],
        resources={"writer": assets.writer},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The home that MELLANTID_HOME names."""
    return build_defs(Home.at(os.environ.get("MELLANTID_HOME", "data")))
