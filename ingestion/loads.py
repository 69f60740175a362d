"""One load: a file, or one sheet of it, read by one mapping into a folder of typed Parquet.

Belongs here: reading, typing, quarantine, the manifest; what runs in the bounded process.
Does not belong here: receipts, identity, making a load visible (`landing`).
"""

import json
import os
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from ingestion.casting.context import Context, TypedTable
from ingestion.casting.plan import cast_table
from ingestion.casting.times import ORDER_NOT_DECLARED
from ingestion.errors import FileRejected
from ingestion.files import fsync_folder, write_json
from ingestion.mappings.loading import Entry
from ingestion.readers import reading
from ingestion.readers.source import Sheet
from ingestion.sql import literal
from ingestion.tables import TABLES

# A file with more broken records than this is read with the wrong dialect or cut in the middle;
# what is left of it would look like a fall in sales. Small files are judged by hand.
MAX_QUARANTINED_SHARE, MIN_RECORDS_FOR_SHARE = 0.2, 20
MAX_MOJIBAKE_SHARE = 0.01

# What DuckDB may hold in memory; beyond it spills to disk, so that memory is flat in file size.
DUCKDB_MEMORY = "160MB"


@dataclass(frozen=True)
class Job:
    """What to read, by which mapping, and into which folder; all that the process is told."""

    archived: Path
    sheet: str | None
    entry: Entry
    known_at: datetime
    key: bytes
    identity: str
    sha256: str
    folder: Path
    scratch: Path


def write_load(job: Job) -> dict[str, Any]:
    """Write the load's tables, rejects and manifest into its folder; return the manifest.

    Raises FileRejected for a file that cannot be trusted as a whole.
    """
    with duckdb.connect() as connection:
        # On disk: a table being written in memory cannot be put aside when that is full.
        database = literal(str(job.scratch / f"{job.identity}.duckdb"))
        connection.execute(f"attach {database} as typed")
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"set memory_limit = '{DUCKDB_MEMORY}'")
        connection.execute(f"set temp_directory = {literal(str(job.scratch / 'spill'))}")
        connection.execute("set autoinstall_known_extensions = false")
        # It makes a hash join of each list of words: 25 of them held 230 MB.
        connection.execute("set disabled_optimizers = 'in_clause'")
        return _write(job, connection)


def _write(job: Job, connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    mapping = job.entry.mapping
    file_format = reading.format_of(job.archived)
    sheet = reading.read(
        job.archived, file_format, mapping.dialect, job.sheet, connection, job.scratch
    )
    if not sheet.n_records:
        raise FileRejected("no_records", "has headers but no records; export it again")
    # Records have their numbers now; keeping them in order would hold more than fits in memory.
    connection.execute("set preserve_insertion_order = false")
    context = Context(job.entry, sheet, job.known_at, job.key, connection)
    typed = [cast_table(context, name, m) for name, m in mapping.tables.items()]
    rules, quarantined = _quarantine(connection, sheet, typed)
    _check_share(sheet, rules, quarantined)
    job.folder.mkdir(parents=True, mode=0o700)
    for table in typed:
        _copy(
            connection,
            f"""
            select {", ".join(c.name for c in TABLES[table.name].columns)},
                {literal(job.identity)} as load_id, record_number, known_at,
                {str(mapping.complete).lower()} as is_complete
            from typed.{table.name}
            where record_number not in (select record_number from rejects)
            """,
            job.folder / f"{table.name}.parquet",
        )
    rejects = f"select *, {literal(job.identity)} as load_id from rejects order by all"
    _copy(connection, rejects, job.folder / "rejects.parquet")
    manifest = {
        "load_id": job.identity,
        "sha256": job.sha256,
        "sheet": job.sheet,
        "entry": job.entry.label,
        "mapping_hash": job.entry.hash,
        "known_at": f"{job.known_at:%Y-%m-%d %H:%M:%S}",
        "records": sheet.n_records,
        "accepted": sheet.n_records - quarantined,
        "quarantined": quarantined,
        "rules": rules,
        "first_rejects": connection.execute(
            "select record_number, rule from rejects order by all limit 5"
        ).fetchall(),
        "notes": {note: n for note, n in sheet.notes.items() if n},
        "tables": {table.name: _table_facts(connection, table) for table in typed},
        "unmapped_headers": _unmapped(job.entry, sheet),
        "money": _money(connection, typed),
    }
    write_json(job.folder / "manifest.json", manifest)
    for path in job.folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    fsync_folder(job.folder)
    return manifest


def unaccounted(folders: list[Path]) -> list[str]:
    """Where what landed is not what came in, a line each: records per load, money per currency.

    Counted anew from the files in the loads' folders, against what their manifests say came in.
    """
    manifests = {
        folder.name: json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for folder in folders
    }
    with duckdb.connect() as connection:
        out = _recounted(connection, folders, "rejects", "count(distinct record_number)")
        rows = {
            name: _recounted(connection, folders, name, "count(*)")
            for name in {name for manifest in manifests.values() for name in manifest["tables"]}
        }
        money = {
            name: _recounted_money(connection, folders, name)
            for name in rows
            if {"amount", "currency"} <= set(TABLES[name].by_name)
        }
    faults = []
    for load, manifest in manifests.items():
        quarantined = out.get(load, 0)
        balance = manifest["records"] == manifest["accepted"] + quarantined
        if not balance or quarantined != manifest["quarantined"]:
            faults.append(f"{manifest['entry']} ({load}): records in and out differ")
        for name, facts in manifest["tables"].items():
            if rows[name].get(load, 0) != facts["rows"]:
                faults.append(f"{manifest['entry']} ({load}): rows of {name} are missing")
        for name, kinds in manifest["money"].items():
            for currency, amount in kinds["in"].items():
                kept = money[name].get((load, currency), Decimal(0))
                if Decimal(amount) != kept + Decimal(kinds["quarantined"][currency]):
                    faults.append(f"{manifest['entry']} ({load}): {currency} in and out differ")
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
    connection: duckdb.DuckDBPyConnection, folders: list[Path], name: str, count: str
) -> dict[str, int]:
    query = f"select load_id, {count} from {_files(folders, name)} group by load_id"
    return dict(connection.execute(query).fetchall()) if _files(folders, name) else {}


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


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"copy ({query}) to {literal(str(path))} (format parquet)")


