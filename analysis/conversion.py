"""Conversion with censoring: what a stage's entries come to, by any cut, from fct_stage_entries.

Belongs here: what counts as an event and as follow-up, the cuts, the published estimate tables.
Does not belong here: the estimators (incidence, pooling), sellers among each other (sellers).

Time runs in whole days from the entry. An event belongs to the day that ends with or after it, and
only days that have ended count as followed: so with full follow-up an estimate is the count's rate.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from analysis.incidence import (
    LEVEL,
    Floats,
    Incidence,
    Integers,
    Subjects,
    cumulative_incidence,
    event_masses,
    share_precision,
)

HORIZONS = (30, 90, 180, 365)
LAST_DAY = HORIZONS[-1]
CURVE_DAYS = tuple(range(7, LAST_DAY, 7))
DAY = 86_400
NEVER = np.iinfo(np.int32).max

# A rate whose events are known only to within more than this part of its horizon is not told.
MAX_GAP = 0.25

# Fewer stays have no 80th percentile but the longest of them.
MIN_STAYS = 5

# Each stage is asked about two races between events, and in them for these definitions.
RACES = ((("next_any", "lost"), ("next_any",)), (("won", "lost"), ("won", "lost")))
RACES_OF_ROLES = ((("next_role", "lost"), ("next_role",)), RACES[1])


@dataclass(frozen=True)
class Codes:
    """A column as whole numbers: `codes` into `values`, the first of which is null."""

    codes: Integers
    values: NDArray[Any]

    @classmethod
    def of(cls, column: "pd.Series[Any]") -> "Codes":
        codes, values = pd.factorize(column, sort=True)
        return cls(codes + np.int32(1), np.array([None, *values], dtype=object))

    def __getitem__(self, rows: Any) -> "Codes":
        return Codes(self.codes[rows], self.values)


class Groups:
    """Rows grouped by columns: the group of each row, and the values that each group stands for."""

    def __init__(self, **columns: Codes) -> None:
        sizes = tuple(len(column.values) for column in columns.values())
        codes = tuple(column.codes for column in columns.values())
        self.of_row: Integers
        self.of_row, present = pd.factorize(np.ravel_multi_index(codes, sizes), sort=True)
        self.n = len(present)
        found = np.unravel_index(present, sizes)
        self.values = {
            name: column.values[code]
            for (name, column), code in zip(columns.items(), found, strict=True)
        }

    def count(self, rows: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        return np.bincount(self.of_row if rows is None else self.of_row[rows], minlength=self.n)


class Timeline:
    """Whole days from entry to whatever came, in one reading of times known only as intervals.

    `recorded`: as the counts have it. `short` and `long`: everything went as fast, or as slowly,
    as its bounds allow. `days[name]` is NEVER where it did not come; `followed` are the days that
    have ended; `entry` is the day after which a late one is followed, else -1.
    """

    def __init__(self, frame: pd.DataFrame, accounts: Integers, reading: str) -> None:
        self.accounts = accounts
        self.races: dict[tuple[str, ...], tuple[Any, ...]] = {}
        entered = _seconds(frame, "entered_at", is_earliest=reading == "long")
        self.followed = (_seconds(frame, "followed_until_at") - entered) // DAY
        seen = _seconds(frame, "followed_from_at")
        is_late = seen > _seconds(frame, "entered_at")
        self.entry = np.where(is_late, -((entered - seen) // DAY), -1)
        self.days = {}
        for name in ("next_any", "next_role", "won", "lost"):
            at = _seconds(frame, f"{name}_at", is_earliest=reading == "short")
            elapsed = np.maximum(-((entered - at) // DAY), 0)
            self.days[name] = np.where(frame[f"{name}_at"].isna(), NEVER, elapsed)

    def is_mature(self, horizon: int) -> NDArray[np.bool_]:
        """Followed from the entry for the whole horizon."""
        return np.asarray((self.followed >= horizon) & (self.entry < 0))

    def race(self, names: tuple[str, str], groups: Groups) -> tuple[Subjects, Integers]:
        """Who is followed until which of `names` (event 1 or 2) came first; and the rows kept."""
        if names not in self.races:
            self.races[names] = self._race(*names)
        rows, *arrays = self.races[names]
        return Subjects(groups.of_row[rows], groups.n, *arrays), rows

    def _race(self, one: str, other: str) -> tuple[Any, ...]:
        """Rows, and their accounts, entries, days of leaving, events; by account and day."""
        first = np.minimum(self.days[one], self.days[other])
        leaving = np.minimum(first, self.followed)
        event = np.where(self.days[one] <= self.days[other], np.int8(1), np.int8(2))
        event[first > self.followed] = 0
        rows = np.flatnonzero((leaving > self.entry) & (leaving >= 0))
        rows = rows[np.argsort(self.accounts[rows] * (leaving.max(initial=0) + 1) + leaving[rows])]
        arrays = (self.accounts, self.entry, leaving)
        return rows, *(array[rows].astype(np.int32) for array in arrays), event[rows]


class Entries:
    """Entries that can be followed. `frame` has the columns of fct_stage_entries.

    `accounts` are companies by number; a deal of no known company is one of its own.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame[frame["followed_from_at"].notna()].reset_index(drop=True)
        self.as_of = self.frame["as_of"].max()
        names = ("pipeline_id", "stage_id", "role", "segment", "business_area", "seller_id",
                 "source")  # fmt: skip
        self.codes = {name: Codes.of(self.frame[name]) for name in names}
        account, _ = pd.factorize(self.frame["account_id"])
        journey, _ = pd.factorize(self.frame["journey_id"])
        self.accounts: Integers = np.where(
            account >= 0, account, account.max(initial=0) + 1 + journey
        )

    def where(self, rows: NDArray[np.bool_]) -> "Entries":
        """Some of them, accounts and values by the same numbers."""
        part = object.__new__(Entries)
        part.frame, part.as_of = self.frame[rows].reset_index(drop=True), self.as_of
        part.codes = {name: codes[rows] for name, codes in self.codes.items()}
        part.accounts = self.accounts[rows]
        return part

    @cached_property
    def has_intervals(self) -> bool:
        columns = [name for name in self.frame if str(name).endswith("_earliest")]
        return bool(self.frame[columns].notna().to_numpy().any())

    @cached_property
    def timelines(self) -> dict[str, Timeline]:
        readings = ("recorded", "short", "long") if self.has_intervals else ("recorded",)
        return {r: Timeline(self.frame, self.accounts, r) for r in readings}

    def gaps(self, name: str) -> Floats:
        """Days between the bounds of the entry and of what came; 0 where both are exact."""
        widths = [
            _seconds(self.frame, column) - _seconds(self.frame, column, is_earliest=True)
            for column in ("entered_at", f"{name}_at")
        ]
        return np.asarray((widths[0] + widths[1]) / DAY)


