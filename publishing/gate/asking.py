"""Asking the expectations of a build, against the last published set.

Belongs here: opening both sets, what a finding means, what a person has accepted.
Does not belong here: what is expected (`expectations`), asking Great Expectations itself.
"""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import duckdb
import pandas as pd

from ingestion.company import Company
from ingestion.sql import identifier, literal
from publishing.gate.checks import FAILED, NOT_APPLICABLE, PASSED, CheckResult
from publishing.gate.expectations import EXPECTATIONS
from publishing.gate.forms import Expectation, Found, n_rows
from publishing.gate.great_expectations import Validator, expectation_types
from publishing.marts import attach, connect
from publishing.schema import RENAMED_COLUMNS, RENAMED_TABLES, SCHEMA_VERSION
from publishing.set_manifest import read_manifest
from publishing.warehouse import Warehouse


@dataclass(frozen=True)
class Sets:
    """A connection with the tables of a set in schema `now`, of the last one in `before`."""

    connection: duckdb.DuckDBPyConnection

    @classmethod
    def of(cls, marts: Path, last_published: Path | None) -> "Sets":
        """The marts of a build and, if there is one, the last published set."""
        connection = connect()
        attach(connection, marts, "now")
        connection.execute("create schema before")
        if last_published is not None:
            attach(connection, last_published, "before")
            if read_manifest(last_published).schema_version < SCHEMA_VERSION:
                _rename(connection, last_published)
        return cls(connection)

    def found(self, expectation: Expectation) -> Found:
        """What the expectation's query finds in both."""
        if expectation.is_of_both:
            now = self._rows(expectation.query, expectation.tables)
            nothing = pd.DataFrame({"finding": [""], "n_rows": [1]})
            return Found(
                nothing[:0] if now is None else now,
                None if now is None else nothing[: len(now)],
            )
        before = self._rows(expectation.query.format(set="before"), expectation.tables)
        now = self.connection.execute(expectation.query.format(set="now")).df()
        return Found(now, before)

    @cached_property
    def tables_before(self) -> set[str]:
        """Names of the tables and views of the last published set."""
        rows = self.connection.execute(
            "select table_name from information_schema.tables where table_schema = 'before'"
        ).fetchall()
        return {name for (name,) in rows}

    def _rows(self, query: str, tables: tuple[str, ...]) -> pd.DataFrame | None:
        """Of the last published set; None if it had no such tables or columns."""
        if not self.tables_before.issuperset(tables):
            return None
        try:
            return self.connection.execute(query).df()
        except duckdb.BinderException:  # of a schema some versions ago
            return None


def _rename(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Give the tables and columns that the present schema renamed their present names."""
    for table in sorted({*RENAMED_TABLES, *RENAMED_COLUMNS}):
        path = folder / f"{RENAMED_TABLES.get(table, table)}.parquet"
        names = RENAMED_COLUMNS.get(table, {}).items()
        renamed = ", ".join(f"{identifier(old)} as {identifier(new)}" for new, old in names)
        connection.execute(
            f"create or replace view before.{identifier(table)} as select * "
            f"{f'rename ({renamed})' if renamed else ''} from read_parquet({literal(str(path))})"
        )


def get_ready() -> None:
    """Import what takes 2 s to import."""
    expectation_types()


def evaluate(
    warehouse: Warehouse, last_published: Path | None, company: Company
) -> list[CheckResult]:
    """Ask every expectation of the marts in `warehouse`, against the last published set."""
    sets, validator = Sets.of(warehouse.marts, last_published), Validator()
    with sets.connection:
        allowed = accepted(company, warehouse.as_of)
        return [asked(expectation, sets, validator, allowed) for expectation in EXPECTATIONS]


def accepted(company: Company, as_of: date) -> dict[str, str]:
    return {a.check: a.why for a in company.accepted_changes if a.as_of == as_of}


def asked(
    expectation: Expectation, sets: Sets, validator: Validator, allowed: dict[str, str]
) -> CheckResult:
    """Ask one expectation of its tables; `allowed` are the checks that a person lets pass."""
    name, found = expectation.name, sets.found(expectation)
    if reason := expectation.not_applicable(found):
        return CheckResult(name, "expectation", NOT_APPLICABLE, reason)
    before = found.before if found.before is not None else found.now.iloc[:0]
    if validator.holds(found.now, expectation.build(before)):
        return CheckResult(name, "expectation", PASSED)
    is_empty = not n_rows(found.now) and n_rows(before)
    finding = "no rows are left to look at" if is_empty else expectation.says(found)
    if name in allowed:
        detail = f"{finding}; accepted in company.yml: {allowed[name]}"
        return CheckResult(name, "expectation", NOT_APPLICABLE, detail)
    detail = f"{expectation.tables[0]}: {finding}. {expectation.reason}"
    return CheckResult(name, "expectation", FAILED, detail)
