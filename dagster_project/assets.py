"""Assets and checks of one home: each hands over to a step of `publishing.day`.

Belongs here: what depends on what, and events for Dagster.
Does not belong here: the work of a step, when it runs (`triggers`).
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
from dagster_dbt import DbtProject, dbt_assets

from ingestion.company import Company
from ingestion.home import Home
from ingestion.landing.report import last_report
from ingestion.tables import TABLES
from publishing import day, estimates
from publishing.catalogue import (
    PublishedTable,
    estimate_tables,
    exposures,
    manifest_path,
    published_tables,
)
from publishing.day import Day
from publishing.dbt_process import DBT_PROJECT
from publishing.gate import landed_files
from publishing.gate.checks import FAILED, NOT_APPLICABLE, PASSED, CheckResult
from publishing.gate.expectations import EXPECTATIONS
from publishing.lease import Lease, lease

log = logging.getLogger("mellantid")

# `backfill_policy` is marked beta; without it Dagster warns that the assets' policies differ.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

# Days that can be asked for. The company's data decide which of them hold anything.
FIRST_DAY = "2010-01-01"
ONE_DAY_AT_A_TIME = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)


@dataclass(frozen=True)
class HomeAssets:
    """The assets of one home, its days, its checks of distributions and its lease."""

    assets: list[dg.AssetsDefinition | dg.AssetSpec]
    expectations: dg.AssetChecksDefinition
    writer: dg.ResourceDefinition
    days: dg.DailyPartitionsDefinition


def build_assets(home: Home, company: Company) -> HomeAssets:
    """Everything from landing to the published set, in daily partitions but for landing."""
    # end_offset: the run at 06:00 speaks of today, not of yesterday.
    days = dg.DailyPartitionsDefinition(FIRST_DAY, timezone=company.zone, end_offset=1)
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
        _landing(home),
        _run(home, days),
        _models(home, days),
        _analysis(home, days),
        _published_set(home, days),
        *_looked_at(),
    ]
    return HomeAssets(assets, _expectations(home), _writer(home), days)


def _writer(home: Home) -> dg.ResourceDefinition:
    @dg.resource(description="One writer per home, for the whole run.")
    def writer(context: dg.InitResourceContext) -> Iterator[Lease]:
        home.prepare()
        run_id = context.run.run_id[:8] if context.run else "run"
        with lease(home, f"run {run_id}") as held:
            yield held

    return writer


def _day(home: Home, as_of: str, run_id: str) -> Day:
    return Day(home, date.fromisoformat(as_of), run_id, log.info)


def _landing(home: Home) -> dg.AssetsDefinition:
    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                ["raw", table.name],
                group_name="ingestion",
                description=f"{table.grain.capitalize()}.",
                metadata=_columns((c.name, c.sql_type, c.doc) for c in table.columns),
            )
            for table in TABLES.values()
        ],
        check_specs=[
            dg.AssetCheckSpec(name, asset=["raw", "deals"], blocking=True, description=text)
            for name, text in landed_files.DESCRIPTIONS.items()
        ],
        required_resource_keys={"writer"},
    )
    def landing(context: dg.AssetExecutionContext) -> Iterator[Any]:
        """Take in what the inbox holds; exactly once by content."""
        report, results = day.land(home, context.run_id, log.info)
        log.info("landed %s", report.counted())
        for table in TABLES:
            yield dg.MaterializeResult(asset_key=["raw", table])
        for result in results:
            yield _check(result, ["raw", "deals"])

    return landing


def _run(home: Home, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=["raw", "run"],
        group_name="ingestion",
        deps=[["raw", table] for table in TABLES],
        description="What this run calls now; begins the private build of the day.",
        partitions_def=days,
        backfill_policy=ONE_DAY_AT_A_TIME,
        required_resource_keys={"writer"},
    )
    def run(context: dg.AssetExecutionContext) -> None:
        report = last_report(home)
        if report is None:
            raise dg.Failure("nothing has been taken in yet: materialise the landing first")
        _day(home, context.partition_key, context.run_id).begin(report.loads)

    return run


def _models(home: Home, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    project = DbtProject(DBT_PROJECT, profiles_dir=DBT_PROJECT)

    @dbt_assets(
        manifest=manifest_path(),
        project=project,
        name="models",
        partitions_def=days,
        backfill_policy=ONE_DAY_AT_A_TIME,
        required_resource_keys={"writer"},
    )
    def models(context: dg.AssetExecutionContext) -> Iterator[Any]:
        """Build the day's marts in its private warehouse, test them, hand them over as Parquet."""
        built = _day(home, context.partition_key, context.run_id).build()
        yield from (dg.MaterializeResult(asset_key=[name]) for name in built.models)
        assets = {spec.name: spec.asset_key.path for spec in context.assets_def.check_specs}
        for result in built.tests:
            if result.name in assets:
                yield _check(result, assets[result.name])
        built.refuse_faults()

    return models