def _seconds(frame: pd.DataFrame, column: str, is_earliest: bool = False) -> Integers:
    """Seconds since 1970; far off where null. The earlier bound, if asked for and there is one."""
    at = frame[column]
    if is_earliest:
        at = frame[f"{column}_earliest"].fillna(at)
    seconds = at.to_numpy("datetime64[s]").astype(np.int64)
    return np.where(at.isna(), np.int64(NEVER) * DAY, seconds)


# --- tables --------------------------------------------------------------------------------------


def estimates(entries: Entries) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables conversion_estimates and conversion_curves: every cut, definition, horizon or day."""
    # Threads: most of the time is spent in numpy, which lets go of the interpreter's lock.
    with ThreadPoolExecutor(2) as threads:
        found = threads.map(lambda of: [*_of_cut(*of)], _cuts(entries))
    tables = [pair for pairs in found for pair in pairs]
    rates, curves = zip(*tables, strict=True)
    return pd.concat(rates, ignore_index=True), pd.concat(curves, ignore_index=True)


def _cuts(entries: Entries) -> Iterator[tuple[str, Entries, Groups, Any]]:
    columns = {name: entries.codes[name] for name in ("pipeline_id", "stage_id")}
    yield "all", entries, Groups(**columns), RACES
    for cut, name in (("segment", "segment"), ("business_area", "business_area"),
                      ("seller", "seller_id"), ("source", "source")):  # fmt: skip
        yield cut, entries, Groups(**columns, cut_value=entries.codes[name]), RACES
    of_roles = entries.where(entries.frame["is_first_in_role"].to_numpy(bool))
    role = of_roles.codes["role"]
    groups = Groups(pipeline_id=of_roles.codes["pipeline_id"], cut_value=role)
    yield "role", of_roles, groups, RACES_OF_ROLES


def _of_cut(
    cut: str, entries: Entries, groups: Groups, races: Any
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    n_mature = _matured(entries, groups)
    for names, wanted in races:
        readings = {
            reading: _raced(timeline, names, len(wanted), groups)
            for reading, timeline in entries.timelines.items()
        }
        for number, name in enumerate(wanted):
            found = [incidences[number] for incidences in readings.values()]
            gap = mean_gap(entries, groups, names, number)
            yield (
                _at_horizons(entries, groups, name, found, gap, n_mature).assign(cut=cut),
                _at_days(entries, groups, name, found[0], gap, n_mature).assign(cut=cut),
            )


def _raced(
    timeline: Timeline, names: tuple[str, str], n_wanted: int, groups: Groups
) -> list[Incidence]:
    subjects, _ = timeline.race(names, groups)
    return cumulative_incidence(subjects, LAST_DAY, tuple(range(1, n_wanted + 1)))


def _matured(entries: Entries, groups: Groups) -> NDArray[np.int64]:
    """Per group and day, the entries followed from the beginning until then."""
    timeline = entries.timelines["recorded"]
    rows = np.flatnonzero(timeline.is_mature(0))
    last = np.minimum(timeline.followed[rows], LAST_DAY)
    keys = groups.of_row[rows] * (LAST_DAY + 1) + last
    n = np.bincount(keys, minlength=groups.n * (LAST_DAY + 1)).reshape(groups.n, LAST_DAY + 1)
    return np.asarray(np.cumsum(n[:, ::-1], axis=1)[:, ::-1])


def mean_gap(entries: Entries, groups: Groups, names: tuple[str, str], number: int) -> Floats:
    """Per group and day, the mean days between the bounds of the events by then."""
    if not entries.has_intervals:
        return np.zeros((groups.n, LAST_DAY + 1))
    subjects, rows = entries.timelines["recorded"].race(names, groups)
    hit = (subjects.event == number + 1) & (subjects.leaving <= LAST_DAY)
    keys = (subjects.group * (LAST_DAY + 1) + subjects.leaving)[hit]
    size, shape = groups.n * (LAST_DAY + 1), (groups.n, LAST_DAY + 1)
    width = np.bincount(keys, entries.gaps(names[number])[rows][hit], size).reshape(shape)
    n = np.bincount(keys, minlength=size).reshape(shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.cumsum(width, axis=1) / np.cumsum(n, axis=1)
    return np.nan_to_num(mean)


def _at_horizons(
    entries: Entries,
    groups: Groups,
    name: str,
    readings: list[Incidence],
    gap: Floats,
    n_mature: NDArray[np.int64],
) -> pd.DataFrame:
    tables = []
    for horizon in HORIZONS:
        is_told = gap[:, horizon] <= MAX_GAP * horizon
        rates = np.stack([r.rate[:, horizon] for r in readings])
        bounds = [reading.bounds(horizon) for reading in readings]
        reached = _quartiles(readings[0].rate, horizon)
        shown = {
            "estimated_rate": rates[0],
            # What is not known of the times widens the interval.
            "low_rate": np.stack([low for low, _ in bounds]).min(axis=0),
            "high_rate": np.stack([high for _, high in bounds]).max(axis=0),
            "lowest_rate": rates.min(axis=0),
            "highest_rate": rates.max(axis=0),
            **dict(zip(("p25", "median", "p75"), reached, strict=True)),
        }
        shown = {column: np.where(is_told, values, np.nan) for column, values in shown.items()}
        n = groups.count()
        tables.append(
            _table(
                entries,
                groups,
                name,
                horizon_days=horizon,
                n_entered=n,
                n_mature=n_mature[:, horizon],
                n_events=readings[0].n_events[:, horizon],
                effective_n=np.nan_to_num(readings[0].effective_n[:, horizon]),
                maturity_rate=n_mature[:, horizon] / n,
                **shown,
            )
        )
    found = pd.concat(tables, ignore_index=True)
    names = {quartile: f"{quartile}_days_to_reach" for quartile in ("p25", "median", "p75")}
    return found.rename(columns=names)


def _quartiles(rate: Floats, horizon: int) -> list[Floats]:
    """Days by which a quarter, half, three quarters of those that reach it by then have."""
    last = rate[:, horizon]
    found = []
    for share in (0.25, 0.5, 0.75):
        day = (rate[:, : horizon + 1] >= share * last[:, None] - 1e-12).argmax(axis=1)
        found.append(np.where(last > 0, day.astype(float), np.nan))
    return found


def _at_days(
    entries: Entries,
    groups: Groups,
    name: str,
    found: Incidence,
    gap: Floats,
    n_mature: NDArray[np.int64],
) -> pd.DataFrame:
    days = np.array(CURVE_DAYS)
    is_told = gap[:, days] <= MAX_GAP * days
    rate = np.where(is_told, found.rate[:, days], np.nan)
    low, high = (np.where(is_told, bound, np.nan) for bound in found.bounds(days))
    table = _table(entries, groups, name)
    table = table.loc[table.index.repeat(len(days))].reset_index(drop=True)
    return table.assign(
        day=np.tile(days, groups.n),
        n_entered=np.repeat(groups.count(), len(days)),
        n_mature=n_mature[:, days].ravel(),
        n_events=found.n_events[:, days].ravel(),
        effective_n=np.nan_to_num(found.effective_n[:, days]).ravel(),
        maturity_rate=(n_mature[:, days] / groups.count()[:, None]).ravel(),
        estimated_rate=rate.ravel(),
        low_rate=low.ravel(),
        high_rate=high.ravel(),
    )


def _table(entries: Entries, groups: Groups, definition: str, **columns: Any) -> pd.DataFrame:
    """A row per group, with what every estimate says of itself."""
    return pd.DataFrame(
        {
            **groups.values,
            **({} if "stage_id" in groups.values else {"stage_id": None}),
            "definition_id": definition,
            **columns,
            "interval_id": "wilson_95_pointwise",
            "method_id": "aalen_johansen",
            "as_of": entries.as_of,
        }
    )


# --- stays ---------------------------------------------------------------------------------------


def stays(entries: Entries) -> pd.DataFrame:
    """Table stage_stays: how long deals that are won stay in each stage, by segment and for all.

    Won deals weigh by the share they stand for (`event_masses`), so that quick ones, which are won
    before the follow-up ends, do not stand for all. Bounds of the percentile are those of the
    percentage, read off the same distribution (Woodruff 1952, JASA 47, 635–646).
    """
    columns = {name: entries.codes[name] for name in ("pipeline_id", "stage_id")}
    by_segment = Groups(**columns, cut_value=entries.codes["segment"])
    cuts = (("all", Groups(**columns)), ("segment", by_segment))
    asked = [(cut, groups, horizon) for cut, groups in cuts for horizon in HORIZONS]
    with ThreadPoolExecutor(2) as threads:
        found = threads.map(lambda of: _stays(entries, *of), asked)
    return pd.concat(found, ignore_index=True)


def _stays(entries: Entries, cut: str, groups: Groups, horizon: int) -> pd.DataFrame:
    timeline = entries.timelines["recorded"]
    subjects, rows = timeline.race(("won", "lost"), groups)
    mass = event_masses(subjects, horizon, 1)
    left, entered = (_seconds(entries.frame, f"{name}_at")[rows] for name in ("left", "entered"))
    days = (left - entered) / DAY
    won = np.flatnonzero(mass)
    order = won[np.lexsort((days[won], subjects.group[won]))]
    group, mass = subjects.group[order], mass[order]
    stays = _Stays(group, days[order], mass, groups.n)
    p80 = stays.percentile(np.full(groups.n, 0.8))
    is_within = days <= p80[subjects.group]
    effective_n = share_precision(subjects, horizon, 1, is_within, 0.8)
    # Even about 80 %, unlike an interval for a share seen to be 80 %; up to the next stay.
    half = ndtri((1 + LEVEL) / 2) * np.sqrt(0.8 * 0.2 / effective_n)
    low, high = np.maximum(0.8 - half, 0), 0.8 + half + 1 / effective_n
    high[~(high < 1)] = np.nan
    n_events = np.bincount(group, minlength=groups.n)
    gap = np.bincount(group, entries.gaps("left")[rows][order], groups.n)
    is_told = (n_events >= MIN_STAYS) & (gap <= MAX_GAP * horizon * n_events)
    shown = {
        "median_days_in_stage": stays.percentile(np.full(groups.n, 0.5)),
        "p80_days_in_stage": p80,
        "low_p80_days_in_stage": stays.percentile(low),
        "high_p80_days_in_stage": stays.percentile(high),
    }
    n_mature = groups.count(timeline.is_mature(horizon))
    table = _table(
        entries,
        groups,
        "won",
        horizon_days=horizon,
        n_entered=groups.count(),
        n_mature=n_mature,
        n_events=n_events,
        effective_n=np.nan_to_num(effective_n),
        maturity_rate=n_mature / groups.count(),
        **{name: np.where(is_told, values, np.nan) for name, values in shown.items()},
    )
    return table.assign(cut=cut, interval_id="woodruff_95", method_id="inverse_censoring_weights")


class _Stays:
    """Stays of won deals, sorted by group and days, with the mass that each stands for."""

    def __init__(self, group: Integers, days: Floats, mass: Floats, n_groups: int) -> None:
        n = np.bincount(group, minlength=n_groups)
        self.days = np.append(days, np.nan)
        self.first = np.cumsum(n) - n
        self.end = self.first + n
        self.before = np.append(0.0, np.cumsum(mass))

    def percentile(self, share: Floats) -> Floats:
        """Per group, the days by which `share` of its mass has left; nan if it has none."""
        begin, end = self.before[self.first], self.before[self.end]
        # A hair less, so that rounding does not go on to the next stay.
        target = begin + np.nan_to_num(share) * (end - begin) * (1 - 1e-9)
        place = np.clip(np.searchsorted(self.before, target) - 1, self.first, self.end - 1)
        is_known = (self.end > self.first) & ~np.isnan(share)
        return self.days[np.where(is_known, place, -1)]
