"""How long the estimates take, beside lifelines.

Belongs here: an invented company of any size, seconds of each estimate table.
Does not belong here: whether the estimates are right (`trials`).
"""

import time

import numpy as np
import pandas as pd

from analysis import conversion, sellers, visits
from analysis.entries import Entries
from measure.trials import AS_OF, DAY, NEVER, NO_OPEN_DEALS, entries_frame, outcomes


def company(n: int, seed: int = 1) -> pd.DataFrame:
    """`n` entries into ten stages, by 40 sellers, 5 segments, 3 areas, 10 sources."""
    random = np.random.default_rng(seed)
    won, lost = outcomes(random, n, 0.25)
    following = np.minimum(won, np.where(random.random(n) < 0.5, 0.5 * lost, NEVER))
    entered = AS_OF - (700 * DAY * random.random(n)).astype("timedelta64[s]")
    sizes = {"stage_id": 10, "seller_id": 40, "segment": 5, "business_area": 3, "source": 10}
    columns = {name: _text(random, size, n) for name, size in sizes.items()}
    columns["role"] = (columns["stage_id"].str[-1].astype(int) // 4).astype(str)
    columns["account_id"] = _text(random, n // 2, n)
    columns["journey_id"] = pd.Series(np.arange(n)).astype(str)
    reached = {"won": won, "lost": lost, "next_any": following, "next_role": won, "left": following}
    return entries_frame(entered, np.zeros(n), reached, **columns)


def _text(random: np.random.Generator, size: int, n: int) -> "pd.Series[str]":
    return pd.Series(random.integers(0, size, n)).astype(str)


def estimated(table: pd.DataFrame) -> dict[str, float]:
    """Seconds of each estimate table."""
    begin = time.perf_counter()
    entries = Entries(table)
    found = {}
    for name, made in (
        ("conversion_estimates, conversion_curves", lambda: conversion.conversion_tables(entries)),
        ("time_in_stage", lambda: visits.time_in_stage(entries, NO_OPEN_DEALS)),
        ("seller_conversion", lambda: sellers.seller_conversion(entries, np.random.default_rng(1))),
        ("seller_mix", lambda: sellers.seller_mix(entries)),
    ):
        made()
        found[name] = time.perf_counter() - begin
        begin = time.perf_counter()
    return found


def with_lifelines(table: pd.DataFrame, has_variance: bool) -> float:
    """Seconds of lifelines for the rates of conversion_estimates: each cut, group and event."""
    from lifelines import AalenJohansenFitter

    entries = Entries(table)
    begin = time.perf_counter()
    for _, of_dimension, groups, competing in conversion._dimensions(entries):
        for names, wanted in competing:
            subjects, _ = of_dimension.timelines["recorded"].competing_events(names, groups)
            order = np.argsort(subjects.group, kind="stable")
            for rows in np.split(order, np.cumsum(np.bincount(subjects.group))[:-1]):
                for event in range(1, len(wanted) + 1):
                    fitter = AalenJohansenFitter(seed=1, calculate_variance=has_variance)
                    fitter.fit(subjects.leaving[rows], subjects.event[rows], event)
    return time.perf_counter() - begin
