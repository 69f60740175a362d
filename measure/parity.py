"""Builds every model on Spark and compares each mart with DuckDB's, row by row.

usage: python -m measure.parity <home> <as_of> <scratch folder>, from the checkout, after a build

Belongs here: what the two engines must agree on. Run with requirements-spark.txt (`make parity`).
"""

import math
import sys
from datetime import date
from pathlib import Path
from typing import Any

from ingestion.home import Home
from publishing.dbt_process import invoke
from publishing.engines.spark_engine import SparkEngine
from publishing.marts import names_of, opened
from publishing.warehouse import Warehouse


def build(engine: SparkEngine, warehouse: Warehouse, scratch: Path) -> list[str]:
    """Every model, data test and unit test over the inputs of a DuckDB build; what failed."""
    engine.register(warehouse.inputs(), warehouse.home)
    (scratch / "profiles.yml").write_text(engine.profile())
    results = invoke(
        ["build", "--exclude-resource-type", "exposure", "--profiles-dir", str(scratch)],
        scratch / "dbt",
    )
    print(f"{len(results)} models and tests built on Spark")
    return [
        f"{r.node.name}: {r.status} {r.message}"
        for r in results
        if r.status not in ("success", "pass")
    ]


def differences(ours: Path, theirs: Path) -> list[str]:
    """Names, types and rows as multisets; doubles may differ by 1e-9, nothing else by anything."""
    found = []
    with opened(theirs) as connection:
        for name in names_of(connection):
            pair = [f"'{ours / name}.parquet/*.parquet'", name]
            types = [
                [c[:2] for c in connection.execute(f"describe from {table}").fetchall()]
                for table in pair
            ]
            if types[0] != types[1]:
                found.append(f"{name}: {set(types[0]) ^ set(types[1])}")
                continue
            exact = ", ".join(f"{c}::varchar" for c, kind in types[1] if kind != "DOUBLE")
            near = ", ".join(c for c, kind in types[1] if kind == "DOUBLE")
            a, b = (
                connection.execute(
                    f"select [{exact}], [{near}]::double[] from {table} order by all"
                ).fetchall()
                for table in pair
            )
            wrong = sum(not is_same(x, y) for x, y in zip(a, b, strict=False))
            if wrong or len(a) != len(b):
                found.append(f"{name}: {len(a)} and {len(b)} rows, {wrong} differ")
            print(f"{name}: {len(b)} rows compared")
    return found


def is_same(a: tuple[Any, Any], b: tuple[Any, Any]) -> bool:
    """Equal, doubles to within 1e-9."""
    return a[0] == b[0] and all(
        x is y if x is None or y is None else math.isclose(x, y, rel_tol=0, abs_tol=1e-9)
        for x, y in zip(a[1], b[1], strict=True)
    )


def main(home: Home, as_of: date, scratch: Path) -> int:
    scratch.mkdir(parents=True)
    warehouse = Warehouse(home, as_of)
    engine = SparkEngine(scratch / "tables")
    problems = build(engine, warehouse, scratch)
    if not problems:
        marts = scratch / "marts"
        with opened(warehouse.marts) as connection:
            engine.hand_over(names_of(connection), marts)
        problems = differences(marts, warehouse.marts)
    engine.stop()
    print("\n".join(problems) or "no difference")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(
        main(Home.at(sys.argv[1]), date.fromisoformat(sys.argv[2]), Path(sys.argv[3]).absolute())
    )
