"""What a goal needs: new deals a quarter, and from them and the open ones, entries into each stage.

Belongs here: a plan as it was made on one day.
Does not belong here: what has happened since (pace), rates (outlook).

Re-solving every day what must be done from today erases what was missed; a plan is therefore of the
quarter's first day, or of the day its goal was stated, and told from what was known then.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from analysis.goals import Goal
from analysis.intervals import Floats, Integers, quotient
from analysis.outlook import QUARTERS, Outlook
from analysis.renewal import (
    LAST_AGE,
    Hazards,
    reached_from_age,
    reached_within,
    won_within,
)
from analysis.stays import WON

# Draws of rates behind the bounds of a plan.
N_DRAWN = 16
# How much a quarter with as many new deals again weighs against a goal missed altogether; and one
# beyond its goal, which costs nothing: only so that there is one answer.
EVENNESS, BEYOND = 0.02, 0.001
# Nobody has more than so many times the new deals of the best quarter.
MOST = 2.0
# Every so many selling days it is told what comes of the open deals; between them a line.
STEP = 5
# The chance that a safe pace has, the draws it is found by, and the most that it may multiply.
SAFE, N_SAFE, MOST_SAFE = 0.8, 2_000, 4.0


@dataclass(frozen=True)
class Target:
    """A stage (its state), or the wins of a pipeline (WON), and the moves that reach it: skipped
    stages are credited.
    """

    pipeline_id: str
    state: int
    rank: float


@dataclass(frozen=True)
class Scope:
    """Whose plan: masks of the origin's open stays and of its arrivals, what was booked in the
    quarter by then, and the goals of the quarters.
    """

    scope: str
    scope_id: str | None
    is_open: NDArray[np.bool_]
    is_new: NDArray[np.bool_]
    booked: float
    goals: tuple[Goal, ...]


@dataclass(frozen=True)
class Solution:
    """`times`: new deals of each quarter, in terms of `usual`, how many there usually are;
    `missing`: money per quarter that no number of new deals can bring; `new_money`: per draw, what
    they bring in all quarters.
    """

    times: Floats
    usual: Floats
    missing: Floats
    new_money: Floats


class Plan:
    """A plan as of `outlook`'s day, for `rows`, its open stays, worth `amount`."""

    def __init__(
        self, outlook: Outlook, rows: Integers, amount: Floats, random: np.random.Generator
    ) -> None:
        self.outlook, self.rows = outlook, rows
        stays = outlook.stays
        mean, money = outlook.mean_amount, outlook.expected_money_per_share
        self.worth = np.where(np.isnan(amount), mean[stays.kind[rows]], amount) * money
        # The first is what the rates are; those drawn after it tell how well they are known.
        self.worth_times = np.append(1.0, outlook.money_per_share[:N_DRAWN] / money)
        times = outlook.amount_times[:N_DRAWN]
        self.value = mean * np.vstack([np.ones_like(mean), times])  # of a win: draws, classes
        drawn = outlook.drawn.of_move[:, :N_DRAWN]
        of_move = np.concatenate([outlook.expected.of_move, drawn], axis=1)
        self.hazards: Hazards = replace(outlook.drawn, of_move=of_move)
        self.last = max(outlook.ends[-1], 1)
        self._seed = random.integers(2**32)

    @cached_property
    def won(self) -> Floats:
        """`won_within` to the end of the last quarter."""
        return won_within(self.hazards, self.last)

    @cached_property
    def cells(self) -> tuple[tuple[Integers, Integers, Integers], Integers]:
        """Class, state and age of the open stays, each once, and which one each is of."""
        stays, outlook = self.outlook.stays, self.outlook
        age = np.minimum(outlook.today - outlook.days.by(stays.entered[self.rows]), LAST_AGE)
        keys = np.stack([stays.kind[self.rows], stays.state[self.rows], age])
        found, cell = np.unique(keys, axis=1, return_inverse=True)
        return (found[0], found[1], found[2]), cell

    @cached_property
    def open_won(self) -> Floats:
        """The chance of each open stay to be won by the end of each quarter: rows, draws, ends."""
        cells, cell = self.cells
        found = reached_from_age(
            self.hazards, self.won, self.hazards.is_win, cells, self.outlook.ends
        )
        return np.asarray(found[cell])

    @cached_property
    def _won_in_quarter(self) -> Floats:
        """The chance of each open stay to be won in each quarter: rows, draws, quarters."""
        return np.diff(self.open_won, axis=2, prepend=0)

    @cached_property
    def _arrivals(self) -> tuple[Integers, Floats, Integers]:
        rows, per_day = self.outlook.arrivals
        stays = self.outlook.stays
        return rows, per_day, stays.kind[rows] * len(stays.states) + stays.state[rows]

    def per_day(self, scope: Scope) -> Floats:
        """New deals a selling day of a scope, by class and state."""
        _, per_day, cell = self._arrivals
        stays = self.outlook.stays
        size = (len(stays.classes), len(stays.states))
        mine = np.flatnonzero(scope.is_new)
        return np.asarray(np.bincount(cell[mine], per_day[mine], size[0] * size[1]).reshape(size))

    def _mixes(self, scope: Scope) -> Floats:
        """`per_day`, and as many a day of the mix that each draw has: draws, classes, states."""
        rows, per_day, cell = self._arrivals
        rate, mine = self.per_day(scope), np.flatnonzero(scope.is_new)
        weight = self.outlook.by_account[:N_DRAWN, self.outlook.stays.account[rows[mine]]]
        drawn = [np.bincount(cell[mine], each, rate.size) for each in weight * per_day[mine]]
        mixes = np.stack([rate.ravel(), *drawn])
        mixes *= rate.sum() / mixes.sum(axis=1, keepdims=True)
        return mixes.reshape(-1, *rate.shape)

    # --- money -----------------------------------------------------------------------------------

    def solve(self, scope: Scope) -> Solution | None:
        """What new deals the goals need; None where a goal is unknown or nothing is new."""
        goals = np.array([goal.amount for goal in scope.goals])
        rate = self.per_day(scope)
        if np.isnan(goals).any() or not (goals > 0).all() or rate.sum() <= 0:
            return None
        mixes, ends = self._mixes(scope), np.array([0, *self.outlook.ends])
        days = np.maximum(np.diff(ends), 0)
        # Money that a day's new deals have brought after so many days.
        brought = np.einsum("bck,bc,cbkt->bt", mixes, self.value, self.won)
        per_quarter = self._by_quarter(brought, ends)
        money, open_money = per_quarter[0], self._open_money(scope)[0]
        booked = np.array([scope.booked, *np.zeros(QUARTERS - 1)])
        lacking = np.maximum(goals - booked - open_money, 0)
        most = MOST * self._best_quarter(scope) / max(rate.sum() * 60, 1e-9)
        times = np.where(days > 0, _new_deals(money / goals[:, None], lacking / goals, most), 0.0)
        missing = np.maximum(lacking - money @ np.where(days > 0, most, 0.0), 0)
        return Solution(times, rate.sum() * days, missing, per_quarter.sum(axis=1) @ times)

    def _by_quarter(self, brought: Floats, ends: Integers) -> Floats:
        """Money in quarter p from new deals of quarter q at the usual rate: draws, p, q."""
        sums = np.concatenate([np.zeros((len(brought), 1)), np.cumsum(brought, axis=1)], axis=1)

        def by(end: int, start: int, stop: int) -> Floats:
            """By `end`, of deals created on days `start` + 1 to `stop`."""
            stop = min(stop, end)
            if stop <= start:
                return np.zeros(len(brought))
            return np.asarray(sums[:, end - start] - sums[:, end - stop])

        answer = np.zeros((len(brought), QUARTERS, QUARTERS))
        for q in range(QUARTERS):
            total = [by(int(end), int(ends[q]), int(ends[q + 1])) for end in ends]
            answer[:, :, q] = np.diff(np.stack(total, axis=1), axis=1)
        return answer

    def _open_money(self, scope: Scope) -> Floats:
        """Expected of the open deals: draws, quarters."""
        mine = np.flatnonzero(scope.is_open)
        return np.asarray(np.tensordot(self.worth[mine], self._won_in_quarter[mine], 1))

    def _best_quarter(self, scope: Scope) -> float:
        """The most new deals in 60 selling days of the last year."""
        rows, _, _ = self._arrivals
        count = self.outlook.days.by(self.outlook.stays.entered[rows[scope.is_new]])
        ago = (self.outlook.today - count) // 60
        return float(np.bincount(np.maximum(ago, 0), minlength=1).max(initial=0))

    def safe_times(self, scope: Scope, solution: Solution) -> float:
        """What the new deals of a solution must be multiplied by to reach the goals of all four
        quarters together with the chance SAFE; nan: more than MOST_SAFE.

        Common random numbers: each draw keeps its open deals won and its new ones, of which so many
        count as the multiplier has; so each has a multiplier that just reaches the goals.
        """
        new_money = solution.new_money
        goals = sum(goal.amount for goal in scope.goals)
        random = np.random.default_rng(self._seed)
        chance = self.open_won[scope.is_open][:, :, -1]
        worth = self.worth[scope.is_open].astype(np.float32)
        mixes = self._mixes(scope).sum(axis=2)
        value = np.maximum((self.value * mixes).sum(axis=1) / mixes.sum(axis=1), 1e-9)
        spread = self.outlook.spread_of_arrivals()
        pools = [pool for pool in self.outlook.amounts if len(pool)]
        pool = np.concatenate(pools) if pools else np.ones(1)
        pool = pool / max(pool.mean(), 1e-9)
        had, marks, owner, amounts = [], [], [], []
        for kernel in range(chance.shape[1]):
            n = N_SAFE // chance.shape[1]
            won = random.random((n, len(worth)), dtype=np.float32) < chance[:, kernel]
            had.append(won @ worth * self.worth_times[kernel])
            expected = MOST_SAFE * new_money[kernel] / value[kernel]
            effect = np.exp(random.standard_normal(n) * spread)
            count = random.poisson(np.minimum(expected, 2_000) * effect)
            scale = max(expected / 2_000, 1.0)
            owner.append(np.repeat(np.arange(n) + kernel * n, count))
            marks.append(random.random(count.sum()) * MOST_SAFE)
            amounts.append(random.choice(pool, count.sum()) * value[kernel] * scale)
        lacking = goals - scope.booked - np.concatenate(had)
        of, mark, amount = (np.concatenate(parts) for parts in (owner, marks, amounts))
        order = np.argsort(of * MOST_SAFE + mark)
        of, mark, so_far = of[order], mark[order], np.cumsum(amount[order])
        first = np.searchsorted(of, np.arange(len(lacking)))
        before = np.append(0.0, so_far)[first]
        reaches = np.flatnonzero(so_far - before[of] >= lacking[of])
        draws, place = np.unique(of[reaches], return_index=True)
        times = np.full(len(lacking), np.inf)
        times[draws] = mark[reaches[place]]
        times[lacking <= 0] = 0.0
        found = float(np.quantile(times, SAFE, method="inverted_cdf"))
        return found if np.isfinite(found) else np.nan

    # --- entries ---------------------------------------------------------------------------------

    def reaching(self, target: Target) -> NDArray[np.bool_]:
        """Which moves reach the target, from below."""
        stays, hazards = self.outlook.stays, self.hazards
        mine = np.array([pipeline == target.pipeline_id for pipeline, _ in stays.states])
        below = mine & (stays.rank < target.rank) if target.state != WON else mine
        is_from = below[hazards.source]
        to_state = hazards.target >= 0
        place = np.where(to_state, hazards.target, 0)
        beyond = to_state & mine[place] & (stays.rank[place] >= target.rank)
        return np.asarray(is_from & (hazards.is_win | (beyond if target.state != WON else False)))

    def entries(
        self, target: Target, scopes: list[Scope], last: int, n_draws: int = 1 + N_DRAWN
    ) -> tuple[Floats, Floats]:
        """Entries into the target within 0 to `last` selling days: from the open deals of each
        scope, and from its new ones at the usual rate (scopes, draws, days; the first draw is what
        the rates are, `n_draws` are made).
        """
        stays = self.outlook.stays
        hazards = replace(self.hazards, of_move=self.hazards.of_move[:, :n_draws])
        is_there = self.reaching(target)
        from_state = reached_within(hazards, hazards.leaving(last), is_there)
        ends = sorted({*range(0, last + 1, STEP), last})
        days = np.arange(last + 1)
        is_beyond = np.array(
            [
                pipeline == target.pipeline_id and rank >= target.rank and target.state != WON
                for (pipeline, _), rank in zip(stays.states, stays.rank, strict=True)
            ]
        )
        reached = np.where(is_beyond[:, None], 1.0, from_state)
        so_far = np.concatenate(
            [np.zeros((*reached.shape[:-1], 1)), np.cumsum(reached, axis=-1)[..., :-1]], axis=-1
        )
        cells, cell = self.cells
        # A deal that is there already does not enter anew.
        still = np.flatnonzero(~is_beyond[cells[1]])
        n = [np.bincount(cell[scope.is_open], minlength=len(cells[0]))[still] for scope in scopes]
        kind, state, age = (column[still] for column in cells)
        found = reached_from_age(hazards, from_state, is_there, (kind, state, age), ends)
        # What each of `ends` counts on each day: between two of them, a line.
        lines = np.stack([np.interp(days, ends, one) for one in np.eye(len(ends))])
        of_open = np.tensordot(np.array(n, dtype=float), found, 1) @ lines
        per_day = np.array([self.per_day(scope) for scope in scopes])
        return of_open, np.tensordot(per_day, so_far.swapaxes(1, 2), 2)

    def targets(self) -> list[Target]:
        """The stages in use and the wins of each pipeline, in order."""
        stays = self.outlook.stays
        recent = stays.entered > stays.as_of - 120
        in_use = np.bincount(stays.state[recent], minlength=len(stays.states)) > 0
        found = [
            Target(pipeline, state, float(stays.rank[state]))
            for state, (pipeline, stage) in enumerate(stays.states)
            if stage is not None and in_use[state]
        ]
        pipelines = {p for (p, _), used in zip(stays.states, in_use, strict=True) if used}
        found += [Target(pipeline, WON, np.inf) for pipeline in pipelines]
        return sorted(found, key=lambda target: (str(target.pipeline_id), target.rank))


