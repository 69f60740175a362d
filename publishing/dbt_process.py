"""dbt, run in this process.

Belongs here: where the project lies, calling dbt.
Does not belong here: what it says (`catalogue`), what it compiles (`statements`).
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DBT_PROJECT = Path(__file__).parents[1] / "dbt"
TARGET = DBT_PROJECT / "target"

os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Alone with what is made of the project once for all: homes share it. Not to be nested."""
    TARGET.mkdir(exist_ok=True)
    with (TARGET / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def invoke(arguments: list[str], target: Path, manifest: Any = None) -> Any:
    """Run dbt; returns its result. Its own log goes to the target folder.

    Raises what dbt itself could not handle.
    """
    from dbt.cli.main import dbtRunner

    places = ["--project-dir", str(DBT_PROJECT), "--target-path", str(target)]
    logs = ["--log-path", str(target), "--log-level", "none"]
    runner = dbtRunner(manifest=manifest)
    try:
        result = runner.invoke([*arguments, *places, *logs])
    finally:
        # dbt keeps the database open read-write, and nobody else could then open it.
        if duckdb_connections := sys.modules.get("dbt.adapters.duckdb.connections"):
            duckdb_connections.DuckDBConnectionManager.close_all_connections()
    if result.exception is not None:
        raise result.exception
    return result.result
