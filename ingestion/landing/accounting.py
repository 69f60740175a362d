"""What landed, counted anew from the loads' own files.

Belongs here: records and money against manifests, stages that no mapping declares.
Does not belong here: counting while landing (`loads`).
"""

from decimal import Decimal
from pathlib import Path

import duckdb

from ingestion.landing.manifest import FILE_NAME, LoadManifest
from ingestion.sql import literal
from ingestion.tables import TABLES


def unaccounted(folders: list[Path]) -> list[str]:
    """Where what landed is not what came in, a line each: records per load, money per currency.

    Counted anew from the files in the loads' folders, against what their manifests say came in.
    """
    manifests = {folder.name: LoadManifest.read(folder / FILE_NAME) for folder in folders}
    with duckdb.connect() as connection:
        names = sorted({name for manifest in manifests.values() for name in manifest.tables})
        out, left_out = _recounted_rejects(connection, folders, names)
        rows = {name: _recounted(connection, folders, name) for name in names}
        money = {
            name: _recounted_money(connection, folders, name)
            for name in rows
            if {"amount", "currency"} <= set(TABLES[name].by_name)
        }
    faults = []
    for load, manifest in manifests.items():
        quarantined = out.get(load, 0)
        balance = manifest.records == manifest.accepted + quarantined
        left = {rule: n for (of, rule), n in left_out.items() if of == load}
        if not balance or quarantined != manifest.quarantined or left != manifest.left_out:
            faults.append(f"{manifest.file_kind} ({load}): records in and out differ")
        for name, facts in manifest.tables.items():
            if rows[name].get(load, 0) != facts.rows:
                faults.append(f"{manifest.file_kind} ({load}): rows of {name} are missing")
        for name, sums in manifest.money.items():
            for currency, amount in sums.came_in.items():
                kept = money[name].get((load, currency), Decimal(0))
                if Decimal(amount) != kept + Decimal(sums.quarantined[currency]):
                    faults.append(f"{manifest.file_kind} ({load}): {currency} in and out differ")
    return faults


def unknown_stages(folders: list[Path]) -> list[tuple[str | None, str, int]]:
    """(pipeline, stage, records) of these loads whose stage none of them declares."""
    declared = _files(folders, "stages")
    parts = [
        f"select {pipeline} as pipeline_id, {stage} as stage_id from {files} where {condition}"
        for name, pipeline, stage, condition in (
            ("deals", "pipeline_id", "stage_id", "stage_id is not null"),
            ("leads", "pipeline_id", "stage_id", "stage_id is not null"),
            ("deal_changes", "null", "new_value", "field = 'stage_id' and new_value is not null"),
        )
        if (files := _files(folders, name))
    ]
    if not parts:
        return []
    known = f"stage_id in (select stage_id from {declared})" if declared else "false"
    with duckdb.connect() as connection:
        return connection.execute(
            f"select pipeline_id, stage_id, count(*) from ({' union all '.join(parts)}) "
            f"where not {known} group by all order by 3 desc, 1, 2"
        ).fetchall()


def _recounted(
    connection: duckdb.DuckDBPyConnection, folders: list[Path], name: str
) -> dict[str, int]:
    query = f"select load_id, count(*) from {_files(folders, name)} group by load_id"
    return dict(connection.execute(query).fetchall()) if _files(folders, name) else {}


def _recounted_rejects(
    connection: duckdb.DuckDBPyConnection, folders: list[Path], names: list[str]
) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Records per load of which nothing was kept; per load and rule, those kept without a cell."""
    kept = " union all ".join(
        f"select load_id, record_number from {files}"
        for name in names
        if (files := _files(folders, name))
    )
    rejects, same = _files(folders, "rejects"), "using (load_id, record_number)"
    if not rejects or not kept:
        return {}, {}
    counted = "count(distinct record_number)"
    out = f"select load_id, {counted} from {rejects} anti join ({kept}) {same} group by all"
    left = f"select load_id, rule, {counted} from {rejects} semi join ({kept}) {same} group by all"
    return (
        dict(connection.execute(out).fetchall()),
        {(load, rule): n for load, rule, n in connection.execute(left).fetchall()},
    )


def _recounted_money(
    connection: duckdb.DuckDBPyConnection, folders: list[Path], name: str
) -> dict[tuple[str, str], Decimal]:
    rows = connection.execute(
        f"select load_id, coalesce(currency, 'unknown'), sum(amount) from {_files(folders, name)} "
        "where amount is not null group by all"
    ).fetchall()
    return {(load, currency): amount for load, currency, amount in rows}


def _files(folders: list[Path], name: str) -> str:
    paths = [folder / f"{name}.parquet" for folder in folders]
    listed = ", ".join(literal(str(path)) for path in paths if path.exists())
    return f"read_parquet([{listed}], hive_partitioning = false)" if listed else ""