def _quarantine(
    connection: duckdb.DuckDBPyConnection, sheet: Sheet, typed: list[TypedTable]
) -> tuple[dict[str, int], int]:
    """Table `rejects` (record_number, table_name, rule); counts per rule and of records."""
    connection.execute(
        "create or replace table rejects (record_number bigint, table_name varchar, rule varchar)"
    )
    if sheet.defects:
        connection.executemany("insert into rejects values (?, 'file', ?)", sheet.defects)
    for table in typed:
        connection.execute(
            f"insert into rejects select distinct record_number, {literal(table.name)}, "
            f"unnest(reasons) from typed.{table.name}"
        )
    rows = connection.execute(
        "select rule, count(distinct record_number) from rejects group by rule order by rule"
    ).fetchall()
    total = connection.execute("select count(distinct record_number) from rejects").fetchone()
    return dict(rows), int(total[0]) if total else 0


def _check_share(sheet: Sheet, rules: dict[str, int], quarantined: int) -> None:
    mojibake = sum(n for rule, n in rules.items() if rule.endswith(": mojibake"))
    if mojibake > max(1, MAX_MOJIBAKE_SHARE * sheet.n_records):
        raise FileRejected(
            "mojibake", "has letters broken by an earlier conversion (Ã¶ for ö); export as UTF-8"
        )
    for rule, n in rules.items():
        if rule.endswith(ORDER_NOT_DECLARED):
            raise FileRejected(
                ORDER_NOT_DECLARED,
                f"has dates like 03/04/2026 in {rule.partition(':')[0]!r} ({n} records) and no "
                "word on which comes first; set dialect.dates in its mapping, as in ['%d/%m/%Y']",
            )
    too_many = sheet.n_records >= MIN_RECORDS_FOR_SHARE and (
        quarantined > MAX_QUARANTINED_SHARE * sheet.n_records
    )
    if too_many or quarantined == sheet.n_records:
        rule, n = max(rules.items(), key=lambda item: item[1])
        raise FileRejected(
            "too_many_bad_records",
            f"{quarantined} of {sheet.n_records} records cannot be read, most for {rule} ({n}); "
            "check the export and the mapping's dialect",
        )


def _table_facts(connection: duckdb.DuckDBPyConnection, table: TypedTable) -> dict[str, Any]:
    row = connection.execute(
        f"select count(*) from typed.{table.name} "
        "where record_number not in (select record_number from rejects)"
    ).fetchone()
    facts = asdict(table) | {"rows": int(row[0]) if row else 0}
    facts.pop("name")
    return facts


def _unmapped(entry: Entry, sheet: Sheet) -> list[str]:
    used: set[str] = set()
    for table in entry.mapping.tables.values():
        for cell in table.columns.values():
            used |= set(cell.all_headers) | set(cell.choose.by if cell.choose else ())
        if table.unpivot:
            used |= {h for h in sheet.headers if re.fullmatch(table.unpivot, h, re.IGNORECASE)}
    folded = {header.casefold() for header in used}
    return [h for h in sheet.headers if h and h.casefold() not in folded]


def _money(
    connection: duckdb.DuckDBPyConnection, typed: list[TypedTable]
) -> dict[str, dict[str, dict[str, str]]]:
    """Per table with money: what came in, what was accepted and quarantined, by currency.

    Amounts that are no numbers are in none of them; their records are counted as quarantined.
    """
    found = {}
    for table in typed:
        if {"amount", "currency"} <= set(TABLES[table.name].by_name):
            is_out = "record_number in (select record_number from rejects)"
            rows = connection.execute(
                f"select coalesce(currency, 'unknown'), sum(amount), "
                f"coalesce(sum(amount) filter (not {is_out}), 0), "
                f"coalesce(sum(amount) filter ({is_out}), 0) "
                f"from typed.{table.name} where amount is not null group by all order by all"
            ).fetchall()
            found[table.name] = {
                kind: {row[0]: str(row[i]) for row in rows}
                for i, kind in enumerate(("in", "accepted", "quarantined"), start=1)
            }
    return found
