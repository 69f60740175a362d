"""When people work in Sweden.

Belongs here: holidays, working hours.
Does not belong here: what they do then (`histories`).
"""

from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np

from simulation.company import ZONE


@cache
def holidays(year: int) -> frozenset[date]:
    """Swedish public holidays and the eves on which nobody works (lag 1989:253; custom)."""
    easter = _easter(year)
    midsummer = next(d for d in days_from(date(year, 6, 19), 7) if d.weekday() == 4)
    fixed = ((1, 1), (1, 6), (5, 1), (6, 6), (12, 24), (12, 25), (12, 26), (12, 31))
    movable = (easter - timedelta(2), easter + timedelta(1), easter + timedelta(39), midsummer)
    return frozenset({*(date(year, month, day) for month, day in fixed), *movable})


def _easter(year: int) -> date:
    """Easter Sunday (the anonymous Gregorian algorithm, Nature, 20 April 1876)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def days_from(first: date, n: int) -> list[date]:
    return [first + timedelta(days=i) for i in range(n)]


def is_working_day(day: date) -> bool:
    return day.weekday() < 5 and day not in holidays(day.year)


def working_time(random: np.random.Generator, day: date) -> datetime:
    minutes = int(np.clip(random.normal(60 * 13, 150), 60 * 8, 60 * 17))
    local = datetime(day.year, day.month, day.day, minutes // 60, minutes % 60, tzinfo=ZONE)
    return local.astimezone(UTC) + timedelta(seconds=int(random.integers(60)))


def later(random: np.random.Generator, at: datetime, median_days: float) -> datetime:
    """After a log-normal stay, on a working day."""
    day = (at + timedelta(days=max(1.0, float(random.lognormal(np.log(median_days), 0.7))))).date()
    while not is_working_day(day):
        day += timedelta(days=1)
    return max(working_time(random, day), at + timedelta(hours=2))
