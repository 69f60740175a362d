"""Estimates of the day: marts in, analysis, estimates out as Parquet beside them.

Belongs here: handing tables over to analysis and back, in the declared columns and types; what
must be true of every estimate.
Does not belong here: statistics (analysis), descriptions (dbt/models/_estimates.yml).
"""

import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial
from itertools import groupby, pairwise
from multiprocessing import get_context
from multiprocessing.forkserver import ensure_running
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.conversion import with_drift
from analysis.estimates import ESTIMATES, Marts, Memory
from ingestion.home import Home
from ingestion.sql import identifier, literal
from publishing.catalogue import PublishedTable, estimate_tables
from publishing.check_ins import kept_check_ins, rules_of
from publishing.forecasts import kept_forecasts
from publishing.frames import read_mart
from publishing.gate.checks import FAILED, NOT_APPLICABLE, PASSED, CheckResult
from publishing.looks import looks_before
from publishing.marts import PARQUET, opened
from publishing.warehouse import Warehouse

CHECK = "every_estimate_is_coherent"

# Draws are the same in every run: a bound must not move because it was computed again.
SEED = 1


def inputs_of(table: str) -> list[str]:
    """The marts that an estimate table is made from."""
    return [mart for estimate in ESTIMATES if table in estimate.tables for mart in estimate.inputs]


# Half of the time is theirs: they are made in a process of their own meanwhile, of other marts.
APART = "forecasts"
PROCESSES = get_context("forkserver")


def get_ready() -> None:
    """Start the process that others come from, beside what else is done: it imports for 1.2 s."""
    PROCESSES.set_forkserver_preload([__name__])
    ensure_running()


def estimate(warehouse: Warehouse, meanwhile: Callable[[], None]) -> CheckResult:
    """Write every estimate table of the day beside the marts; say whether they are coherent.
    `meanwhile` is called where this process would only wait for the other.
    """
    # Ctrl-C reaches it too: it ends without a word.
    silently = (signal.SIGINT, signal.SIG_DFL)
    with ProcessPoolExecutor(1, PROCESSES, signal.signal, silently) as other:
        # It only returns frames: left over from a killed run, it must not write into the next.
        apart = other.submit(_made, warehouse.home, warehouse.as_of, warehouse.marts, True)
        frames = _made(warehouse.home, warehouse.as_of, warehouse.marts, False)
        meanwhile()
        frames |= apart.result()
    frames["conversion_estimates"] = with_drift(
        frames["conversion_estimates"], frames["conversion_drift"]
    )
    faults = []
    with duckdb.connect() as connection:
        for table in estimate_tables():
            frame = frames[table.name]
            faults += [f"{table.name}: {fault}" for fault in incoherent(frame, table)]
            _write(connection, warehouse.marts, frame, table)
    if not any(len(frame) for frame in frames.values()):
        return CheckResult(CHECK, "analysis", NOT_APPLICABLE, "nothing has entered a stage")
    return CheckResult(CHECK, "analysis", FAILED if faults else PASSED, "; ".join(faults))


def _made(home: Home, as_of: date, folder: Path, is_apart: bool) -> dict[str, pd.DataFrame]:
    """The estimates that are made apart, or the others, by the names of their tables."""
    company = home.company()
    memory = Memory(
        looks_before(home, as_of), kept_forecasts(home, as_of), kept_check_ins(home, as_of)
    )
    mine = [estimate for estimate in ESTIMATES if (APART in estimate.tables) == is_apart]
    frames: dict[str, pd.DataFrame] = {}
    with opened(folder) as connection:
        read = partial(read_mart, connection)
        # What some were made from is gone before others are: of 10 M stage events, 3 GB of entries.
        for _, alike in groupby(mine, lambda estimate: estimate.inputs[0]):
            marts = Marts(read, as_of, company.country, SEED, rules_of(company), memory)
            for estimate in alike:
                found = estimate.compute(marts, np.random.default_rng(SEED))
                frames |= zip(estimate.tables, found, strict=True)
    return frames


def incoherent(frame: pd.DataFrame, table: PublishedTable) -> list[str]:
    """What cannot be true of any estimate: rows of one grain, rates outside their bounds."""
    faults = []
    if n := int(frame.duplicated(table.grain).sum()):
        faults.append(f"{n} rows are not the only ones of their {', '.join(table.grain)}")
    orders = [("low_rate", "estimated_rate", "high_rate"),
              ("low_simultaneous_rate", "low_rate"), ("high_rate", "high_simultaneous_rate"),
              ("n_events", "n_entered"),
              ("lowest_rate", "highest_rate"), ("low_pooled_rate", "high_pooled_rate"),
              ("n_mature", "n_entered"), ("first_rank", "last_rank", "n_ranked"),
              ("low_p80_days_in_stage", "p80_days_in_stage", "high_p80_days_in_stage"),
              ("low_rate_difference", "rate_difference", "high_rate_difference")]  # fmt: skip
    for order in orders:
        if set(order) <= set(frame):
            wrong = sum(int((frame[a] > frame[b] + 1e-9).sum()) for a, b in pairwise(order))
            if wrong:
                faults.append(f"{wrong} rows in which not {' <= '.join(order)}")
    for column in frame.columns[frame.columns.str.endswith("_rate")]:
        if wrong := int((~frame[column].dropna().between(-1e-9, 1 + 1e-9)).sum()):
            faults.append(f"{wrong} rows in which {column} is not between 0 and 1")
    return faults


def _write(
    connection: duckdb.DuckDBPyConnection, folder: Path, frame: pd.DataFrame, table: PublishedTable
) -> None:
    """As declared: these columns in this order and of these types."""
    if surplus := set(frame) ^ set(table.types):
        raise RuntimeError(f"{table.name}: {', '.join(sorted(map(str, surplus)))} not as declared")
    columns = ", ".join(
        f"cast({identifier(name)} as {kind}) as {identifier(name)}"
        for name, kind in table.types.items()
    )
    # By way of Arrow, which takes nan for null.
    connection.register("estimates", pa.Table.from_pandas(frame, preserve_index=False))
    connection.execute(
        f"copy (select {columns} from estimates order by {', '.join(table.grain)}) "
        f"to {literal(str(folder / f'{table.name}.parquet'))} ({PARQUET})"
    )
