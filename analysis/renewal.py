"""Deals as a Markov renewal process: from each stage, at each age, to another, won or lost.

Belongs here: hazards by age in selling days, shares won within a time, of entries and open deals.
Does not belong here: what a stage or a selling day is (stays, selling_days), draws (forecast).

Hazards are those behind the Aalen–Johansen estimator, constant within spans of ages; a class of
deals with few of its own is drawn to what all deals do. What comes later follows by renewal (Çinlar
1969, Adv. Appl. Prob. 1, 123–187): an entry into k is won within b by leaving for a win by then, or
for j at t and being won from there within b − t.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from analysis.intervals import Floats, Integers, quotient
from analysis.selling_days import SellingDays
from analysis.stays import LOST, OPEN, WON, Stays

# First ages, in selling days, of the spans in which hazards are constant; the last has no end.
SPANS = np.array([1, 2, 3, 5, 8, 12, 18, 26, 37, 52, 72, 100, 140, 195, 270, 380, 530])
LAST_AGE = 750
# What a class is taken to have besides its own: this many deals that did as all deals.
AS_ALL = 15.0
# And a span of ages: part of an event as often as over all ages.
AS_EVER = 0.5
# What subtractions leave of a stage that all have left.
NOBODY = 1e-9


def span_of(age: Any) -> Integers:
    """The span of each age."""
    return np.asarray(np.searchsorted(SPANS, np.clip(age, 1, LAST_AGE), side="right") - 1)


@dataclass(frozen=True)
class Ages:
    """Stays that are followed, by ages in selling days: at risk after `late` up to `end`, when, in
    `rows` of the stays, they ended or were lost from sight. A move on the day of entry has age 1.
    """

    rows: Integers
    late: Integers
    end: Integers

    @classmethod
    def of(cls, stays: Stays, days: SellingDays) -> "Ages":
        entered, left = days.by(stays.entered), days.by(np.minimum(stays.left, stays.as_of))
        until, since = days.by(stays.until), days.by(stays.since)
        is_open = stays.is_open
        end = np.where(is_open, until, np.minimum(left, until)) - entered
        # What happened on the last day is known of those alone that it happened to.
        is_told = ~np.isnat(stays.since) & ~np.isnat(stays.until) & (until > entered)
        end = np.where(is_open, end, np.maximum(end, 1))
        late = np.where(stays.since > stays.entered, since - entered, 0)
        rows = np.flatnonzero(is_told & (end > late))
        return cls(rows, late[rows], np.minimum(end[rows], LAST_AGE))


@dataclass(frozen=True)
class Hazards:
    """`of_move[c, b, p, s]`: in class c and draw b, the chance of move p on a day of span s, of
    those still in the stage. Moves lead from state `source` to `target` (a state, WON or LOST).
    """

    source: Integers
    target: Integers
    of_move: Floats
    n_states: int

    @classmethod
    def of(cls, stays: Stays, ages: Ages, by_account: Floats, tilt: Floats) -> "Hazards":
        """`by_account` has a row a draw, a column an account: what its stays weigh. The move that
        ended a stay of `ages.rows` counts `tilt` times as much.
        """
        n_states, n_classes, n_spans = len(stays.states), len(stays.classes), len(SPANS)
        state, kind = stays.state[ages.rows], stays.kind[ages.rows]
        to = np.where(stays.to[ages.rows] < WON, LOST, stays.to[ages.rows])
        has_moved = to != OPEN
        key = state * (n_states + 4) + to + 4
        moves, move = np.unique(key[has_moved], return_inverse=True)
        source, target = moves // (n_states + 4), moves % (n_states + 4) - 4
        cell = kind * n_states + state
        width, n_draws, account = LAST_AGE + 2, len(by_account), stays.account[ages.rows]
        moved = (kind[has_moved] * len(moves) + move) * n_spans + span_of(ages.end[has_moved])
        # Counts by account, made once, times what accounts weigh: of 2 M stays 50 draws take 1 s
        # this way, 6 s counted one by one.
        change = csr_array(
            (np.repeat([1.0, -1.0], len(cell)),
             (np.concatenate([cell * width + ages.late + 1, cell * width + ages.end + 1]),
              np.tile(account, 2))),
            shape=(n_classes * n_states * width, by_account.shape[1]),
        )  # fmt: skip
        events = csr_array(
            (tilt[has_moved], (moved, account[has_moved])),
            shape=(n_classes * len(moves) * n_spans, by_account.shape[1]),
        )
        stayed = csr_array(
            (np.ones(len(state)), (state, account)), shape=(n_states, by_account.shape[1])
        )
        at_risk = []
        for weight in by_account:
            there = np.cumsum((change @ weight).reshape(-1, width), axis=1)
            there[there < NOBODY] = 0
            at_risk.append(np.add.reduceat(there[:, : LAST_AGE + 1], SPANS, axis=1))
        exposure = np.stack(at_risk).reshape(n_draws, n_classes, n_states, n_spans).swapaxes(0, 1)
        event = (events @ by_account.T).T.reshape(n_draws, n_classes, len(moves), n_spans)
        n = (stayed @ by_account.T).T
        hazards = _shrunk(exposure, event.swapaxes(0, 1), n, source)
        return cls(source, target, hazards, n_states)

    def daily(self, ages: Integers) -> Floats:
        """`of_move` on each of these ages, last axis; together at most 0.98 a day."""
        found = self.of_move[..., span_of(ages)]
        total = self.by_state(found)
        scale = np.where(total > 0.98, 0.98 / np.maximum(total, 1e-12), 1.0)
        return np.asarray(found * scale[:, :, self.source])

    def by_state(self, of_moves: Floats) -> Floats:
        """Summed over the moves from each state (third axis)."""
        return np.asarray(np.einsum("cbp...,pk->cbk...", of_moves, self.is_from))

    @cached_property
    def is_from(self) -> Floats:
        """Of each move and state, 1 if it leads from there."""
        return np.asarray(self.source[:, None] == np.arange(self.n_states), dtype=float)

    @cached_property
    def is_win(self) -> NDArray[np.bool_]:
        return np.asarray(self.target == WON)

    def leaving(self, last: int) -> Floats:
        """The chance that an entry leaves by each move at each age 0 to `last`: c, b, p, age."""
        daily = self.daily(np.arange(1, last + 1))
        staying = np.cumprod(1 - self.by_state(daily), axis=-1)
        before = np.concatenate([np.ones((*staying.shape[:-1], 1)), staying[..., :-1]], axis=-1)
        leaves = before[:, :, self.source] * daily
        return np.asarray(np.concatenate([np.zeros((*leaves.shape[:-1], 1)), leaves], axis=-1))


def _shrunk(exposure: Any, event: Any, n: Any, source: Integers) -> Floats:
    """Hazards by class, span and move, each drawn to less detail: class to all, age to all ages."""
    of_all, at_risk = event.sum(axis=0), exposure.sum(axis=0)
    in_all = of_all.sum(axis=-1)
    of_state = in_all @ (source[:, None] == np.arange(n.shape[1]))
    share = quotient(in_all, of_state[:, source])
    ever = quotient(of_state, at_risk.sum(axis=-1))
    pseudo = quotient(AS_EVER, ever)[:, source]
    pooled = quotient(of_all + AS_EVER * share[..., None], at_risk[:, source] + pseudo[..., None])
    own = quotient(AS_ALL * at_risk, n[..., None])[:, source][None]
    there = exposure[:, :, source]
    return np.where(there + own > 0, quotient(event + own * pooled, there + own), pooled[None])


def won_within(hazards: Hazards, last: int) -> Floats:
    """The chance that an entry into each state is won within 0 to `last` selling days: classes,
    draws, states, days.
    """
    leaves = hazards.leaving(last)
    return reached_within(hazards, leaves, hazards.is_win)


def reached_within(hazards: Hazards, leaves: Floats, is_there: NDArray[np.bool_]) -> Floats:
    """The chance that an entry into each state makes one of the moves `is_there`, directly or from
    another state, within so many days; `leaves` is of `Hazards.leaving`.
    """
    width = leaves.shape[-1]
    direct = np.where(is_there[:, None], np.cumsum(leaves, axis=-1), 0.0)
    reached = hazards.by_state(direct)
    is_step = ~is_there & (hazards.target >= 0)
    source, target = hazards.source[is_step], hazards.target[is_step]
    if not len(source):
        return reached
    steps = np.ascontiguousarray(leaves[:, :, is_step])
    back = np.zeros_like(steps)  # what is reached from the target, the latest day first
    into = hazards.is_from[is_step]
    for day in range(1, width):
        back[..., width - day] = reached[:, :, target, day - 1]
        by_step = np.einsum("...t,...t->...", steps[..., 1 : day + 1], back[..., width - day :])
        reached[..., day] += by_step @ into
    return reached


def reached_from_age(
    hazards: Hazards,
    reached: Floats,
    is_there: NDArray[np.bool_],
    cells: tuple[Integers, Integers, Integers],
    ends: list[int],
) -> Floats:
    """The chance that an open deal makes one of the moves `is_there` within each of `ends` selling
    days: cells, draws, ends.

    `cells` are the class, state and age of each; `reached` is of `reached_within` for the same
    moves, to the last of `ends`.
    """
    kind, state, age = cells
    answer = np.zeros((len(kind), reached.shape[1], len(ends)))
    last = max(ends)
    if last < 1:
        return answer
    for number in np.unique(state):
        moves = np.flatnonzero(hazards.source == number)
        of_state = np.flatnonzero(state == number)
        for part in np.array_split(of_state, max(1, len(of_state) * len(moves) * last // 40_000)):
            if len(moves) and len(part):
                answer[part] = _of_cells(
                    hazards, reached, is_there, moves, kind[part], age[part], ends
                )
    return answer


def _of_cells(
    hazards: Hazards,
    reached: Floats,
    is_there: NDArray[np.bool_],
    moves: Integers,
    kind: Integers,
    age: Integers,
    ends: list[int],
) -> Floats:
    last = max(ends)
    spans = span_of(age[:, None] + np.arange(1, last + 1))
    # Cells, draws, moves, days.
    daily = hazards.of_move[:, :, moves][kind[:, None], :, :, spans].transpose(0, 2, 3, 1)
    total = daily.sum(axis=2)
    scale = np.where(total > 0.98, 0.98 / np.maximum(total, 1e-12), 1.0)
    daily = daily * scale[:, :, None]
    staying = np.cumprod(1 - total * scale, axis=-1)
    before = np.concatenate([np.ones((*staying.shape[:-1], 1)), staying[..., :-1]], axis=-1)
    leaves = before[:, :, None] * daily
    answer = np.zeros((*staying.shape[:-1], len(ends)))
    so_far = np.array(ends) - 1
    for number, move in enumerate(moves):
        target = hazards.target[move]
        if is_there[move]:
            answer += np.where(so_far >= 0, leaves[:, :, number].cumsum(axis=-1)[..., so_far], 0.0)
            continue
        for place, end in enumerate(ends):
            if target >= 0 and end > 0:
                later = reached[kind, :, target, end - 1 :: -1][..., :end]
                answer[..., place] += np.einsum("nbt,nbt->nb", leaves[:, :, number, :end], later)
    return answer