def _analysis(home: Home, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    tables = estimate_tables()

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                table.name,
                group_name="analysis",
                deps=estimates.inputs_of(table.name),
                description=table.description,
                metadata=_described(table),
            )
            for table in tables
        ],
        check_specs=[
            dg.AssetCheckSpec(
                estimates.CHECK,
                asset="conversion_estimates",
                blocking=True,
                description="Estimates lie within bounds, and each row is alone in its grain.",
            )
        ],
        partitions_def=days,
        backfill_policy=ONE_DAY_AT_A_TIME,
        required_resource_keys={"writer"},
    )
    def analysis(context: dg.AssetExecutionContext) -> Iterator[Any]:
        """Estimate what counts alone cannot say, from the day's marts."""
        result = _day(home, context.partition_key, context.run_id).estimate()
        for table in tables:
            yield dg.MaterializeResult(asset_key=[table.name])
        yield _check(result, ["conversion_estimates"])

    return analysis


def _expectations(home: Home) -> dg.AssetChecksDefinition:
    tables = {expectation.name: expectation.tables[0] for expectation in EXPECTATIONS}

    @dg.multi_asset_check(
        specs=[
            dg.AssetCheckSpec(
                expectation.name,
                asset=expectation.tables[0],
                blocking=True,
                description=f"{expectation.reason} Asked when there is: {expectation.needs}.",
            )
            for expectation in EXPECTATIONS
        ],
        required_resource_keys={"writer"},
    )
    def expectations(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        """Great Expectations about the distributions of what BI reads."""
        as_of = context.run.tags["dagster/partition"]
        for result in _day(home, as_of, context.run.run_id).audit():
            yield _check(result, [tables[result.name]])

    return expectations


def _published_set(home: Home, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        deps=[table.name for table in published_tables()],
        group_name="published",
        description="The whole set, written beside the others, verified, made current by one "
        "switch.",
        partitions_def=days,
        backfill_policy=ONE_DAY_AT_A_TIME,
        required_resource_keys={"writer"},
    )
    def published_set(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        held: Lease = context.resources.writer
        manifest = _day(home, context.partition_key, context.run_id).publish(held)
        outcomes = [result.outcome for result in manifest.checks]
        return dg.MaterializeResult(
            metadata={
                "run": manifest.run,
                PASSED: outcomes.count(PASSED),
                NOT_APPLICABLE: outcomes.count(NOT_APPLICABLE),
            }
        )

    return published_set


def _looked_at() -> list[dg.AssetSpec]:
    """Pages and dashboards, which end the lineage; they are part of the set, or read it."""
    return [
        dg.AssetSpec(
            ["looked_at", name],
            deps=[*exposure.tables, "published_set"],
            group_name="looked_at",
            description=f"{exposure.label}. {exposure.description}",
        )
        for name, exposure in exposures().items()
    ]


def _check(result: CheckResult, asset: Sequence[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=result.name,
        asset_key=dg.AssetKey(asset),
        passed=result.outcome != FAILED,
        description=result.detail or result.outcome,
        metadata={"outcome": result.outcome},
    )


def _columns(columns: Any) -> dict[str, Any]:
    return {"dagster/column_schema": dg.TableSchema([dg.TableColumn(*c) for c in columns])}


def _described(table: PublishedTable) -> dict[str, Any]:
    return _columns((name, table.types[name], text) for name, text in table.columns.items())
