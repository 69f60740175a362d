"""One load: a file, or one sheet of it, read by one mapping into a folder of typed Parquet.

Belongs here: reading, typing, quarantine, the manifest; what runs in the bounded process.
Does not belong here: receipts, identity, making a load visible (`deciding`).
"""

import os
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from ingestion.casting.context import Context, TypedTable, casting_database
from ingestion.casting.plan import cast_table
from ingestion.errors import FileRejected
from ingestion.files import file_hash, fsync_folder
from ingestion.landing.manifest import FILE_NAME, LoadManifest, Money, TableFacts
from ingestion.mappings.loading import FileKind
from ingestion.readers import reading
from ingestion.readers.source import Sheet
from ingestion.reasons import Quarantine, Rejection
from ingestion.shown import is_personal
from ingestion.sql import literal
from ingestion.tables import TABLES

# A file with more broken records than this is read with the wrong dialect or cut in the middle;
# what is left of it would look like a fall in sales. Small files are judged by hand.
MAX_QUARANTINED_SHARE, MIN_RECORDS_FOR_SHARE = 0.2, 20
MAX_MOJIBAKE_SHARE = 0.01
# What is kept of a typed table.
KEPT = "len(reasons) = 0 and record_number not in (select record_number from quarantined)"


@dataclass(frozen=True)
class Job:
    """What to read, by which mapping, and into which folder; all that the process is told."""

    archived: Path
    sheet: str | None
    file_kind: FileKind
    known_at: datetime
    key: bytes
    identity: str
    sha256: str
    folder: Path
    scratch: Path


def write_load(job: Job) -> LoadManifest:
    """Write the load's tables, rejects and manifest into its folder; return the manifest.

    Raises FileRejected for a file that cannot be trusted as a whole.
    """
    with casting_database(job.scratch, job.identity) as connection:
        return _write(job, connection)


def _write(job: Job, connection: duckdb.DuckDBPyConnection) -> LoadManifest:
    mapping = job.file_kind.mapping
    file_format = reading.format_of(job.archived)
    sheet = reading.read(
        job.archived, file_format, mapping.dialect, job.sheet, connection, job.scratch
    )
    if not sheet.n_records:
        raise FileRejected(Rejection.NO_RECORDS, "has headers but no records")
    # Records have their numbers now; keeping them in order would hold more than fits in memory.
    connection.execute("set preserve_insertion_order = false")
    context = Context(job.file_kind, sheet, job.known_at, job.key, connection, job.sha256)
    typed = [cast_table(context, name, m) for name, m in mapping.tables.items()]
    rules, left_out, quarantined = _quarantine(connection, sheet, typed)
    broken = dict(Counter(rules) + Counter(left_out))
    _check_share(sheet, broken, _count(connection, "rejects"), quarantined)
    job.folder.mkdir(parents=True, mode=0o700)
    for table in typed:
        _copy(
            connection,
            f"""
            select {", ".join(c.name for c in TABLES[table.name].columns)},
                {literal(job.identity)} as load_id, record_number, known_at,
                {str(mapping.complete).lower()} as is_complete,
                {literal(f" {' '.join(table.stated)} ")} as stated_columns
            from typed.{table.name}
            where {KEPT}
            """,
            job.folder / f"{table.name}.parquet",
        )
    rejects = (
        f"select distinct record_number, table_name, rule, {literal(job.identity)} as load_id "
        "from rejects order by all"
    )
    _copy(connection, rejects, job.folder / "rejects.parquet")
    manifest = LoadManifest(
        load_id=job.identity,
        sha256=job.sha256,
        sheet=job.sheet,
        file_kind=job.file_kind.label,
        mapping_hash=job.file_kind.hash,
        known_at=f"{job.known_at:%Y-%m-%d %H:%M:%S}",
        records=sheet.n_records,
        accepted=sheet.n_records - quarantined,
        quarantined=quarantined,
        rules=rules,
        left_out=left_out,
        first_rejects=connection.execute(
            "select distinct record_number, rule from rejects order by all limit 5"
        ).fetchall(),
        notes=_notes(sheet, job.file_kind, typed) | _unmapped_types(connection, typed),
        tables={table.name: _table_facts(connection, table) for table in typed},
        unmapped_headers=_unmapped(job.file_kind, sheet),
        money=_money(connection, typed),
        files={path.name: file_hash(path) for path in sorted(job.folder.iterdir())},
    )
    manifest.write(job.folder / FILE_NAME)
    for path in job.folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    fsync_folder(job.folder)
    return manifest


def _notes(sheet: Sheet, file_kind: FileKind, typed: list[TypedTable]) -> dict[str, int]:
    """What was read but is worth knowing, with how often."""
    notes = {note: n for note, n in sheet.notes.items() if n}
    for table in typed:
        if table.repeated:
            notes[f"records that repeat one of {table.name}"] = table.repeated
        for column, n in table.unified.items():
            notes[f"{column} brought to one form"] = (
                notes.get(f"{column} brought to one form", 0) + n
            )
    cells = (c for table in file_kind.mapping.tables.values() for c in table.columns.values())
    if any(cell.row_number for cell in cells):
        notes["ids are places in this one file, and change with the next"] = sheet.n_records
    return notes


