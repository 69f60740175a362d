"""Asking the expectations of a build, against the last published set.

Belongs here: reading the frames, what a finding means, what a person has accepted.
Does not belong here: what is expected (`expectations`), asking Great Expectations itself.
"""

from datetime import date
from pathlib import Path

import duckdb
import pandas as pd

from ingestion.company import Company
from ingestion.sql import literal
from publishing.gate.checks import FAILED, NOT_APPLICABLE, PASSED, CheckResult
from publishing.gate.expectations import EXPECTATIONS
from publishing.gate.forms import Expectation, Frames
from publishing.gate.great_expectations import Validator
from publishing.schema import RENAMED_COLUMNS, RENAMED_TABLES, SCHEMA_VERSION
from publishing.set_manifest import read_manifest
from publishing.warehouse import Warehouse


def evaluate(
    warehouse: Warehouse, last_published: Path | None, company: Company
) -> list[CheckResult]:
    """Ask every expectation of the marts in `warehouse`, against the last published set."""
    frames = {
        table: Frames(
            _frame(warehouse.marts / f"{table}.parquet"),
            _published_frame(last_published, table),
        )
        for table in sorted({name for e in EXPECTATIONS for name in e.tables})
    }
    validator = Validator()
    return [
        asked(
            expectation,
            [frames[table] for table in expectation.tables],
            validator,
            accepted(company, warehouse.as_of),
        )
        for expectation in EXPECTATIONS
    ]


def accepted(company: Company, as_of: date) -> dict[str, str]:
    return {a.check: a.why for a in company.accepted_changes if a.as_of == as_of}


def asked(
    expectation: Expectation, tables: list[Frames], validator: Validator, allowed: dict[str, str]
) -> CheckResult:
    """Ask one expectation of its tables; `allowed` are the checks that a person lets pass."""
    name = expectation.name
    frames = expectation.frames(*tables)
    if reason := expectation.not_applicable(frames):
        return CheckResult(name, "expectation", NOT_APPLICABLE, reason)
    before = frames.before if frames.before is not None else frames.now.iloc[:0]
    if validator.holds(frames.now, expectation.build(before)):
        return CheckResult(name, "expectation", PASSED)
    is_empty = frames.now.empty and not before.empty
    finding = "no rows are left to look at" if is_empty else expectation.says(frames)
    if name in allowed:
        detail = f"{finding}; accepted in company.yml: {allowed[name]}"
        return CheckResult(name, "expectation", NOT_APPLICABLE, detail)
    detail = f"{expectation.tables[0]}: {finding}. {expectation.reason}"
    return CheckResult(name, "expectation", FAILED, detail)


def _published_frame(folder: Path | None, table: str) -> pd.DataFrame | None:
    """A table of the last published set, by its present names; None if it had no such table."""
    if folder is None:
        return None
    path = folder / f"{table}.parquet"
    if read_manifest(folder).schema_version < SCHEMA_VERSION:
        path = folder / f"{RENAMED_TABLES.get(table, table)}.parquet"
    if not path.exists():
        return None
    old_names = {old: new for new, old in RENAMED_COLUMNS.get(table, {}).items()}
    return _frame(path).rename(columns=old_names)


def _frame(path: Path) -> pd.DataFrame:
    """A published table as a frame; money as float, which distributions can bear."""
    with duckdb.connect() as connection:
        return connection.execute(f"select * from read_parquet({literal(str(path))})").df()
