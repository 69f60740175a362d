"""Build every model on a local Spark session and compare each mart with DuckDB's, row by row.

usage: spark_parity.py <home> <as_of> <scratch folder>, from the checkout, after a DuckDB build

Belongs here: what the two engines must agree on. Run with requirements-spark.txt (`make parity`).
"""

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import duckdb
from dbt.cli.main import dbtRunner
from pyspark.sql import SparkSession

from ingestion.tables import TABLES

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
PROFILE = """\
mellantid:
  target: spark
  outputs:
    spark: {type: spark, method: session, host: local, schema: built, threads: 2}
"""


def session(scratch: Path) -> SparkSession:
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    builder = SparkSession.builder.master("local[2]").config(map=SESSION)
    spark = builder.config("spark.sql.warehouse.dir", str(scratch / "tables")).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def register(spark: SparkSession, home: Path, warehouse: Path) -> None:
    """`raw.*` as the DuckDB build had it: the same landed files, the same one row of `run`."""
    spark.sql("create schema raw")
    loads = json.loads((warehouse / "loads.json").read_text())
    for name, table in TABLES.items():
        files = [home / "landed" / load / f"{name}.parquet" for load in loads]
        landed = [f"select * from parquet.`{path}`" for path in files if path.exists()]
        columns = ", ".join(f"cast(null as {kind}) as {c}" for c, kind in table.schema.items())
        nothing = f"select {columns} where false".replace("VARCHAR", "STRING")
        spark.sql(f"create view raw.{name} as {' union all '.join(landed) or nothing}")
    with duckdb.connect(str(warehouse / "build.duckdb"), read_only=True) as connection:
        result = connection.execute("from raw.run")
        types = {
            name: str(kind).replace("VARCHAR", "STRING") for name, kind, *_ in result.description
        }
        (row,) = result.fetchall()
    columns = ", ".join(
        f"cast('{value}' as {kind}) as {name}"
        for (name, kind), value in zip(types.items(), row, strict=True)
    )
    spark.sql(f"create view raw.run as select {columns}")


def build(project: Path, scratch: Path) -> list[str]:
    """Every model, data test and unit test; what failed."""
    (scratch / "profiles.yml").write_text(PROFILE)
    places = ["--project-dir", str(project), "--profiles-dir", str(scratch)]
    places += ["--target-path", str(scratch / "dbt"), "--log-path", str(scratch / "dbt")]
    result: Any = dbtRunner().invoke(["build", *places, "--log-level", "none"])
    if result.exception:
        raise result.exception
    print(f"{len(result.result)} models and tests built on Spark")
    return [
        f"{r.node.name}: {r.status} {r.message}"
        for r in result.result
        if r.status not in ("success", "pass")
    ]


def differences(ours: Path, theirs: Path) -> list[str]:
    """Names, types and rows as multisets; doubles may differ by 1e-9, nothing else by anything."""
    found = []
    with duckdb.connect() as connection:
        for path in sorted(theirs.glob("*.parquet")):
            pair = [f"'{ours / path.stem}/*.parquet'", f"'{path}'"]
            types = [
                [c[:2] for c in connection.execute(f"describe from {table}").fetchall()]
                for table in pair
            ]
            if types[0] != types[1]:
                found.append(f"{path.stem}: {set(types[0]) ^ set(types[1])}")
                continue
            exact = ", ".join(f"{c}::varchar" for c, kind in types[1] if kind != "DOUBLE")
            near = ", ".join(c for c, kind in types[1] if kind == "DOUBLE")
            a, b = (
                connection.execute(
                    f"select [{exact}], [{near}]::double[] from {table} order by all"
                ).fetchall()
                for table in pair
            )
            wrong = sum(not _same(x, y) for x, y in zip(a, b, strict=False))
            if wrong or len(a) != len(b):
                found.append(f"{path.stem}: {len(a)} and {len(b)} rows, {wrong} differ")
            print(f"{path.stem}: {len(b)} rows compared")
    return found


def _same(a: tuple[Any, Any], b: tuple[Any, Any]) -> bool:
    return a[0] == b[0] and all(
        x is y if x is None or y is None else math.isclose(x, y, rel_tol=0, abs_tol=1e-9)
        for x, y in zip(a[1], b[1], strict=True)
    )


def main(home: Path, as_of: str, scratch: Path) -> int:
    warehouse = home / "warehouse" / as_of
    scratch.mkdir(parents=True)
    spark = session(scratch)
    register(spark, home, warehouse)
    problems = build(Path("dbt").absolute(), scratch)
    problems = problems or differences(scratch / "tables" / "built.db", warehouse / "marts")
    spark.stop()
    print("\n".join(problems) or "no difference")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), sys.argv[2], Path(sys.argv[3]).absolute()))
