"""Time in stage: how long deals that are won stay in each stage.

Belongs here: the table time_in_stage.
Does not belong here: conversion, visits one by one (fct_stage_visits).
"""

import numpy as np
import pandas as pd
from scipy.special import ndtri

from analysis.conversion import estimate_table
from analysis.entries import MAX_WIDTH, Codes, Entries, Groups
from analysis.horizons import HORIZONS
from analysis.incidence import event_masses, share_precision
from analysis.intervals import LEVEL, Floats, Integers

# Fewer visits have no 80th percentile but the longest of them.
MIN_VISITS = 5

# What is asked of pipeline_status.
OPEN_DEAL_COLUMNS = ("pipeline_id", "stage_id", "segment", "days_in_stage")


def time_in_stage(entries: Entries, open_deals: pd.DataFrame) -> pd.DataFrame:
    """Table time_in_stage: how long deals that are won stay in each stage, by segment and for all.

    `open_deals` has the OPEN_DEAL_COLUMNS of pipeline_status: how many are slower is counted.

    Won deals weigh by the share they stand for (`event_masses`), so that quick ones, which are won
    before the follow-up ends, do not stand for all. Bounds of the percentile are those of the
    percentage, read off the same distribution (Woodruff 1952, JASA 47, 635–646).
    """
    entries = entries.of_stages
    columns = {name: entries.codes[name] for name in ("pipeline_id", "stage_id")}
    by_segment = Groups(**columns, dimension_value=entries.codes["segment"])
    dimensions = (("all", Groups(**columns)), ("segment", by_segment))
    tables = [
        _with_open_deals(
            _time_in_stage(entries, groups, horizon).assign(dimension=name), open_deals
        )
        for name, groups in dimensions
        for horizon in HORIZONS
    ]
    return pd.concat(tables, ignore_index=True)


def _with_open_deals(table: pd.DataFrame, open_deals: pd.DataFrame) -> pd.DataFrame:
    """The table with its open deals counted, and those older in the stage than `p80_days_in_stage`.

    Without that percentile nobody can be told to be slow: null.
    """
    names = {"pipeline_id": "pipeline_id", "stage_id": "stage_id", "dimension_value": "segment"}
    keys = [name for name in names if name in table]
    deals = open_deals[[names[key] for key in keys]].set_axis(keys, axis="columns")
    both = pd.concat([table[keys], deals], ignore_index=True)
    groups = Groups(**{key: Codes.of(both[key]) for key in keys})
    row_of = np.full(groups.n, -1)
    row_of[groups.of_row[: len(table)]] = np.arange(len(table))
    row = row_of[groups.of_row[len(table) :]]
    is_here = row >= 0
    row, days = row[is_here], open_deals["days_in_stage"].to_numpy(float)[is_here]
    p80 = table["p80_days_in_stage"].to_numpy()
    n_slow = np.bincount(row[days > p80[row]], minlength=len(table))
    return table.assign(
        n_open_deals=np.bincount(row, minlength=len(table)),
        n_slow_deals=np.where(np.isnan(p80), np.nan, n_slow),
    )


def _time_in_stage(entries: Entries, groups: Groups, horizon: int) -> pd.DataFrame:
    timeline = entries.timelines["recorded"]
    subjects, rows = timeline.competing_events(("won", "lost"), groups)
    mass = event_masses(subjects, horizon, 1)
    days = entries.days_in_stage[rows]
    won = np.flatnonzero(mass)
    order = won[np.lexsort((days[won], subjects.group[won]))]
    group, mass = subjects.group[order], mass[order]
    visits = _Visits(group, days[order], mass, groups.n)
    p80 = visits.percentile(np.full(groups.n, 0.8))
    is_within = days <= p80[subjects.group]
    effective_n = share_precision(subjects, horizon, 1, is_within, 0.8)
    # Even about 80 %, unlike an interval for a share seen to be 80 %; up to the next visit.
    half = ndtri((1 + LEVEL) / 2) * np.sqrt(0.8 * 0.2 / effective_n)
    low, high = np.maximum(0.8 - half, 0), 0.8 + half + 1 / effective_n
    high[~(high < 1)] = np.nan
    n_events = np.bincount(group, minlength=groups.n)
    width = np.bincount(group, entries.interval_widths("left")[rows][order], groups.n)
    is_reportable = (n_events >= MIN_VISITS) & (width <= MAX_WIDTH * horizon * n_events)
    shown = {
        "median_days_in_stage": visits.percentile(np.full(groups.n, 0.5)),
        "p80_days_in_stage": p80,
        "low_p80_days_in_stage": visits.percentile(low),
        "high_p80_days_in_stage": visits.percentile(high),
    }
    n_mature = groups.count(timeline.is_mature(horizon))
    table = estimate_table(
        entries,
        groups,
        "won",
        horizon_days=horizon,
        n_entered=groups.count(),
        n_mature=n_mature,
        n_events=n_events,
        effective_n=np.nan_to_num(effective_n),
        maturity_rate=n_mature / groups.count(),
        **{name: np.where(is_reportable, values, np.nan) for name, values in shown.items()},
    )
    return table.assign(interval_id="woodruff_95", method_id="inverse_censoring_weights")


class _Visits:
    """Visits of won deals, sorted by group and days, with the mass that each stands for."""

    def __init__(self, group: Integers, days: Floats, mass: Floats, n_groups: int) -> None:
        n = np.bincount(group, minlength=n_groups)
        self.days = np.append(days, np.nan)
        self.first = np.cumsum(n) - n
        self.end = self.first + n
        self.before = np.append(0.0, np.cumsum(mass))

    def percentile(self, share: Floats) -> Floats:
        """Per group, the days by which `share` of its mass has left; nan if it has none."""
        begin, end = self.before[self.first], self.before[self.end]
        # A hair less, so that rounding does not go on to the next visit.
        target = begin + np.nan_to_num(share) * (end - begin) * (1 - 1e-9)
        place = np.clip(np.searchsorted(self.before, target) - 1, self.first, self.end - 1)
        is_known = (self.end > self.first) & ~np.isnan(share)
        return self.days[np.where(is_known, place, -1)]