def _unmapped_types(
    connection: duckdb.DuckDBPyConnection, typed: list[TypedTable]
) -> dict[str, int]:
    """The types of activities that the mapping does not name, the most common ones."""
    if not any(table.name == "activities" for table in typed):
        return {}
    rows = connection.execute(
        "select source_type, count(*) from typed.activities where type = 'other' "
        "and source_type is not null group by source_type order by 2 desc, 1 limit 20"
    ).fetchall()
    return {f"type {source_type}, which no mapping names": n for source_type, n in rows}


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"copy ({query}) to {literal(str(path))} (format parquet)")


def _quarantine(
    connection: duckdb.DuckDBPyConnection, sheet: Sheet, typed: list[TypedTable]
) -> tuple[dict[str, int], dict[str, int], int]:
    """Tables `rejects` (record_number, table_name, rule, …) and `quarantined` (record_number).

    Of a record that has a row for each of several cells, a broken cell costs its row alone, unless
    nothing is left. Returns per rule the records quarantined and those with a cell left out, and
    how many are quarantined.
    """
    connection.execute(
        "create or replace table rejects "
        "(record_number bigint, table_name varchar, rule varchar, is_record_broken boolean)"
    )
    if sheet.defects:
        connection.executemany("insert into rejects values (?, 'file', ?, true)", sheet.defects)
    for table in typed:
        connection.execute(
            f"insert into rejects select distinct record_number, {literal(table.name)}, "
            f"unnest(reasons), is_record_broken from typed.{table.name}"
        )
    left = " union all ".join(
        f"select record_number from typed.{table.name} where len(reasons) = 0" for table in typed
    )
    connection.execute(
        "create or replace table quarantined as select distinct record_number from rejects "
        f"where is_record_broken or record_number not in ({left})"
    )
    counted = connection.execute(
        "select rule, record_number in (select record_number from quarantined) as is_out, "
        "count(distinct record_number) from rejects group by all order by rule"
    ).fetchall()
    rules, left_out = (
        {rule: n for rule, is_out, n in counted if is_out is wanted} for wanted in (True, False)
    )
    return rules, left_out, _count(connection, "quarantined")


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(distinct record_number) from {table}").fetchone()
    return int(row[0]) if row else 0


def _check_share(sheet: Sheet, rules: dict[str, int], n_broken: int, quarantined: int) -> None:
    mojibake = sum(n for rule, n in rules.items() if rule.endswith(f": {Quarantine.MOJIBAKE}"))
    if mojibake > max(1, MAX_MOJIBAKE_SHARE * sheet.n_records):
        raise FileRejected(
            Rejection.MOJIBAKE, "has letters broken by an earlier conversion (Ã¶ for ö)"
        )
    for rule, n in rules.items():
        if rule.endswith(Quarantine.ORDER_NOT_DECLARED):
            raise FileRejected(
                Rejection.ORDER_NOT_DECLARED,
                f"has dates like 03/04/2026 in {rule.partition(':')[0]!r} ({n} records) and no "
                "word on which comes first",
            )
    too_many = sheet.n_records >= MIN_RECORDS_FOR_SHARE and (
        n_broken > MAX_QUARANTINED_SHARE * sheet.n_records
    )
    if too_many or quarantined == sheet.n_records:
        rule, n = max(rules.items(), key=lambda item: item[1])
        raise FileRejected(
            Rejection.TOO_MANY_BAD_RECORDS,
            f"{n_broken} of {sheet.n_records} records cannot be read, most for {rule} ({n})",
        )


def _table_facts(connection: duckdb.DuckDBPyConnection, table: TypedTable) -> TableFacts:
    rows = connection.execute(f"select count(*) from typed.{table.name} where {KEPT}").fetchall()
    return TableFacts(
        absent=table.absent,
        mapped=table.mapped,
        ambiguous_times=table.ambiguous_times,
        rows=rows[0][0],
    )


def _unmapped(file_kind: FileKind, sheet: Sheet) -> list[str]:
    used: set[str] = set()
    for table in file_kind.mapping.tables.values():
        for cell in table.columns.values():
            used |= set(cell.all_headers) | set(cell.choose.by if cell.choose else ())
        for pattern in table.unpivot:
            used |= {h for h in sheet.headers if re.fullmatch(pattern, h, re.IGNORECASE)}
    folded = {header.casefold() for header in used}
    numbered = enumerate(sheet.headers, start=1)
    return [
        f"column {n}" if is_personal(h) else h
        for n, h in numbered
        if h and h.casefold() not in folded
    ]


def _money(connection: duckdb.DuckDBPyConnection, typed: list[TypedTable]) -> dict[str, Money]:
    """Per table with money: what came in, what was accepted and quarantined, by currency.

    Amounts that are no numbers are in none of them; their records are counted as quarantined.
    """
    found = {}
    for table in typed:
        if {"amount", "currency"} <= set(TABLES[table.name].by_name):
            is_out = f"not ({KEPT})"
            rows = connection.execute(
                f"select coalesce(currency, 'unknown'), sum(amount), "
                f"coalesce(sum(amount) filter (not {is_out}), 0), "
                f"coalesce(sum(amount) filter ({is_out}), 0) "
                f"from typed.{table.name} where amount is not null group by all order by all"
            ).fetchall()
            came_in, accepted, quarantined = (
                {row[0]: str(row[i]) for row in rows} for i in (1, 2, 3)
            )
            found[table.name] = Money(came_in=came_in, accepted=accepted, quarantined=quarantined)
    return found
