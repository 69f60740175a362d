"""The Dagster code location: assets, checks, the daily job, schedule, sensor, alerts.

Belongs here: what depends on what, and when it runs.
Does not belong here: the work itself; every asset hands over to a plain function.

Dagster is a trigger and a window. What has landed, what is published and who may write is decided
by the home's own files, so the same run works from cron.
"""

import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtProject, dbt_assets
from dagster_slack import make_slack_on_run_failure_sensor
from ingestion.errors import UserError
from ingestion.files import write_json
from ingestion.home import Home
from ingestion.landing import Landing, Report, is_new, manifests
from ingestion.loads import unaccounted
from ingestion.tables import TABLES

from dagster_project import dbt_build, estimates, gate
from dagster_project.gate import FAILED, NOT_APPLICABLE, PASSED, CheckResult, Refused, Results
from dagster_project.lease import Lease, lease
from dagster_project.publish import Published
from dagster_project.warehouse import Warehouse

log = logging.getLogger("mellantid")

# `backfill_policy` is marked beta; without it Dagster warns that the assets' policies differ.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

HOME = Home.at(os.environ.get("MELLANTID_HOME", "data"))
COMPANY = HOME.company()

# Days that can be asked for. The company's data decide which of them hold anything.
FIRST_DAY = "2010-01-01"
days = dg.DailyPartitionsDefinition(
    # end_offset: the run at 06:00 speaks of today, not of yesterday.
    start_date=FIRST_DAY,
    timezone=COMPANY.zone,
    end_offset=1,
)


one_day_at_a_time = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)

LANDING_CHECK = "every_file_landed"
CONSERVATION_CHECK = "every_record_is_accounted_for"
EXPECTED = {
    LANDING_CHECK,
    CONSERVATION_CHECK,
    *dbt_build.test_names().values(),
    estimates.CHECK,
    *(expectation.name for expectation in gate.EXPECTATIONS),
}


# --- landing -------------------------------------------------------------------------------------


def landing_report() -> Path:
    return HOME.landed / "last_report.json"


