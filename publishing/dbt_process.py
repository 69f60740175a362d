"""dbt, run in this process.

Belongs here: where the project lies, calling dbt.
Does not belong here: what it says (`catalogue`), a build (`dbt_build`).
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

DBT_PROJECT = Path(__file__).parents[1] / "dbt"
TARGET = DBT_PROJECT / "target"

os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")


def invoke(
    arguments: list[str],
    target: Path,
    manifest: Any = None,
    progress: Callable[[Any], None] | None = None,
) -> Any:
    """Run dbt; returns its result. Its own log goes to the target folder.

    Raises what dbt itself could not handle.
    """
    from dbt.cli.main import dbtRunner

    places = ["--project-dir", str(DBT_PROJECT), "--target-path", str(target)]
    logs = ["--log-path", str(target), "--log-level", "none"]
    runner = dbtRunner(manifest=manifest, callbacks=[progress] if progress else [])
    try:
        result = runner.invoke([*arguments, *places, *logs])
    finally:
        # dbt keeps the database open read-write, and nobody else could then open it.
        if duckdb_connections := sys.modules.get("dbt.adapters.duckdb.connections"):
            duckdb_connections.DuckDBConnectionManager.close_all_connections()
    if result.exception is not None:
        raise result.exception
    return result.result
