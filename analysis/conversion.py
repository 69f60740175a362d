"""Conversion with censoring: what a stage's entries come to, by any dimension.

Belongs here: the tables conversion_estimates and conversion_curves.
Does not belong here: the estimators (incidence, pooling), sellers among each other (sellers).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.entries import (
    COMPETING_EVENTS,
    COMPETING_EVENTS_OF_LEADS,
    COMPETING_EVENTS_OF_PIPELINES,
    COMPETING_EVENTS_OF_ROLES,
    LAST_DAY,
    MAX_WIDTH,
    Entries,
    Groups,
    Timeline,
    mean_interval_width,
)
from analysis.horizons import HORIZONS
from analysis.incidence import Incidence, cumulative_incidence
from analysis.intervals import Floats, level_of_all, rounded, stacked

CURVE_DAYS = tuple(range(7, LAST_DAY, 7))


def conversion_tables(entries: Entries) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables conversion_estimates and conversion_curves, of every dimension and definition; of the
    first `is_drifting` is not known yet (`with_drift`).
    """
    rates, curves = [], []
    for asked in _dimensions(entries):
        for of_horizons, of_days in _of_dimension(*asked):
            rates += of_horizons
            curves.append(of_days)
    return rounded(stacked(rates).assign(is_drifting=None)), rounded(stacked(curves))


def with_drift(estimates: pd.DataFrame, drift: pd.DataFrame) -> pd.DataFrame:
    """Table conversion_estimates with what conversion_drift says of each row's stage, or of all
    where there is none; null where it says nothing.
    """
    told = drift.astype(object).where(drift.notna(), None)
    keys = zip(told["pipeline_id"], told["stage_id"], told["is_of_all"], strict=True)
    of_stage = {
        None if is_of_all else (pipeline, stage): is_drifting
        for (pipeline, stage, is_of_all), is_drifting in zip(keys, told["is_drifting"], strict=True)
    }
    stages = estimates[["pipeline_id", "stage_id"]].astype(object)
    stages = stages.where(stages.notna(), None)
    of_rows = zip(stages["pipeline_id"], stages["stage_id"], strict=True)
    told_of_rows = [of_stage.get((p, s) if s is not None else None) for p, s in of_rows]
    return estimates.assign(is_drifting=np.array(told_of_rows, dtype=object))


def _dimensions(entries: Entries) -> Iterator[tuple[str, Entries, Groups, Any]]:
    pipelines = entries.of_pipelines
    leads = pipelines.where(pipelines.codes["record_type"].are("lead"))
    for part, competing in (
        (entries.of_stages, COMPETING_EVENTS),
        (pipelines, COMPETING_EVENTS_OF_PIPELINES),
        (leads, COMPETING_EVENTS_OF_LEADS),
    ):
        columns = {name: part.codes[name] for name in ("pipeline_id", "stage_id")}
        yield "all", part, Groups(**columns), competing
        for name in ("segment", "business_area", "seller_id", "source"):
            groups = Groups(**columns, dimension_value=part.codes[name])
            yield name.removesuffix("_id"), part, groups, competing
    of_roles = entries.where(entries.is_first_in_role)
    role = of_roles.codes["role"]
    groups = Groups(pipeline_id=of_roles.codes["pipeline_id"], dimension_value=role)
    yield "role", of_roles, groups, COMPETING_EVENTS_OF_ROLES