@dg.resource(description="One writer per home, for the whole run.")
def writer(context: dg.InitResourceContext) -> Iterator[Lease]:
    HOME.prepare()
    run_id = context.run.run_id[:8] if context.run else "run"
    with lease(HOME, f"run {run_id}") as held:
        yield held


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            ["raw", table.name],
            group_name="ingestion",
            description=f"{table.grain.capitalize()}.",
            metadata={
                "dagster/column_schema": dg.TableSchema(
                    [dg.TableColumn(c.name, c.sql_type, c.doc) for c in table.columns]
                )
            },
        )
        for table in TABLES.values()
    ],
    check_specs=[
        dg.AssetCheckSpec(
            LANDING_CHECK,
            asset=["raw", "deals"],
            blocking=True,
            description="No file was rejected: a missing export looks like a bad week.",
        ),
        dg.AssetCheckSpec(
            CONSERVATION_CHECK,
            asset=["raw", "deals"],
            blocking=True,
            description="Of every file in force, records in are records accepted and quarantined, "
            "and so is the money of each currency.",
        ),
    ],
    required_resource_keys={"writer"},
)
def landing(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Take in what the inbox holds; exactly once by content."""
    report = Landing(HOME, say=log.info).run()
    results = [checked_landing(report), checked_conservation(report)]
    facts = {name: len(report.having(name)) for name in ("landed", "relanded", "already_landed")}
    log.info("landed %s", ", ".join(f"{n} {name}" for name, n in facts.items()))
    write_json(
        landing_report(),
        {
            "run_id": context.run_id,
            "loads": report.loads,
            "files": [vars(file) for file in report.files],
            "results": [vars(result) for result in results],
        },
    )
    for table in TABLES:
        yield dg.MaterializeResult(asset_key=["raw", table])
    for result in results:
        yield _dagster_check(result, ["raw", "deals"])


def checked_landing(report: Report) -> CheckResult:
    rejected = report.having("rejected")
    detail = "; ".join(file.message for file in rejected)
    if rejected:
        return CheckResult(LANDING_CHECK, "landing", FAILED, detail)
    if not report.files:
        return CheckResult(LANDING_CHECK, "landing", NOT_APPLICABLE, "the inbox is empty")
    return CheckResult(LANDING_CHECK, "landing", PASSED)


def checked_conservation(report: Report) -> CheckResult:
    if not report.loads:
        return CheckResult(CONSERVATION_CHECK, "landing", NOT_APPLICABLE, "nothing has landed")
    faults = unaccounted([HOME.landed / load for load in report.loads])
    outcome = FAILED if faults else PASSED
    return CheckResult(CONSERVATION_CHECK, "landing", outcome, "; ".join(faults))


@dg.asset(
    key=["raw", "run"],
    group_name="ingestion",
    deps=[["raw", table] for table in TABLES],
    partitions_def=days,
    backfill_policy=one_day_at_a_time,
    required_resource_keys={"writer"},
    description="What this run calls now; begins the private build of the day.",
)
def run(context: dg.AssetExecutionContext) -> None:
    report = json.loads(landing_report().read_text(encoding="utf-8"))
    warehouse = Warehouse(HOME, date.fromisoformat(context.partition_key))
    warehouse.begin(report["loads"])
    results = Results(warehouse.folder / "checks", context.run_id)
    results.store("landing", [CheckResult(**result) for result in report["results"]])


# --- dbt -----------------------------------------------------------------------------------------


@dbt_assets(
    manifest=dbt_build.manifest_path(),
    project=DbtProject(dbt_build.DBT_PROJECT, profiles_dir=dbt_build.DBT_PROJECT),
    partitions_def=days,
    backfill_policy=one_day_at_a_time,
    required_resource_keys={"writer"},
    name="models",
)
def models(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Build the day's marts in its private warehouse, test them, hand them over as Parquet."""
    warehouse = Warehouse(HOME, date.fromisoformat(context.partition_key))
    built = dbt_build.build(warehouse, log.info)
    Results(warehouse.folder / "checks", context.run_id).store("dbt", built.tests)
    yield from (dg.MaterializeResult(asset_key=[name]) for name in built.models)
    checked_assets = {spec.name: spec.asset_key.path for spec in models.check_specs}
    for result in built.tests:
        if result.name in checked_assets:
            yield _dagster_check(result, checked_assets[result.name])
    if built.broken:
        raise dg.Failure(f"dbt could not build {'; '.join(built.broken)}")
    if failed := [r for r in built.tests if r.outcome == FAILED]:
        raise Refused("; ".join(f"{r.name}: {r.detail}" for r in failed))
    warehouse.hand_over([model.name for model in dbt_build.published_models()])


# --- analysis ------------------------------------------------------------------------------------


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            table.name,
            group_name="analysis",
            deps=["fct_stage_entries"],
            description=table.description,
            metadata={
                "dagster/column_schema": dg.TableSchema(
                    [
                        dg.TableColumn(name, table.types[name], text)
                        for name, text in table.columns.items()
                    ]
                )
            },
        )
        for table in dbt_build.estimate_tables()
    ],
    check_specs=[
        dg.AssetCheckSpec(
            estimates.CHECK,
            asset="conversion_estimates",
            blocking=True,
            description="Estimates lie within their bounds, and each row is alone in its grain.",
        )
    ],
    partitions_def=days,
    backfill_policy=one_day_at_a_time,
    required_resource_keys={"writer"},
)
def analysis(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Estimate what counts alone cannot say, from the day's marts."""
    warehouse = Warehouse(HOME, date.fromisoformat(context.partition_key))
    log.info("estimating")
    result = estimates.estimate(warehouse)
    Results(warehouse.folder / "checks", context.run_id).store("analysis", [result])
    for table in dbt_build.estimate_tables():
        yield dg.MaterializeResult(asset_key=[table.name])
    yield _dagster_check(result, ["conversion_estimates"])


# --- gate and publish ----------------------------------------------------------------------------


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            expectation.name,
            asset=expectation.table,
            blocking=True,
            description=f"{expectation.reason} Asked when there is: {expectation.needs}.",
        )
        for expectation in gate.EXPECTATIONS
    ],
    required_resource_keys={"writer"},
)
def expectations(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Great Expectations about the distributions of what BI reads."""
    as_of = date.fromisoformat(context.run.tags["dagster/partition"])
    warehouse = Warehouse(HOME, as_of)
    log.info("asking %d expectations", len(gate.EXPECTATIONS))
    results = gate.evaluate(warehouse, Published(HOME).last_before(as_of), HOME.company())
    Results(warehouse.folder / "checks", context.run.run_id).store("expectation", results)
    tables = {expectation.name: expectation.table for expectation in gate.EXPECTATIONS}
    for result in results:
        yield _dagster_check(result, [tables[result.name]])


def _dagster_check(result: CheckResult, asset: Sequence[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=result.name,
        asset_key=dg.AssetKey(asset),
        passed=result.outcome != FAILED,
        description=result.detail or result.outcome,
        metadata={"outcome": result.outcome},
    )


@dg.asset(
    deps=[table.name for table in dbt_build.published_tables()],
    partitions_def=days,
    backfill_policy=one_day_at_a_time,
    group_name="published",
    required_resource_keys={"writer"},
    description="The whole set, written beside the others, verified, made current by one switch.",
)
def published(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    warehouse = Warehouse(HOME, date.fromisoformat(context.partition_key))
    results = Results(warehouse.folder / "checks", context.run_id).require(EXPECTED)
    log.info("publishing")
    manifest = Published(HOME).publish(
        warehouse, dbt_build.published_tables(), results, context.resources.writer, context.run_id
    )
    warehouse.retire_others(HOME.company().keep_warehouses)
    counts = {o: sum(r.outcome == o for r in results) for o in (PASSED, NOT_APPLICABLE)}
    return dg.MaterializeResult(metadata={"run": manifest["run"], **counts})


@dg.failure_hook
def record_failure(context: dg.HookContext) -> None:
    """Tell status.js that this run was refused or failed; the last good set stands."""
    log.debug("failed in %s", context.op.name)
    error = context.op_exception
    Published(HOME).write_status(refused=failure(context.run_id, error))


def failure(run_id: str, error: BaseException | None) -> dict[str, Any]:
    """Why a run did not publish, for people and pages.

    `kind` is `refused` (by the gate, with each finding), `configuration` or `fault`; `new_files`
    are those the last good set did not hold, which is where to look first.
    """
    findings, new_files = _findings(run_id), []
    if findings or isinstance(error, Refused):
        kind, reasons = "refused", findings or [str(error)]
        new_files = _new_files()
    else:
        kind = "configuration" if isinstance(error, UserError) else "fault"
        reasons = [str(error) or type(error).__name__]
    return {"run_id": run_id, "kind": kind, "reasons": reasons, "new_files": new_files}


def _findings(run_id: str) -> list[str]:
    found: dict[str, None] = {}  # a set that keeps its order
    for path in (landing_report(), *HOME.warehouse.glob("*/checks/*.json")):
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if content.get("run_id") == run_id:
            for result in content["results"]:
                if result["outcome"] == FAILED:
                    found[f"{result['name']}: {result['detail']}"] = None
    return list(found)


def _new_files() -> list[str]:
    """Files in force, or rejected, that the last good set did not hold, with their archive name."""
    published = Published(HOME)
    known = {load["sha256"] for load in published.manifest(published.current()).get("loads", [])}
    report = json.loads(landing_report().read_text(encoding="utf-8"))
    found = [(f["name"], f["sha256"]) for f in report["files"] if f["outcome"] == "rejected"]
    for load in manifests(HOME, report["loads"]):
        receipt = HOME.archive / f"{load['sha256']}.json"
        if receipt.exists():  # stages that a mapping declares have none
            name = json.loads(receipt.read_text(encoding="utf-8"))["first_name"]
            found.append((name, load["sha256"]))
    return [f"{name} (archive/{sha[:12]}…)" for name, sha in found if sha not in known]


# --- job, schedule, sensor, alerts ---------------------------------------------------------------

daily = dg.define_asset_job(
    "daily",
    selection=dg.AssetSelection.all(),
    partitions_def=days,
    executor_def=dg.in_process_executor,  # one process holds the lease from landing to publish
    hooks={record_failure},
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


@dg.sensor(job=daily, minimum_interval_seconds=60, description="Runs when the inbox has news.")
def inbox(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    # Looks at the folder itself and keeps no cursor: a cursor that drifts loses files in silence.
    if not is_new(HOME):
        return dg.SkipReason("nothing new in the inbox")
    today = COMPANY.today().isoformat()
    active = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING]
    waiting = context.instance.get_runs(
        dg.RunsFilter(job_name=daily.name, statuses=active), limit=1
    )
    if waiting:
        return dg.SkipReason("a run is under way; it takes the new files with it")
    return dg.SensorResult([dg.RunRequest(partition_key=today)])


def alert_sensors() -> list[dg.SensorDefinition]:
    """E-mail and Slack on failure, as far as company.yml fills them in."""
    alerts = COMPANY.alerts
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
        sensors.append(
            make_slack_on_run_failure_sensor(
                channel=alerts.slack_channel,
                slack_token=os.environ.get("MELLANTID_SLACK_TOKEN", ""),
                default_status=dg.DefaultSensorStatus.RUNNING,
            )
        )
    return sensors


defs = dg.Definitions(
    assets=[landing, run, models, analysis, published],
    asset_checks=[expectations],
    jobs=[daily],
    schedules=[every_morning],
    sensors=[inbox, *alert_sensors()],
    resources={"writer": writer},
    executor=dg.in_process_executor,
)
