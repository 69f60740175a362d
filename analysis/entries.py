"""Entries into stages and pipelines that can be followed, and what came of each in whole days.

Belongs here: what counts as an event and as follow-up, scenarios of times known only as intervals.
Does not belong here: the estimators (incidence, pooling), tables (conversion, visits, sellers).

Time runs in whole days from the entry. An event belongs to the day that ends with or after it, and
only days that have ended count as followed: so with full follow-up an estimate is the count's rate.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.horizons import HORIZONS
from analysis.intervals import Floats, Integers
from analysis.risk_sets import Subjects

LAST_DAY = HORIZONS[-1]
DAY = 86_400
NEVER = np.int32(np.iinfo(np.int32).max)

# A rate whose events are known only to within more than this part of its horizon is not reported.
MAX_WIDTH = 0.25

# Each stage is asked about two pairs of competing events, and in them for these definitions.
COMPETING_EVENTS = ((("next_any", "lost"), ("next_any",)), (("won", "lost"), ("won", "lost")))
# Of an entry into a pipeline, whichever the stage; a lead that becomes a deal gets further.
COMPETING_EVENTS_OF_PIPELINES = COMPETING_EVENTS[1:]
COMPETING_EVENTS_OF_LEADS = COMPETING_EVENTS[:1]
COMPETING_EVENTS_OF_ROLES = ((("next_role", "lost"), ("next_role",)), COMPETING_EVENTS[1])

# What estimates ask of fct_stage_entries.
COLUMNS = (
    "journey_id", "account_id", "record_type", "is_first_in_role", "pipeline_id", "stage_id",
    "role", "segment", "business_area", "seller_id", "source", "followed_from_at",
    "followed_until_at",
    *(f"{event}_at{bound}" for event in ("entered", "left", "next_any", "next_role", "won", "lost")
      for bound in ("", "_earliest")),
    "as_of",
)  # fmt: skip
REACHED = ("next_any", "next_role", "won", "lost")
DIMENSIONS = ("record_type", "pipeline_id", "stage_id", "role", "segment", "business_area",
              "seller_id", "source")  # fmt: skip
# Its grain.
ORDER = ("journey_id", "visit_number", "stage_id")


@dataclass(frozen=True)
class Codes:
    """A column as whole numbers: `codes` into `values`, the first of which is null."""

    codes: Integers
    values: NDArray[Any]

    @classmethod
    def of(cls, column: "pd.Series[Any]") -> "Codes":
        codes, values = pd.factorize(column, sort=True)
        return cls(codes.astype(np.int32) + np.int32(1), np.array([None, *values], dtype=object))

    def __getitem__(self, rows: Any) -> "Codes":
        return Codes(self.codes[rows], self.values)

    def are(self, value: str) -> NDArray[np.bool_]:
        """Which of them have this value."""
        return np.asarray((self.values == value)[self.codes])


class Groups:
    """Rows grouped by columns: the group of each row, and the values that each group stands for."""

    def __init__(self, **columns: Codes) -> None:
        sizes = tuple(len(column.values) for column in columns.values())
        codes = tuple(column.codes for column in columns.values())
        self.of_row: Integers
        self.of_row, present = pd.factorize(np.ravel_multi_index(codes, sizes), sort=True)
        self.n = len(present)
        codes_by_column = np.unravel_index(present, sizes)
        self.values = {
            name: column.values[code]
            for (name, column), code in zip(columns.items(), codes_by_column, strict=True)
        }

    @property
    def family(self) -> Integers:
        """The pipeline and stage of each group, numbered: whose groups are set side by side."""
        names = [name for name in ("pipeline_id", "stage_id") if name in self.values]
        frame = pd.DataFrame({name: self.values[name] for name in names})
        return frame.groupby(names, dropna=False).ngroup().to_numpy()

    def count(self, rows: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        return np.bincount(self.of_row if rows is None else self.of_row[rows], minlength=self.n)


class Timeline:
    """Whole days from entry to whatever came, in one scenario of times known only as intervals.

    `recorded`: as the counts have it. `short` and `long`: everything went as fast, or as slowly,
    as its bounds allow. `days[name]` is NEVER where it did not come; `followed` are the days that
    have ended; `entry` is the day after which a late one is followed, else -1.
    """

    def __init__(
        self, accounts: Integers, followed: Integers, entry: Integers, days: dict[str, Integers]
    ) -> None:
        self.accounts, self.followed, self.entry, self.days = accounts, followed, entry, days
        self._events: dict[tuple[str, ...], tuple[Any, ...]] = {}

    @classmethod
    def of(cls, frame: pd.DataFrame, accounts: Integers, scenario: str) -> "Timeline":
        entered = seconds_of(frame, "entered_at", is_earliest=scenario == "long")
        followed = _whole_days((seconds_of(frame, "followed_until_at") - entered) // DAY)
        seen = seconds_of(frame, "followed_from_at")
        is_late = seen > seconds_of(frame, "entered_at")
        entry = np.where(is_late, _whole_days(-((entered - seen) // DAY)), np.int32(-1))
        days = {}
        for name in REACHED:
            at = seconds_of(frame, f"{name}_at", is_earliest=scenario == "short")
            elapsed = _whole_days(np.maximum(-((entered - at) // DAY), 0))
            days[name] = np.where(frame[f"{name}_at"].isna(), NEVER, elapsed)
        return cls(accounts, followed, entry, days)

    def where(self, rows: Any) -> "Timeline":
        days = {name: days[rows] for name, days in self.days.items()}
        return Timeline(self.accounts[rows], self.followed[rows], self.entry[rows], days)

    def is_mature(self, horizon: int) -> NDArray[np.bool_]:
        """Followed from the entry for the whole horizon."""
        return np.asarray((self.followed >= horizon) & (self.entry < 0))

    def competing_events(self, names: tuple[str, str], groups: Groups) -> tuple[Subjects, Integers]:
        """Who is followed until which of `names` (event 1 or 2) came first; and the rows kept."""
        if names not in self._events:
            self._events[names] = self._events_of(*names)
        rows, *arrays = self._events[names]
        return Subjects(groups.of_row[rows], groups.n, *arrays), rows

    def _events_of(self, one: str, other: str) -> tuple[Any, ...]:
        """Rows, and their accounts, entries, days of leaving, events; by account and day."""
        first = np.minimum(self.days[one], self.days[other])
        leaving = np.minimum(first, self.followed)
        event = np.where(self.days[one] <= self.days[other], np.int8(1), np.int8(2))
        event[first > self.followed] = 0
        rows = np.flatnonzero((leaving > self.entry) & (leaving >= 0))
        width = np.int64(leaving.max(initial=0)) + 1
        rows = rows[np.argsort(self.accounts[rows] * width + leaving[rows])]
        return rows, *(array[rows] for array in (self.accounts, self.entry, leaving, event))


class Entries:
    """Entries that can be followed, of a frame with the COLUMNS of fct_stage_entries.

    `accounts` are companies by number; a deal of no known company is one of its own. The frame is
    not kept: of 10 M entries it takes 1.5 GB, and so much again with every part of them.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        is_followed = frame["followed_from_at"].notna().to_numpy(bool)
        frame = frame if is_followed.all() else frame[is_followed]
        self.as_of = frame["as_of"].max()
        self.codes = {name: Codes.of(frame[name]) for name in DIMENSIONS}
        self.is_first_in_role = frame["is_first_in_role"].to_numpy(bool)
        account, _ = pd.factorize(frame["account_id"])
        journey, _ = pd.factorize(frame["journey_id"])
        own = account.max(initial=0) + 1 + journey
        self.accounts: Integers = np.where(account >= 0, account, own).astype(np.int32)
        bounds = [name for name in frame if str(name).endswith("_earliest")]
        self.has_intervals = any(frame[name].notna().any() for name in bounds)
        scenarios = ("recorded", "short", "long") if self.has_intervals else ("recorded",)
        self.timelines = {
            scenario: Timeline.of(frame, self.accounts, scenario) for scenario in scenarios
        }
        left, entered = (seconds_of(frame, f"{name}_at") for name in ("left", "entered"))
        self.days_in_stage: Floats = (left - entered) / DAY
        names = (*REACHED, "left") if self.has_intervals else ()
        self._widths = {name: _interval_widths(frame, name) for name in names}

    def where(self, rows: NDArray[np.bool_]) -> "Entries":
        """Some of them, accounts and values by the same numbers."""
        part = object.__new__(Entries)
        part.as_of, part.has_intervals = self.as_of, self.has_intervals
        part.codes = {name: codes[rows] for name, codes in self.codes.items()}
        part.is_first_in_role = self.is_first_in_role[rows]
        part.accounts = self.accounts[rows]
        part.timelines = {name: timeline.where(rows) for name, timeline in self.timelines.items()}
        part.days_in_stage = self.days_in_stage[rows]
        part._widths = {name: widths[rows] for name, widths in self._widths.items()}
        return part

    @cached_property
    def of_stages(self) -> "Entries":
        return self.where(self.codes["stage_id"].codes > 0)

    @cached_property
    def of_pipelines(self) -> "Entries":
        return self.where(self.codes["stage_id"].codes == 0)

    def interval_widths(self, name: str) -> Floats:
        """Days between the bounds of the entry and of what came; 0 where both are exact."""
        return self._widths[name] if self._widths else np.zeros(len(self.accounts))


