"""DuckDB, the embedded default: one database file for each build.

Belongs here: registering inputs, dbt's profile, handing built tables over.
Does not belong here: what other engines do.
"""

import json
import os
import re
from pathlib import Path

import duckdb

from analysis.horizons import HORIZONS
from ingestion.home import Home
from ingestion.sql import identifier, literal
from ingestion.tables import RUN_COLUMNS, SIGHTING_COLUMNS, TABLES
from publishing.inputs import BuildInputs
from publishing.marts import MEMORY, PARQUET, VIEWS

# After a crash all is begun anew: there is no need to wait for the disk (100 small tables are made
# in 0.08 s instead of 0.34).
SCRATCH: dict[str, bool | int | str] = {"fsync_mode": "NONE", **MEMORY}
# Statements are run two at once, and each has its own thread beside DuckDB's. Of small tables one
# less than there are cores is right: with one more on 2 cores the models of 3,000 deals took 2.5 s
# instead of 2.0. Of a table beyond a row group all have something to do: a year of daily lists took
# 14.7 s with one less, 8.8 with all.
N_AT_ONCE = 2
CORES = os.cpu_count() or 1
ROW_GROUP = 122_880
BUILDING = SCRATCH | {
    "threads": max(1, CORES - 1),
    "preserve_insertion_order": False,
    # It takes the optimizer 0.2 s of 37 grouping sets, and their execution half as long again.
    "disabled_optimizers": "grouping_sets",
}


class DuckDBEngine:
    """The database of one build at `database`; nobody else opens it."""

    def __init__(self, database: Path) -> None:
        self.database = database

    def register(self, inputs: BuildInputs, home: Home) -> None:
        """Create schema `raw`: a view over the landed files of each table, and small tables."""
        run = ", ".join(
            f"cast({literal(str(inputs.run[c.name]))} as {c.sql_type}) as {c.name}"
            for c in RUN_COLUMNS
        )
        horizons = ", ".join(f"({days})" for days in HORIZONS)
        with duckdb.connect(str(self.database), config=dict(BUILDING)) as connection:
            connection.execute("create schema raw")
            for table in TABLES:
                query = _landed(table, inputs.paths(table, home))
                connection.execute(f"create view raw.{table} as {query}")
            connection.execute(f"create table raw.run as select {run}")
            connection.execute("create table raw.horizons (horizon_days bigint)")
            connection.execute(f"insert into raw.horizons values {horizons}")
            columns = ", ".join(f"{c.name} {c.sql_type}" for c in SIGHTING_COLUMNS)
            connection.execute(f"create table raw.sightings ({columns})")
            if inputs.sightings:
                connection.executemany(
                    "insert into raw.sightings values (?, ?, ?, ?)", inputs.sightings
                )
            connection.execute("checkpoint")

    def connect(self) -> duckdb.DuckDBPyConnection:
        """For building models."""
        connection = duckdb.connect(str(self.database), config=dict(BUILDING))
        counts = " union all ".join(f"select count(*) as n from raw.{table}" for table in TABLES)
        (largest,) = connection.execute(f"select max(n) from ({counts})").fetchall()
        if largest[0] > ROW_GROUP:
            connection.execute(f"set threads = {CORES}")
        return connection

    def profile(self) -> str:
        """The text of dbt's profiles.yml."""
        return (
            "mellantid:\n  target: duckdb\n  outputs:\n    duckdb:\n      type: duckdb\n"
            f"      path: {json.dumps(str(self.database))}\n      threads: {N_AT_ONCE}\n"
            f"      settings: {json.dumps(BUILDING)}\n"
        )

    def hand_over(self, tables: list[str], views: list[str], folder: Path) -> None:
        """Write built tables as Parquet, <table>.parquet each, and statements that make the views.

        Rows of one record stand together: sorted by the first two columns, which begin the grain, a
        fact takes a third less. Views name tables and each other by their bare names.
        """
        with duckdb.connect(str(self.database), read_only=True, config=dict(SCRATCH)) as connection:
            for table in tables:
                path = literal(str(folder / f"{table}.parquet"))
                connection.execute(
                    f"copy (from {identifier(table)} order by 1, 2) to {path} ({PARQUET})"
                )
            rows = connection.execute("select view_name, sql from duckdb_views()").fetchall()
        queries = {name: self._bare(statement.partition(" AS ")[2]) for name, statement in rows}
        text = "".join(f"create view {name} as {queries[name]}\n" for name in views)
        (folder / VIEWS).write_text(text, encoding="utf-8")

    def _bare(self, query: str) -> str:
        """The query without the database and schema that DuckDB puts before tables."""
        return re.sub(rf"\b({re.escape(self.database.stem)}\.)?main\.", "", query)


def _landed(table: str, files: list[Path]) -> str:
    if files:
        paths = ", ".join(literal(str(path)) for path in files)
        return f"select * from read_parquet([{paths}], hive_partitioning = false)"
    columns = (f"cast(null as {kind}) as {c}" for c, kind in TABLES[table].schema.items())
    return f"select {', '.join(columns)} where false"
