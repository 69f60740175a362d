"""When a home's day runs, and who is told when it fails.

Belongs here: the job, its schedule, the inbox sensor, alerts, the record of a failure.
Does not belong here: what the job does (`assets`), why it failed (`publishing.failures`).
"""

import os
from dataclasses import dataclass
from typing import Any

import dagster as dg

from ingestion.company import Company
from ingestion.home import Home
from ingestion.landing.inbox import is_new
from publishing import day

JOB = "daily"
ACTIVE = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING]


@dataclass(frozen=True)
class HomeTriggers:
    """The job of one home, and what starts it; job and schedule are resolved by Definitions."""

    daily: Any
    every_morning: Any
    inbox: dg.SensorDefinition


def build_triggers(
    home: Home, company: Company, days: dg.DailyPartitionsDefinition
) -> HomeTriggers:
    """The daily job with its schedule and the sensor of the home's inbox."""
    daily = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.all(),
        partitions_def=days,
        executor_def=dg.in_process_executor,  # one process holds the lease from landing to publish
        hooks={_record_failure(home)},
        tags={"dagster/max_runtime": str(4 * 3600)},
        description="From the inbox to the published set, for one day.",
    )
    every_morning = dg.build_schedule_from_partitioned_job(
        daily,
        name="every_morning",
        hour_of_day=6,
        minute_of_hour=0,
        description="06:00 in the company's zone.",
    )
    return HomeTriggers(daily, every_morning, _inbox(home, company, daily))


def _record_failure(home: Home) -> dg.HookDefinition:
    @dg.failure_hook
    def record_failure(context: dg.HookContext) -> None:
        """Tell status.js that this run was refused or failed; the last good set stands."""
        day.record_failure(home, context.run_id, context.op_exception)

    return record_failure


def _inbox(home: Home, company: Company, daily: Any) -> dg.SensorDefinition:
    @dg.sensor(job=daily, minimum_interval_seconds=60, description="Runs when the inbox has news.")
    def inbox(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        # Looks at the folder itself and keeps no cursor: one that drifts loses files in silence.
        if not is_new(home):
            return dg.SkipReason("nothing new in the inbox")
        under_way = dg.RunsFilter(job_name=JOB, statuses=ACTIVE)
        if context.instance.get_runs(under_way, limit=1):
            return dg.SkipReason("a run is under way; it takes the new files with it")
        return dg.SensorResult([dg.RunRequest(partition_key=company.today().isoformat())])

    return inbox


def alert_sensors(company: Company) -> list[dg.SensorDefinition]:
    """E-mail and Slack on failure, as far as company.yml fills them in."""
    alerts = company.alerts
    sensors = []
    if alerts.email_from and alerts.email_to and alerts.smtp_host:
        sensors.append(
            dg.make_email_on_run_failure_sensor(
                email_from=alerts.email_from,
                email_password=os.environ.get("MELLANTID_SMTP_PASSWORD", ""),
                email_to=list(alerts.email_to),
                smtp_host=alerts.smtp_host,
                default_status=dg.DefaultSensorStatus.RUNNING,
            )
        )
    if alerts.slack_channel:
        # 1.3 s to import, for those who have a channel.
        from dagster_slack import make_slack_on_run_failure_sensor

        sensors.append(
            make_slack_on_run_failure_sensor(
                channel=alerts.slack_channel,
                slack_token=os.environ.get("MELLANTID_SLACK_TOKEN", ""),
                default_status=dg.DefaultSensorStatus.RUNNING,
            )
        )
    return sensors