def _interval_widths(frame: pd.DataFrame, name: str) -> Floats:
    widths = [
        seconds_of(frame, column) - seconds_of(frame, column, is_earliest=True)
        for column in ("entered_at", f"{name}_at")
    ]
    return np.asarray((widths[0] + widths[1]) / DAY)


def _whole_days(days: Integers) -> Integers:
    """In half the bytes; those far off are NEVER."""
    return np.minimum(days, NEVER).astype(np.int32)


def seconds_of(frame: pd.DataFrame, column: str, is_earliest: bool = False) -> Integers:
    """Seconds since 1970; far off where null. The earlier bound, if asked for and there is one."""
    at = frame[column]
    if is_earliest:
        at = frame[f"{column}_earliest"].fillna(at)
    seconds = at.to_numpy("datetime64[s]").astype(np.int64)
    return np.where(at.isna(), np.int64(NEVER) * DAY, seconds)


def mean_interval_width(
    entries: Entries, groups: Groups, names: tuple[str, str], number: int
) -> Floats:
    """Per group and day, the mean days between the bounds of the events that may be by then.

    Those whose later bound alone is after the day count too: of a win between its creation and an
    export a year later nobody knows whether it was one within the month.
    """
    if not entries.has_intervals:
        return np.zeros((groups.n, LAST_DAY + 1))
    subjects, rows = entries.timelines["short"].competing_events(names, groups)
    hit = (subjects.event == number + 1) & (subjects.leaving <= LAST_DAY)
    keys = (subjects.group * (LAST_DAY + 1) + subjects.leaving)[hit]
    size, shape = groups.n * (LAST_DAY + 1), (groups.n, LAST_DAY + 1)
    width = np.bincount(keys, entries.interval_widths(names[number])[rows][hit], size).reshape(
        shape
    )
    n = np.bincount(keys, minlength=size).reshape(shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.cumsum(width, axis=1) / np.cumsum(n, axis=1)
    return np.nan_to_num(mean)
