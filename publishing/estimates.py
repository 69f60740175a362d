"""Estimates of the day: marts in, analysis, estimates out as Parquet beside them.

Belongs here: handing tables over to analysis and back, in the declared columns and types; what
must be true of every estimate.
Does not belong here: statistics (analysis), descriptions (dbt/models/_estimates.yml).
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.estimates import ESTIMATES, Marts, Memory
from ingestion.sql import identifier, literal
from publishing.catalogue import PublishedTable, estimate_tables
from publishing.check_ins import kept_check_ins, rules_of
from publishing.forecasts import kept_forecasts
from publishing.frames import read_mart
from publishing.gate.checks import FAILED, NOT_APPLICABLE, PASSED, CheckResult
from publishing.looks import looks_before
from publishing.marts import PARQUET
from publishing.warehouse import Warehouse

CHECK = "every_estimate_is_coherent"

# Draws are the same in every run: a bound must not move because it was computed again.
SEED = 1


def inputs_of(table: str) -> list[str]:
    """The marts that an estimate table is made from."""
    return [mart for estimate in ESTIMATES if table in estimate.tables for mart in estimate.inputs]


def estimate(warehouse: Warehouse) -> CheckResult:
    """Write every estimate table of the day beside the marts; say whether they are coherent."""
    home, as_of, company = warehouse.home, warehouse.as_of, warehouse.home.company()
    memory = Memory(
        looks_before(home, as_of), kept_forecasts(home, as_of), kept_check_ins(home, as_of)
    )
    read = partial(read_mart, warehouse.marts)
    marts = Marts(read, as_of, company.country, SEED, rules_of(company), memory)
    # Read once, before threads ask for them.
    _ = marts.entries.timelines, marts.entries.of_stages.timelines, marts.open_deals
    _ = marts.attempts, marts.invitations, marts.outlook
    # Threads: most of the time is spent in numpy, which lets go of the interpreter's lock.
    with ThreadPoolExecutor(2) as threads:
        computed = threads.map(
            lambda estimate: estimate.compute(marts, np.random.default_rng(SEED)), ESTIMATES
        )
        frames = {
            name: frame
            for estimate, tables in zip(ESTIMATES, computed, strict=True)
            for name, frame in zip(estimate.tables, tables, strict=True)
        }
    faults = []
    for table in estimate_tables():
        frame = frames[table.name]
        faults += [f"{table.name}: {fault}" for fault in incoherent(frame, table)]
        _write(warehouse, frame, table)
    if not any(len(frame) for frame in frames.values()):
        return CheckResult(CHECK, "analysis", NOT_APPLICABLE, "nothing has entered a stage")
    return CheckResult(CHECK, "analysis", FAILED if faults else PASSED, "; ".join(faults))


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


def _write(warehouse: Warehouse, frame: pd.DataFrame, table: PublishedTable) -> None:
    """As declared: these columns in this order and of these types."""
    if surplus := set(frame) ^ set(table.types):
        raise RuntimeError(f"{table.name}: {', '.join(sorted(map(str, surplus)))} not as declared")
    columns = ", ".join(
        f"cast({identifier(name)} as {kind}) as {identifier(name)}"
        for name, kind in table.types.items()
    )
    with duckdb.connect() as connection:
        # By way of Arrow, which takes nan for null.
        connection.register("estimates", pa.Table.from_pandas(frame, preserve_index=False))
        connection.execute(
            f"copy (select {columns} from estimates order by {', '.join(table.grain)}) "
            f"to {literal(str(warehouse.marts / f'{table.name}.parquet'))} ({PARQUET})"
        )
