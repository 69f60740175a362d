"""What a company's stays say of the time to come: rates with their uncertainty, arrivals, amounts.

Belongs here: what forecast and pace both start from.
Does not belong here: draws (forecast), needs (pace), tables.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from analysis.drift import Drift
from analysis.intervals import Floats, Integers, quotient
from analysis.renewal import (
    LAST_AGE,
    Ages,
    Hazards,
    reached_from_age,
    won_within,
)
from analysis.selling_days import Days, SellingDays
from analysis.stays import WON, Stays, won_between

# Parameters drawn (Bayesian bootstrap by account: Rubin 1981, Ann. Stat. 9, 130–134).
N_KERNELS = 50
# Without as many deals won nothing is forecast.
MIN_WINS = 5
# Arrivals of the last year count, recent ones more: half as much each so many selling days.
ARRIVALS_DAYS, ARRIVALS_HALF_LIFE = 365, 90.0
# What quarters differ by besides chance, as standard deviation of a logarithm, before any is seen;
# and for how many quarters that stands.
SPREAD, OF_QUARTERS = 0.08, 4.0
MIN_OF_QUARTER = 5
# Wins' worth of amounts by which the money won is drawn to what deals' shares won say.
OF_AMOUNTS = 10.0
MIN_AMOUNTS = 5
QUARTERS = 4


@dataclass(frozen=True)
class Period:
    """A quarter; `start` and `end` are its first and last days."""

    start: np.datetime64
    end: np.datetime64


def quarters(day: np.datetime64, n: int) -> list[Period]:
    """The quarter of `day` and those after it."""
    month = day.astype("datetime64[M]")
    first = month - (month.astype(np.int64) % 3)
    starts = [(first + 3 * i).astype("datetime64[D]") for i in range(n + 1)]
    return [Period(a, b - 1) for a, b in pairwise(starts)]


class Outlook:
    """`stays` as of some day, `country` for its holidays; `random` draws what rates may be.

    `is_weighed`: whether moves count by what has changed since, where rates have (drift).
    """

    def __init__(
        self, stays: Stays, country: str, random: np.random.Generator, is_weighed: bool = True
    ) -> None:
        self.stays, self.country = stays, country
        self.days = SellingDays(stays.moved_on, stays.as_of, country)
        self.today = int(self.days.by(np.array([stays.as_of]))[0])
        self.periods = quarters(stays.as_of, QUARTERS)
        self.ends = [
            max(int(end) - self.today, 0)
            for end in self.days.by(np.array([period.end for period in self.periods]))
        ]
        self.ages = Ages.of(stays, self.days)
        self.drift = Drift.of(stays, self.ages)
        self.n_wins = int((stays.to[self.ages.rows] == WON).sum())
        self.by_account = random.exponential(size=(N_KERNELS, stays.account.max(initial=-1) + 1))
        self.is_weighed = is_weighed and self.drift.is_drifting

    @cached_property
    def tilt(self) -> Floats:
        """What the move that ended each followed stay counts for (`Drift.tilt`)."""
        if not self.is_weighed:
            return np.ones(len(self.ages.rows))
        return self.drift.tilt(self.stays, self.ages)

    @cached_property
    def drawn(self) -> Hazards:
        return Hazards.of(self.stays, self.ages, self.by_account, self.tilt)

    @cached_property
    def expected(self) -> Hazards:
        alike = np.ones((1, self.by_account.shape[1]))
        return Hazards.of(self.stays, self.ages, alike, self.tilt)

    @cached_property
    def won(self) -> Floats:
        """`won_within` of the draws, to the end of the next quarter."""
        return won_within(self.drawn, max(self.ends[1], 1))

    @cached_property
    def open_rows(self) -> Integers:
        """The stays that last."""
        return np.flatnonzero(self.stays.is_open)

    def open_won(self, rows: Integers, n_periods: int = 2) -> Floats:
        """The chance that each of the open stays `rows` is won by the end of this period, the next
        …: rows, draws, periods.
        """
        age = np.minimum(self.today - self.days.by(self.stays.entered[rows]), LAST_AGE)
        cells, cell = np.unique(
            np.stack([self.stays.kind[rows], self.stays.state[rows], age]),
            axis=1, return_inverse=True,
        )  # fmt: skip
        kind, state, ages = cells
        found = reached_from_age(
            self.drawn, self.won, self.drawn.is_win, (kind, state, ages), self.ends[:n_periods]
        )
        return np.asarray(found[cell])

    @cached_property
    def booked(self) -> tuple[Integers, Floats]:
        """The stays won in the quarter of the day, as `won_between`."""
        return won_between(self.stays, self.periods[0].start, self.stays.as_of)

    # --- arrivals --------------------------------------------------------------------------------

    @cached_property
    def arrivals(self) -> tuple[Integers, Floats]:
        """Stays that deals began with within a year, and how many a selling day each stands for."""
        stays = self.stays
        first = max(stays.as_of - ARRIVALS_DAYS, self.days.first)
        rows = np.flatnonzero(stays.is_arrival & (stays.entered > first))
        count = self.days.by(np.concatenate([[first], stays.entered[rows]]))
        spent = self.today - np.arange(int(count[0]) + 1, self.today + 1)
        weight = 0.5 ** ((self.today - count[1:]) / ARRIVALS_HALF_LIFE)
        every = np.sum(0.5 ** (spent / ARRIVALS_HALF_LIFE))
        return rows, weight / max(every, 1e-9)

    def spread_of_arrivals(self) -> float:
        """How quarters' arrivals differ from the quarter's before, besides chance: the standard
        deviation of the logarithm.
        """
        stays = self.stays
        bounds = self._bounds()
        days = np.maximum(np.diff(self.days.by(bounds)), 1)
        n = np.histogram(stays.entered[stays.is_arrival].astype(np.int64),
                         bounds.astype(np.int64))[0]  # fmt: skip
        is_large = (n[1:] >= MIN_OF_QUARTER) & (n[:-1] >= MIN_OF_QUARTER)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.log(n[1:] / days[1:]) - np.log(n[:-1] / days[:-1])
            noise = 1 / n[1:] + 1 / n[:-1]
        return _spread(step[is_large] ** 2 - noise[is_large])

    def spread_of_moves(self) -> float:
        """As `spread_of_arrivals`, of moves forward against what their stages' rates expect."""
        stays, rows = self.stays, self.ages.rows
        hazards = self.expected
        forward = np.zeros(len(hazards.source), dtype=bool)
        moved = rows[stays.is_forward[rows]]
        known = set(zip(stays.state[moved].tolist(), stays.to[moved].tolist(), strict=True))
        forward[:] = [
            pair in known
            for pair in zip(hazards.source.tolist(), hazards.target.tolist(), strict=True)
        ]
        daily = hazards.daily(np.arange(1, LAST_AGE + 1))[:, :, forward]
        chances = np.einsum("cbpt,pk->ckt", daily, hazards.is_from[forward])
        to_age = np.concatenate(
            [np.zeros((*chances.shape[:2], 1)), chances.cumsum(axis=-1)], axis=-1
        )
        bounds = self._bounds()
        entered = self.days.by(stays.entered[rows])
        kind, state = stays.kind[rows], stays.state[rows]
        left = stays.left[rows]
        seen = []
        for begin, end in pairwise(bounds):
            ages = [
                np.clip(count - entered, self.ages.late, self.ages.end)
                for count in self.days.by(np.array([begin - 1, end - 1]))
            ]
            expected = (to_age[kind, state, ages[1]] - to_age[kind, state, ages[0]]).sum()
            n = (stays.is_forward[rows] & (left >= begin) & (left < end)).sum()
            if expected >= MIN_OF_QUARTER:
                seen.append(((n - expected) ** 2 - n) / expected**2)
        return _spread(np.array(seen))

    def _bounds(self) -> Days:
        """First days of the quarters that have ended, at most twelve, and of this one."""
        first = quarters(self.stays.as_of, 1)[0].start.astype("datetime64[M]")
        starts = (first - 3 * np.arange(12, -1, -1)).astype("datetime64[D]")
        return np.asarray(starts[starts >= self.days.first])

    # --- money -----------------------------------------------------------------------------------

    @cached_property
    def _winners(self) -> list[Integers]:
        """The stays that tell what deals of each class are won for; classes with few wins are taken
        together.

        Each win counts once: were a class of few and large deals taken to win what all do, its
        money would be missing (a tenth of all, at 100 deals a year).
        """
        rows = self.stays.wins
        rows = rows[~np.isnan(self.stays.left_amount[rows])]
        own = [rows[self.stays.kind[rows] == kind] for kind in range(len(self.stays.classes))]
        taken: list[int] = []
        answer: list[Integers] = [rows[:0]] * len(own)
        for kind in sorted(range(len(own)), key=lambda each: len(own[each])):
            taken.append(kind)
            together = np.concatenate([own[each] for each in taken])
            for each in taken:
                answer[each] = together
            if len(together) >= MIN_AMOUNTS:
                taken = []
        return answer

    @cached_property
    def amounts(self) -> list[Floats]:
        """Of each class, what its deals were won for."""
        return [self.stays.left_amount[rows] for rows in self._winners]

    @cached_property
    def mean_amount(self) -> Floats:
        """Of each class; 0 where nothing was won."""
        return np.array([pool.mean() if len(pool) else 0.0 for pool in self.amounts])

    @cached_property
    def amount_times(self) -> Floats:
        """What the mean amount may be, in terms of `mean_amount`: draws, classes."""
        n_accounts = self.by_account.shape[1]
        answer = np.ones((N_KERNELS, len(self.amounts)))
        for kind, (rows, amount) in enumerate(zip(self._winners, self.amounts, strict=True)):
            money, n = (
                self.by_account @ np.bincount(self.stays.account[rows], weight, n_accounts)
                for weight in (amount, None)
            )
            if len(rows) and amount.mean():
                answer[:, kind] = money / n / amount.mean()
        return answer

    @cached_property
    def money_per_share(self) -> Floats:
        """Per draw; see `_money_per_share`."""
        return self._money_per_share(self.by_account)

    @cached_property
    def expected_money_per_share(self) -> float:
        """Of all deals alike; see `_money_per_share`."""
        return float(self._money_per_share(np.ones((1, self.by_account.shape[1])))[0])

    def _money_per_share(self, by_account: Floats) -> Floats:
        """Per row of weights, the money that deals' amounts came to, in terms of what the shares
        won of their class and stage say: large deals are won less often, and for less than
        was asked.
        """
        stays = self.stays
        attempt = np.cumsum(stays.is_arrival) if len(stays.state) else stays.state
        last = np.flatnonzero(np.append(np.diff(attempt) != 0, True)) if len(attempt) else attempt
        end = last[np.searchsorted(last, np.arange(len(attempt)))]
        final, came_to = stays.to[end], stays.left_amount[end]
        is_won = final == WON
        rows = np.flatnonzero(
            (final < -1) & ~np.isnan(stays.amount) & ~(is_won & np.isnan(came_to))
        )
        if not len(rows):
            return np.ones(len(by_account))
        cell = stays.kind[rows] * len(stays.states) + stays.state[rows]
        share = quotient(np.bincount(cell, is_won[rows]), np.bincount(cell))[cell]
        got, said = (
            by_account @ np.bincount(stays.account[rows], money, by_account.shape[1])
            for money in (np.where(is_won[rows], came_to[rows], 0.0), stays.amount[rows] * share)
        )
        pseudo = OF_AMOUNTS * stays.amount[rows].mean()
        return np.asarray((got + pseudo) / (said + pseudo))


def _spread(squared: Floats) -> float:
    """From squared deviations of quarters, chance deducted; few of them say little."""
    total = OF_QUARTERS * SPREAD**2 + np.sum(squared)
    return float(np.sqrt(max(total, 0) / (OF_QUARTERS + len(squared))))
