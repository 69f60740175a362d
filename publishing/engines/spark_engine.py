"""Spark, for those who outgrow one machine: the same models on a session of this process.

Belongs here: registering inputs, dbt's profile, handing built tables over.
Does not belong here: what other engines do. Needs requirements-spark.txt.
"""

import os
from datetime import datetime
from pathlib import Path

from pyspark.sql import SparkSession

from analysis.horizons import HORIZONS
from ingestion.home import Home
from ingestion.tables import RUN_COLUMNS, SIGHTING_COLUMNS, TABLES
from publishing.inputs import BuildInputs

SESSION = {
    # What the results depend on: a timestamp has no zone, as in DuckDB.
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.session.timeZone": "UTC",
    # What the time depends on: few rows, two cores, one short life.
    "spark.sql.shuffle.partitions": "1",
    "spark.driver.extraJavaOptions": (
        "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
    ),
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.memory": "3g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    # A catalog that leaves nothing behind.
    "spark.sql.catalogImplementation": "in-memory",
}


class SparkEngine:
    """A local Spark session whose tables lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
        builder = SparkSession.builder.master("local[2]").config(map=SESSION)
        self.session = builder.config("spark.sql.warehouse.dir", str(folder)).getOrCreate()
        self.session.sparkContext.setLogLevel("ERROR")

    def register(self, inputs: BuildInputs, home: Home) -> None:
        """Create schema `raw`: a view over the landed files of each table, and small tables."""
        run = ", ".join(
            f"cast('{inputs.run[c.name]}' as {_type(c.sql_type)}) as {c.name}" for c in RUN_COLUMNS
        )
        horizons = ", ".join(f"(bigint({days}))" for days in HORIZONS)
        self.session.sql("create schema raw")
        for table in TABLES:
            query = _landed(table, inputs.paths(table, home))
            self.session.sql(f"create view raw.{table} as {query}")
        self.session.sql(f"create view raw.run as select {run}")
        self.session.sql(
            f"create view raw.horizons as select * from values {horizons} as of(horizon_days)"
        )

        schema = ", ".join(f"{c.name} {_type(c.sql_type)}" for c in SIGHTING_COLUMNS)
        rows = [
            (load_id, datetime.fromisoformat(known_at) if known_at else None, *others)
            for load_id, known_at, *others in inputs.sightings
        ]
        self.session.createDataFrame(rows, schema).write.saveAsTable("raw.sightings")

    def profile(self) -> str:
        """The text of dbt's profiles.yml."""
        return (
            "mellantid:\n  target: spark\n  outputs:\n"
            "    spark: {type: spark, method: session, host: local, schema: built, threads: 2}\n"
        )

    def hand_over(self, tables: list[str], folder: Path) -> None:
        """Write built tables as folders of Parquet files, <table>.parquet each."""
        for table in tables:
            self.session.table(f"built.{table}").write.parquet(str(folder / f"{table}.parquet"))

    def stop(self) -> None:
        """End the session."""
        self.session.stop()


def _landed(table: str, files: list[Path]) -> str:
    if files:
        return " union all ".join(f"select * from parquet.`{path}`" for path in files)
    columns = (f"cast(null as {_type(kind)}) as {c}" for c, kind in TABLES[table].schema.items())
    return f"select {', '.join(columns)} where false"


def _type(sql_type: str) -> str:
    return sql_type.replace("VARCHAR", "STRING")
