"""Conversion with censoring: what a stage's entries come to, by any cut, from fct_stage_entries.

Belongs here: what counts as an event and as follow-up, the cuts, the published estimate tables.
Does not belong here: the estimators (incidence, pooling, mix).

Time runs in whole days from the entry. An event belongs to the day that ends with or after it, and
only days that have ended count as followed: so with full follow-up an estimate is the count's rate.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.incidence import (
    Floats,
    Incidence,
    Integers,
    Subjects,
    cumulative_incidence,
    event_masses,
    wilson,
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
        return cls(codes.astype(np.int64) + 1, np.array([None, *values], dtype=object))


class Groups:
    """Rows grouped by columns: the group of each row, and the values that each group stands for."""

    def __init__(self, **columns: Codes) -> None:
        sizes = tuple(len(column.values) for column in columns.values())
        codes = tuple(column.codes for column in columns.values())
        combined = np.ravel_multi_index(codes, sizes)
        present = np.flatnonzero(np.bincount(combined))
        lookup = np.zeros(int(present.max(initial=-1)) + 1, dtype=np.int64)
        lookup[present] = np.arange(len(present))
        self.of_row: Integers = lookup[combined]
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

    def __init__(self, frame: pd.DataFrame, reading: str) -> None:
        entered = _seconds(frame, "entered_at", is_earliest=reading == "long")
        self.followed = (_seconds(frame, "followed_until_at") - entered) // DAY
        late = _seconds(frame, "followed_from_at") - _seconds(frame, "entered_at")
        self.entry = np.where(late > 0, -(-late // DAY), -1)
        self.days = {}
        for name in ("next_any", "next_role", "won", "lost"):
            at = _seconds(frame, f"{name}_at", is_earliest=reading == "short")
            elapsed = np.maximum(-((entered - at) // DAY), 0)
            self.days[name] = np.where(frame[f"{name}_at"].isna(), NEVER, elapsed)

    def race(
        self, names: tuple[str, ...], groups: Groups, accounts: Integers
    ) -> tuple[Subjects, NDArray[np.bool_]]:
        """Who is followed until which of `names` (event 1, 2 …) came first; and the rows kept."""
        reached = np.stack([self.days[name] for name in names])
        first = reached.min(axis=0)
        leaving = np.minimum(first, self.followed)
        event = np.where(first <= self.followed, reached.argmin(axis=0) + 1, 0)
        rows = (leaving > self.entry) & (leaving >= 0)
        of = [array[rows] for array in (groups.of_row, accounts, self.entry, leaving, event)]
        return Subjects(of[0], groups.n, *of[1:]), rows


class Entries:
    """Entries that can be followed. `frame` has the columns of fct_stage_entries."""

    def __init__(self, frame: pd.DataFrame) -> None:
        frame = frame[frame["followed_from_at"].notna()].reset_index(drop=True)
        self.frame = frame
        self.as_of = frame["as_of"].max()

    def __len__(self) -> int:
        return len(self.frame)

    def codes(self, name: str) -> Codes:
        return self._codes[name]

    @cached_property
    def _codes(self) -> dict[str, Codes]:
        names = ("pipeline_id", "stage_id", "role", "segment", "business_area", "seller_id",
                 "source")  # fmt: skip
        return {name: Codes.of(self.frame[name]) for name in names}

    @cached_property
    def accounts(self) -> Integers:
        """Companies by number. A deal of no known company is one of its own."""
        account, journey = Codes.of(self.frame["account_id"]), Codes.of(self.frame["journey_id"])
        alone = len(account.values) + journey.codes
        return np.where(account.codes > 0, account.codes, alone)

    @cached_property
    def has_intervals(self) -> bool:
        columns = [name for name in self.frame if str(name).endswith("_earliest")]
        return bool(self.frame[columns].notna().to_numpy().any())

    @cached_property
    def timelines(self) -> dict[str, Timeline]:
        readings = ("recorded", "short", "long") if self.has_intervals else ("recorded",)
        return {reading: Timeline(self.frame, reading) for reading in readings}

    def gaps(self, name: str) -> Floats:
        """Days between the bounds of the entry and of what came; 0 where both are exact."""
        widths = [
            _seconds(self.frame, column) - _seconds(self.frame, column, is_earliest=True)
            for column in ("entered_at", f"{name}_at")
        ]
        return np.asarray((widths[0] + widths[1]) / DAY)

    def of_roles(self) -> "Entries":
        return Entries(self.frame[self.frame["is_first_in_role"].astype(bool)])


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
    rates, curves = [], []
    for cut, of_cut, groups, races in _cuts(entries):
        for rate, curve in _of_cut(of_cut, groups, races):
            rates.append(rate.assign(cut=cut))
            curves.append(curve.assign(cut=cut))
    found = [pd.concat(tables, ignore_index=True) for tables in (rates, curves)]
    return found[0], found[1]


def _cuts(entries: Entries) -> Iterator[tuple[str, Entries, Groups, Any]]:
    columns = {name: entries.codes(name) for name in ("pipeline_id", "stage_id", "role")}
    yield "all", entries, Groups(**columns), RACES
    for cut, name in (("segment", "segment"), ("business_area", "business_area"),
                      ("seller", "seller_id"), ("source", "source")):  # fmt: skip
        yield cut, entries, Groups(**columns, cut_value=entries.codes(name)), RACES
    of_roles = entries.of_roles()
    if len(of_roles):
        columns = {name: of_roles.codes(name) for name in ("pipeline_id", "role")}
        yield "role", of_roles, Groups(**columns, cut_value=of_roles.codes("role")), RACES_OF_ROLES


def _of_cut(
    entries: Entries, groups: Groups, races: Any
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    n_mature = _matured(entries, groups)
    for names, wanted in races:
        readings = {
            reading: _raced(timeline, names, len(wanted), groups, entries.accounts)
            for reading, timeline in entries.timelines.items()
        }
        for number, name in enumerate(wanted):
            found = [incidences[number] for incidences in readings.values()]
            gap = _mean_gap(entries, groups, names, number)
            yield (
                _at_horizons(entries, groups, name, found, gap, n_mature),
                _at_days(entries, groups, name, found[0], gap),
            )


def _raced(
    timeline: Timeline, names: tuple[str, ...], n_wanted: int, groups: Groups, accounts: Integers
) -> list[Incidence]:
    subjects, _ = timeline.race(names, groups, accounts)
    return cumulative_incidence(subjects, LAST_DAY, tuple(range(1, n_wanted + 1)))


def _matured(entries: Entries, groups: Groups) -> dict[int, NDArray[np.int64]]:
    followed = entries.timelines["recorded"].followed
    return {horizon: groups.count(followed >= horizon) for horizon in HORIZONS}


def _mean_gap(entries: Entries, groups: Groups, names: tuple[str, ...], number: int) -> Floats:
    """Per group and day, the mean days between the bounds of the events by then."""
    if not entries.has_intervals:
        return np.zeros((groups.n, LAST_DAY + 1))
    subjects, rows = entries.timelines["recorded"].race(names, groups, entries.accounts)
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
    n_mature: dict[int, NDArray[np.int64]],
) -> pd.DataFrame:
    tables = []
    for horizon in HORIZONS:
        is_told = gap[:, horizon] <= MAX_GAP * horizon
        rates = np.stack([r.rate[:, horizon] for r in readings])
        bounds = [wilson(r.rate[:, horizon], r.effective_n[:, horizon]) for r in readings]
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
                n_mature=n_mature[horizon],
                n_events=readings[0].n_events[:, horizon],
                effective_n=readings[0].effective_n[:, horizon],
                maturity_rate=n_mature[horizon] / n,
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
    entries: Entries, groups: Groups, name: str, found: Incidence, gap: Floats
) -> pd.DataFrame:
    days = np.array(CURVE_DAYS)
    is_told = gap[:, days] <= MAX_GAP * days
    rate = np.where(is_told, found.rate[:, days], np.nan)
    low, high = wilson(rate, found.effective_n[:, days])
    table = _table(entries, groups, name)
    table = table.loc[table.index.repeat(len(days))].reset_index(drop=True)
    return table.assign(
        day=np.tile(days, groups.n),
        n_entered=np.repeat(groups.count(), len(days)),
        n_events=found.n_events[:, days].ravel(),
        effective_n=found.effective_n[:, days].ravel(),
        estimated_rate=rate.ravel(),
        low_rate=low.ravel(),
        high_rate=high.ravel(),
    )


def _table(entries: Entries, groups: Groups, definition: str, **columns: Any) -> pd.DataFrame:
    """A row per group, with what every estimate says of itself."""
    return pd.DataFrame(
        {
            **groups.values,
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
    columns = {name: entries.codes(name) for name in ("pipeline_id", "stage_id")}
    by_segment = Groups(**columns, cut_value=entries.codes("segment"))
    found = [
        _stays(entries, groups, horizon).assign(cut=cut)
        for cut, groups in (("all", Groups(**columns)), ("segment", by_segment))
        for horizon in HORIZONS
    ]
    return pd.concat(found, ignore_index=True)


def _stays(entries: Entries, groups: Groups, horizon: int) -> pd.DataFrame:
    timeline = entries.timelines["recorded"]
    subjects, rows = timeline.race(("won", "lost"), groups, entries.accounts)
    mass = event_masses(subjects, horizon, 1)
    won = mass > 0
    group, mass = subjects.group[won], mass[won]
    days = ((_seconds(entries.frame, "left_at") - _seconds(entries.frame, "entered_at")) / DAY)[
        rows
    ][won]
    order = np.lexsort((days, group))
    group, mass, days = group[order], mass[order], days[order]
    n = np.bincount(group, minlength=groups.n)
    total = np.bincount(group, mass, groups.n)
    gap = np.bincount(group, entries.gaps("left")[rows][won][order], groups.n)
    with np.errstate(invalid="ignore", divide="ignore"):
        effective_n = total**2 / np.bincount(group, mass**2, groups.n)
        is_told = (n >= MIN_STAYS) & (gap / n <= MAX_GAP * horizon)
    reached = np.cumsum(mass) - np.repeat(np.cumsum(total) - total, n)
    reached = np.stack([group, reached / total[group] * (1 - 1e-12)])
    n_mature = groups.count(timeline.followed >= horizon)
    low, high = wilson(0.8, effective_n)
    shown = {
        "median_days_in_stage": _percentile(reached, days, np.full(groups.n, 0.5)),
        "p80_days_in_stage": _percentile(reached, days, np.full(groups.n, 0.8)),
        "low_p80_days_in_stage": _percentile(reached, days, low),
        "high_p80_days_in_stage": _percentile(reached, days, high),
    }
    table = _table(
        entries,
        groups,
        "won",
        horizon_days=horizon,
        n_entered=groups.count(),
        n_mature=n_mature,
        n_events=n,
        effective_n=effective_n,
        maturity_rate=n_mature / groups.count(),
        **{name: np.where(is_told, values, np.nan) for name, values in shown.items()},
    )
    return table.assign(interval_id="woodruff_95", method_id="inverse_censoring_weights")


def _percentile(reached: Floats, days: Floats, share: Floats) -> Floats:
    """Of each group, the first of its sorted `days` by which `share` of its mass is reached.

    `reached` has two rows, group and share reached, and is sorted by both. nan without days.
    """
    if not len(days):
        return np.full(len(share), np.nan)
    groups = np.arange(len(share))
    # Shares lie within a group's unit interval, so group + share sorts them all at once.
    place = np.searchsorted(reached[0] + reached[1], groups + np.minimum(share, 1 - 1e-11))
    place = np.minimum(place, len(days) - 1)
    return np.where(reached[0][place] == groups, days[place], np.nan)
