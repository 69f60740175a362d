"""Selling days: a company's own calendar, learned from the days on which its deals move.

Belongs here: what a day is worth, days counted by it.
Does not belong here: what happens on them.

July is not March, and nobody signs on Christmas Day. A selling day is an average working day of the
year; stays, paces and forecasts count these, so that a quarter with a holiday in it is not slow.
"""

from datetime import date

import holidays
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.intervals import Floats, Integers, quotient

Days = NDArray[np.datetime64]

# With fewer moves nothing is learned: Monday to Friday count as one, other days as none.
MIN_MOVES = 200
# Moves that a holiday would have to have before it counts for what it shows.
OF_A_HOLIDAY = 3.0
# As much of a month is taken as if it were like the others: in moves, and in years.
OF_A_MONTH, MIN_YEARS = 40.0, 1.0
AHEAD = 800


class SellingDays:
    """The days from the first move to AHEAD days after `as_of`, and how many selling days have
    ended by the end of each.

    `moved_on` has the day of each move (datetime64[D]), none after `as_of`; `country` is an ISO
    3166 code.
    """

    def __init__(self, moved_on: Days, as_of: np.datetime64, country: str) -> None:
        moved_on = moved_on[~np.isnat(moved_on)]
        self.as_of = as_of.astype("datetime64[D]")
        first = min(moved_on.min(initial=self.as_of), self.as_of)
        self.days: Days = np.arange(first, self.as_of + AHEAD)
        self.first = first
        is_past = self.days <= self.as_of
        counts = np.bincount((moved_on - first).astype(int), minlength=len(self.days))
        self.worth = _worth(self.days, counts, is_past, country)
        # A hair more, so that five fifths are one.
        self._count: Integers = np.floor(np.cumsum(self.worth) + 1e-6).astype(np.int64)

    def by(self, days: Days) -> Integers:
        """How many selling days have ended by the end of each of `days`; nat gives 0."""
        place = (days.astype("datetime64[D]") - self.first).astype(np.int64)
        place = np.where(np.isnat(days), 0, place)
        before = np.where(place < 0, -np.ceil(-place * 5 / 7), 0).astype(np.int64)
        return np.asarray(before + self._count[np.clip(place, 0, len(self._count) - 1)])


def _worth(days: Days, counts: Integers, is_past: NDArray[np.bool_], country: str) -> Floats:
    """What each day is worth, an average working day of the year being worth 1."""
    weekday = (days.astype(np.int64) + 3) % 7
    names, is_off = _holidays(days, country)
    working = (weekday < 5) & ~is_off
    worth = working.astype(float)
    if counts[is_past].sum() >= MIN_MOVES:
        worth = _of_weekdays(weekday, counts, is_past & (names == ""))
        worth = worth * _of_holidays(names, is_off, counts, worth, is_past)
        worth = worth * _of_months(days, counts, worth, is_past)
    year = slice(0, 365) if len(days) >= 365 else slice(None)
    return np.asarray(worth * working[year].sum() / max(worth[year].sum(), 1e-9))


def _holidays(days: Days, country: str) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """The name of the holiday each day is, or nothing; and whether it is a public one."""
    years = {day.year for day in days[[0, -1]].astype(object)}
    span = range(min(years), max(years) + 1)
    if country not in holidays.list_supported_countries(include_aliases=True):
        return np.full(len(days), ""), np.zeros(len(days), dtype=bool)
    public = holidays.country_holidays(country, years=span)
    known = [name for name in ("public", "optional", "bank") if name in public.supported_categories]
    every = holidays.country_holidays(country, years=span, categories=tuple(known))
    of_day: list[date] = list(days.astype(object))
    names = np.array([str(every.get(day, "")) for day in of_day])
    return names, np.array([day in public and day.weekday() < 5 for day in of_day])


def _of_weekdays(weekday: Integers, counts: Integers, is_used: NDArray[np.bool_]) -> Floats:
    n = np.bincount(weekday[is_used], minlength=7)
    moves = np.bincount(weekday[is_used], counts[is_used], minlength=7)
    return np.asarray(quotient(moves, n)[weekday])


def _of_holidays(
    names: NDArray[np.str_],
    is_off: NDArray[np.bool_],
    counts: Integers,
    expected: Floats,
    is_past: NDArray[np.bool_],
) -> Floats:
    """What is left of each day by the holiday it is: its own moves, else none if it is public."""
    code, values = pd.factorize(names)
    prior = np.zeros(len(values))
    prior[code[~is_off]] = 1
    moves = np.bincount(code[is_past], counts[is_past], len(values))
    would_be = np.bincount(code[is_past], expected[is_past], len(values))
    factor = (moves + OF_A_HOLIDAY * prior) / (would_be + OF_A_HOLIDAY)
    return np.asarray(np.where(names == "", 1.0, factor[code]))


def _of_months(
    days: Days, counts: Integers, expected: Floats, is_past: NDArray[np.bool_]
) -> Floats:
    """What the months are worth beside each other, each year by itself: growth is no season."""
    month_of = days.astype("datetime64[M]").astype(np.int64)
    past = np.flatnonzero(is_past)
    if len(past) < 365 * MIN_YEARS:
        return np.ones(len(days))
    weight, season = np.full(12, OF_A_MONTH), np.full(12, OF_A_MONTH)
    # Back from the last day, year by year.
    for last in range(len(past), 364, -365):
        year = past[last - 365 : last]
        moves, would_be = counts[year].sum(), expected[year].sum()
        month = month_of[year] % 12
        season += np.bincount(month, counts[year], 12)
        weight += np.bincount(month, expected[year], 12) * quotient(moves, would_be)
    return np.asarray((season / weight)[month_of % 12])