def _of_dimension(
    dimension: str, entries: Entries, groups: Groups, competing: Any
) -> Iterator[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Of each definition the columns of its rates, by horizon, and of its curves."""
    n_mature = _n_mature(entries, groups)
    for names, wanted in competing:
        scenarios = {
            scenario: _incidences(timeline, names, len(wanted), groups)
            for scenario, timeline in entries.timelines.items()
        }
        for number, name in enumerate(wanted):
            estimates = [incidences[number] for incidences in scenarios.values()]
            width = mean_interval_width(entries, groups, names, number)
            told = _told(entries, groups, name) | {"dimension": dimension}
            rates = _at_horizons(groups, estimates, width, n_mature)
            curves = _at_days(groups, estimates[0], width, n_mature)
            yield [told | columns for columns in rates], _repeated(told) | curves


def _incidences(
    timeline: Timeline, names: tuple[str, str], n_wanted: int, groups: Groups
) -> list[Incidence]:
    subjects, _ = timeline.competing_events(names, groups)
    return cumulative_incidence(subjects, LAST_DAY, tuple(range(1, n_wanted + 1)))


def _n_mature(entries: Entries, groups: Groups) -> NDArray[np.int64]:
    """Per group and day, the entries followed from the beginning until then."""
    timeline = entries.timelines["recorded"]
    rows = np.flatnonzero(timeline.is_mature(0))
    last = np.minimum(timeline.followed[rows], LAST_DAY)
    keys = groups.of_row[rows] * (LAST_DAY + 1) + last
    n = np.bincount(keys, minlength=groups.n * (LAST_DAY + 1)).reshape(groups.n, LAST_DAY + 1)
    return np.asarray(np.cumsum(n[:, ::-1], axis=1)[:, ::-1])


def _repeated(columns: dict[str, Any]) -> dict[str, Any]:
    """Each group's values once for each of the CURVE_DAYS."""
    return {
        name: np.repeat(value, len(CURVE_DAYS)) if np.ndim(value) else value
        for name, value in columns.items()
    }


def _at_horizons(
    groups: Groups, scenarios: list[Incidence], width: Floats, n_mature: NDArray[np.int64]
) -> Iterator[dict[str, Any]]:
    family, n = groups.family, groups.count()
    for horizon in HORIZONS:
        is_reportable = width[:, horizon] <= MAX_WIDTH * horizon
        rates = np.stack([scenario.rate[:, horizon] for scenario in scenarios])
        is_known = is_reportable & ~np.isnan(rates[0])
        level = level_of_all(np.bincount(family, is_known)[family])
        # What is not known of the times widens the intervals.
        low, high = _widest(scenario.bounds(horizon) for scenario in scenarios)
        low_of_all, high_of_all = _widest(s.bounds(horizon, level) for s in scenarios)
        reached = _quartiles(scenarios[0].rate, horizon)
        shown = {
            "estimated_rate": rates[0],
            "low_rate": low,
            "high_rate": high,
            "low_simultaneous_rate": low_of_all,
            "high_simultaneous_rate": high_of_all,
            "lowest_rate": rates.min(axis=0),
            "highest_rate": rates.max(axis=0),
            **{f"{name}_days_to_reach": days for name, days in reached.items()},
        }
        yield {
            "horizon_days": horizon,
            "n_entered": n,
            "n_mature": n_mature[:, horizon],
            "n_events": scenarios[0].n_events[:, horizon],
            "effective_n": np.nan_to_num(scenarios[0].effective_n[:, horizon]),
            "maturity_rate": n_mature[:, horizon] / n,
            **{name: np.where(is_reportable, values, np.nan) for name, values in shown.items()},
        }


def _widest(bounds: Iterable[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    low, high = map(np.stack, zip(*bounds, strict=True))
    return low.min(axis=0), high.max(axis=0)


def _quartiles(rate: Floats, horizon: int) -> dict[str, Floats]:
    """Days by which a quarter, half, three quarters of those that reach it by then have."""
    last = rate[:, horizon]
    quartiles = {}
    for name, share in (("p25", 0.25), ("median", 0.5), ("p75", 0.75)):
        day = (rate[:, : horizon + 1] >= share * last[:, None] - 1e-12).argmax(axis=1)
        quartiles[name] = np.where(last > 0, day.astype(float), np.nan)
    return quartiles


def _at_days(
    groups: Groups, estimate: Incidence, width: Floats, n_mature: NDArray[np.int64]
) -> dict[str, Any]:
    days = np.array(CURVE_DAYS)
    is_reportable = width[:, days] <= MAX_WIDTH * days
    rate = np.where(is_reportable, estimate.rate[:, days], np.nan)
    bounds = estimate.bounds(days)
    low, high = (np.where(is_reportable, bound, np.nan) for bound in bounds)
    columns = {
        "day": np.broadcast_to(days, (groups.n, len(days))),
        "n_entered": np.broadcast_to(groups.count()[:, None], (groups.n, len(days))),
        "n_mature": n_mature[:, days],
        "n_events": estimate.n_events[:, days],
        "effective_n": np.nan_to_num(estimate.effective_n[:, days]),
        "maturity_rate": n_mature[:, days] / groups.count()[:, None],
        "estimated_rate": rate,
        "low_rate": low,
        "high_rate": high,
    }
    return {name: values.ravel() for name, values in columns.items()}


def estimate_table(
    entries: Entries, groups: Groups, definition: str, **columns: Any
) -> pd.DataFrame:
    """A row per group, with what every estimate says of itself."""
    return pd.DataFrame(_told(entries, groups, definition) | columns)


def _told(entries: Entries, groups: Groups, definition: str) -> dict[str, Any]:
    return {
        "stage_id": None,
        **groups.values,
        "definition_id": definition,
        "interval_id": "wilson_95_pointwise",
        "method_id": "aalen_johansen",
        "as_of": entries.as_of,
    }
