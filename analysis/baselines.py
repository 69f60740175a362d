"""What others would forecast, given a fair chance: a distribution, and our new deals.

Belongs here: stage probabilities of the CRM (as they are, and as they turned out), the run rate,
the same quarter of the year before.
Does not belong here: our own forecast, scores.
"""

from dataclasses import dataclass

import numpy as np

from analysis.forecast import N_PERIODS
from analysis.intervals import Floats, Integers
from analysis.outlook import Period, quarters
from analysis.selling_days import Days, SellingDays
from analysis.stays import Stays, is_of, won_between

N = 4_000
# Quarters before that residuals and frequencies are taken from, and the fewest.
N_PAST, MIN_PAST = 8, 3
# Deals by which a stage's frequency is drawn to that of all.
AS_ALL = 10.0


@dataclass(frozen=True)
class OpenDeals:
    """Open deals by row of their stays: worth, the CRM's probability (nan: it has none), and the
    day they are expected to close (nat: none).
    """

    rows: Integers
    worth: Floats
    probability: Floats
    expected_on: Days


def of_open_deals(
    stays: Stays,
    turned_out: list[Floats | None],
    deals: OpenDeals,
    periods: list[Period],
    random: np.random.Generator,
) -> dict[str, list[Floats]]:
    """Draws of what open deals bring in each period, by forecaster; `turned_out` as the function
    says it.
    """
    told: dict[str, list[Floats]] = {}
    if not np.isnan(deals.probability).all():
        due = [
            (deals.expected_on <= period.end)
            & ((deals.expected_on >= period.start) | (number == 0))
            for number, period in enumerate(periods[:N_PERIODS])
        ]
        chance = np.nan_to_num(deals.probability)
        told["crm_probabilities"] = [_sums(chance * is_due, deals.worth, random) for is_due in due]
    if all(share is not None for share in turned_out):
        told["crm_recalibrated"] = [
            _sums(share[stays.state[deals.rows]], deals.worth, random)
            for share in turned_out if share is not None
        ]  # fmt: skip
    return told


def _sums(chance: Floats, worth: Floats, random: np.random.Generator) -> Floats:
    """Draws of the money that comes of deals, each by itself."""
    answer = np.zeros(N)
    part = max(2_000_000 // max(len(worth), 1), 1)
    for first in range(0, N, part):
        size = min(part, N - first)
        won = random.random((size, len(worth)), dtype=np.float32) < chance.astype(np.float32)
        answer[first : first + size] = won @ worth
    return answer


def turned_out(stays: Stays) -> list[Floats | None]:
    """Of each period `_turned_out`."""
    return [_turned_out(stays, number) for number in range(N_PERIODS)]


def _turned_out(stays: Stays, number: int) -> Floats | None:
    """Of each state, the share of deals that stood there on the same day of an earlier quarter and
    were won by the end of it (`number` 1: in the quarter after).
    """
    n, k = np.zeros(len(stays.states)), np.zeros(len(stays.states))
    used = 0
    for day, period in _past_days(stays, number):
        rows = stays.open_at(day)
        if not len(rows):
            continue
        won, _ = won_between(stays, max(day + 1, period.start), period.end)
        is_won = np.isin(stays.journey[rows], stays.journey[won])
        n += np.bincount(stays.state[rows], minlength=len(n))
        k += np.bincount(stays.state[rows], is_won, len(n))
        used += 1
    if used < MIN_PAST:
        return None
    return np.asarray((k + AS_ALL * k.sum() / max(n.sum(), 1)) / (n + AS_ALL))


def _past_days(stays: Stays, number: int) -> list[tuple[np.datetime64, Period]]:
    """The same day of earlier quarters, and the quarter that is forecast from it, ended by now."""
    now = quarters(stays.as_of, 1)[0]
    into = stays.as_of - now.start
    month, found = now.start.astype("datetime64[M]"), []
    first = stays.first_day + 90
    for ago in range(1, N_PAST + 1):
        two = quarters((month - 3 * ago).astype("datetime64[D]"), 2)
        day = min(two[0].start + into, two[0].end)
        if day > first and two[number].end <= stays.as_of:
            found.append((day, two[number]))
    return found


def of_revenue(
    stays: Stays,
    days: SellingDays,
    periods: list[Period],
    scope: tuple[str, str | None],
    random: np.random.Generator,
) -> dict[str, list[Floats]]:
    """Draws of what comes from now on in each period by the run rate, and as in the year before;
    each with the residuals of earlier quarters. Without those, or a year before: absent.
    """
    told: dict[str, list[Floats]] = {}
    for name, guess in (("run_rate", _run_rate), ("last_year", _last_year)):
        draws = []
        for number in range(N_PERIODS):
            now = guess(stays, days, scope, stays.as_of, periods[number])
            errors = []
            for day, period in _past_days(stays, number):
                then = guess(stays, days, scope, day, period)
                if then is not None:
                    came = _won(stays, scope, max(day + 1, period.start), period.end)
                    errors.append(came - then)
            if now is None or len(errors) < MIN_PAST:
                break
            error = np.array(errors)
            # Residuals drawn anew, smoothed as few of them need (Silverman's rule).
            width = error.std(ddof=1) * 1.06 * len(error) ** -0.2
            noise = random.choice(error, N) + width * random.standard_normal(N)
            draws.append(np.maximum(now + noise, 0))
        if len(draws) == N_PERIODS:
            told[name] = draws
    return told


def _won(
    stays: Stays,
    scope: tuple[str, str | None],
    start: np.datetime64,
    end: np.datetime64,
    by: np.datetime64 | None = None,
) -> float:
    rows, amount = won_between(stays, start, end, by)
    return float(np.nansum(amount[is_of(stays, rows, *scope)]))


def _run_rate(
    stays: Stays,
    days: SellingDays,
    scope: tuple[str, str | None],
    day: np.datetime64,
    period: Period,
) -> float | None:
    """The money per selling day of the last year, for those that are left of the period."""
    first = max(day - 365, min(stays.first_day, day))
    if day - first < np.timedelta64(180, "D"):
        return None
    begin, now, start, end = days.by(np.array([first, day, period.start - 1, period.end]))
    rate = _won(stays, scope, first + 1, day, day) / max(int(now - begin), 1)
    return float(rate * (end - max(start, now)))


def _last_year(
    stays: Stays, _days: SellingDays, scope: tuple[str, str | None], day: np.datetime64,
    period: Period,
) -> float | None:  # fmt: skip
    """What the same days of the year before brought; None where deals do not go back so far."""
    month = period.start.astype("datetime64[M]") - 12
    before = quarters(month.astype("datetime64[D]"), 1)[0]
    into = max(day + 1, period.start) - period.start
    if stays.first_day > before.start - 90:
        return None
    return _won(stays, scope, min(before.start + into, before.end), before.end, day)
