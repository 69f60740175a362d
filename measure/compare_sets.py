"""Compares two published sets row by row: `python -m measure.compare_sets OLD NEW`.

Belongs here: what a change of the house must not change. Tables and columns that the schema of NEW
renamed are compared under their new names; columns and tables that only one has are listed.
Does not belong here: assertions of tests; exit code 1 says that something differs.
"""

import math
import sys
from pathlib import Path
from typing import Any

import duckdb

from analysis.intervals import DECIMALS
from ingestion.sql import identifier
from publishing.marts import names_of, opened
from publishing.schema import RENAMED_COLUMNS, RENAMED_TABLES

UNIT = 10**-DECIMALS


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Column name to DuckDB type of a table or view."""
    rows = connection.execute(f"describe from {identifier(table)}").fetchall()
    return {row[0]: row[1] for row in rows}


def rows_of(
    connection: duckdb.DuckDBPyConnection, table: str, exact: list[str], near: list[str]
) -> list[Any]:
    """The rows as ([exact values as text], [doubles]), in the order of the values themselves."""
    texts = ", ".join(f"{identifier(c)}::varchar" for c in exact)
    numbers = ", ".join(identifier(c) for c in near)
    return connection.execute(
        f"select [{texts}], [{numbers}]::double[] from {identifier(table)} order by all"
    ).fetchall()


def is_same(one: Any, other: Any) -> bool:
    """Equal, doubles to within a unit of the decimals that are stored."""
    return one[0] == other[0] and all(
        a is b if a is None or b is None else math.isclose(a, b, rel_tol=1e-9, abs_tol=UNIT)
        for a, b in zip(one[1], other[1], strict=True)
    )


def compare_table(
    old: duckdb.DuckDBPyConnection, new: duckdb.DuckDBPyConnection, name: str, table: str
) -> bool:
    """Print what differs between two sets in a table (`name` in OLD); whether nothing does."""
    renamed = RENAMED_COLUMNS.get(table, {})
    before, after = columns_of(old, name), columns_of(new, table)
    pairs = [(renamed.get(c, c), c) for c in after if renamed.get(c, c) in before]
    gone = before.keys() - {one for one, _ in pairs}
    added = after.keys() - {other for _, other in pairs}
    exact = [pair for pair in pairs if after[pair[1]] != "DOUBLE"]
    near = [pair for pair in pairs if after[pair[1]] == "DOUBLE"]
    ours, theirs = (
        rows_of(connection, what, [pair[i] for pair in exact], [pair[i] for pair in near])
        for i, (connection, what) in enumerate(((old, name), (new, table)))
    )
    n_wrong = sum(not is_same(a, b) for a, b in zip(ours, theirs, strict=False))
    is_alike = len(ours) == len(theirs) and not n_wrong and not gone
    verdict = "same" if is_alike else f"DIFFERS: {len(ours):,} rows before, {n_wrong:,} differ"
    notes = [f"added {', '.join(sorted(added))}"] if added else []
    notes += [f"gone {', '.join(sorted(gone))}"] if gone else []
    print(f"{table:<32}{len(theirs):>9,} rows  {'; '.join([verdict, *notes])}")
    return is_alike


def main(old: Path, new: Path) -> int:
    is_alike = True
    with opened(old) as before, opened(new) as after:
        old_tables = set(names_of(before))
        for table in names_of(after):
            name = table if table in old_tables else RENAMED_TABLES.get(table, table)
            if name not in old_tables:
                print(f"{table:<32}new")
                continue
            old_tables.discard(name)
            is_alike &= compare_table(before, after, name, table)
        for table in sorted(old_tables):
            print(f"{table:<32}GONE")
            is_alike = False
    return 0 if is_alike else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