def _new_deals(money: Floats, lacking: Floats, most: float) -> Floats:
    """New deals of each quarter, in terms of the usual, at most `most`: so that what they bring and
    what of the goals is lacking come as near as can be, what is beyond a goal being no fault, and
    as evenly as that allows. Both are parts of the goals; `money` of a quarter (row) from new deals
    of each.
    """
    n = len(lacking)
    one, none = np.eye(n), np.zeros((n, n))
    # Unknowns: new deals, what is missed, what is beyond; the first rows tie them together.
    rows = np.block([
        [1e3 * money, 1e3 * one, -1e3 * one],
        [EVENNESS * one, none, none],
        [none, one, none],
        [none, none, BEYOND * one],
    ])  # fmt: skip
    wanted = np.concatenate([1e3 * lacking, np.full(n, EVENNESS), np.zeros(2 * n)])
    highest = np.concatenate([np.full(n, max(most, 1e-6)), np.full(2 * n, np.inf)])
    return np.asarray(lsq_linear(rows, wanted, bounds=(0, highest)).x[:n])


def ahead_by(n: Floats, entered: float, today: int) -> float:
    """Selling days ahead of (behind: below 0) `n`, the entries planned by each day, having had so
    many; beyond the plan's last day at its mean pace.
    """
    last = len(n) - 1
    if entered >= n[last]:
        pace = quotient(n[last] - n[0], max(last, 1))
        return float(last + quotient(entered - n[last], pace) - today)
    return float(np.interp(entered, n, np.arange(last + 1)) - today)


def noise_of(elapsed: int, n: Any) -> Any:
    """Days by which chance alone moves the time at which `n` entries have come."""
    return quotient(elapsed, np.sqrt(n))
