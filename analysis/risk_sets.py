"""Who is at risk, by group and day, and what each adds to sums over events.

Belongs here: subjects, their order and parts, counts on a grid of whole days, influences.
Does not belong here: estimators (incidence), what a group or an event is (entries).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.intervals import NOTHING, Floats, Integers, quotient

# Subjects, and cells of groups and days, that are looked at together: each takes some 250 bytes.
N_TOGETHER = 200_000


@dataclass(frozen=True)
class Subjects:
    """Who is followed, one element each, all arrays of the same length.

    `group` from 0 to below `n_groups`; `cluster`, whose members are not independent; at risk on
    the days after `entry` (-1: from the beginning) up to and including `leaving`; on which `event`
    happened, or 0: was lost from sight.
    """

    group: Integers
    n_groups: int
    cluster: Integers
    entry: Integers
    leaving: Integers
    event: Integers

    def take(self, rows: Any) -> "Subjects":
        arrays = (self.cluster, self.entry, self.leaving, self.event)
        return Subjects(self.group[rows], self.n_groups, *(array[rows] for array in arrays))

    def until(self, last_day: int) -> "Subjects":
        """The same, followed until `last_day` at most."""
        event = np.where(self.leaving > last_day, 0, self.event)
        leaving = np.minimum(self.leaving, last_day)
        return Subjects(self.group, self.n_groups, self.cluster, self.entry, leaving, event)


def in_order(subjects: Subjects, last_day: int) -> Integers:
    """By group, cluster and day of leaving, without those never at risk by the last day."""
    if subjects.n_groups < 65_536 and not (subjects.entry >= 0).any():
        width = np.int64(subjects.leaving.max(initial=0)) + 1
        first = subjects.cluster * width + subjects.leaving
        if (first[1:] >= first[:-1]).all():
            # Sorting small whole numbers takes a tenth of the time.
            return np.argsort(subjects.group.astype(np.uint16), kind="stable")
    order = np.lexsort((subjects.leaving, subjects.cluster, subjects.group))
    return order[subjects.entry[order] < last_day]


def starts_of(group: Integers, cluster: Integers) -> Integers:
    """Where the clusters of each group begin, both in order."""
    is_first = (np.diff(cluster, prepend=-1) != 0) | (np.diff(group, prepend=-1) != 0)
    return np.flatnonzero(is_first)


def parts_of(subjects: Subjects, width: int) -> Iterator[Subjects]:
    """Subjects in order of their groups, N_TOGETHER at a time, and never less than a group."""
    ends = np.cumsum(np.bincount(subjects.group, minlength=subjects.n_groups))
    arrays = (subjects.cluster, subjects.entry, subjects.leaving, subjects.event)
    first = begin = 0
    while first < max(subjects.n_groups, 1):
        last = int(np.searchsorted(ends, begin + N_TOGETHER, side="right"))
        last = min(max(min(last, first + N_TOGETHER // width), first + 1), subjects.n_groups)
        end = int(ends[last - 1]) if last else 0
        group = subjects.group[begin:end] - first
        yield Subjects(group, last - first, *(array[begin:end] for array in arrays))
        first, begin = max(last, 1), end


class Grid:
    """Subjects counted per group and day: at risk, leaving with an event; S before the day."""

    def __init__(self, subjects: Subjects, width: int) -> None:
        self.subjects = subjects
        self.shape = (subjects.n_groups, width)
        first = subjects.group.astype(np.int64) * width
        self.at_leaving = first + subjects.leaving
        n_entered = self.count(first + subjects.entry + 1)
        n_left = self.count(self.at_leaving)
        self.at_risk = np.cumsum(n_entered, axis=1) - np.cumsum(n_left, axis=1) + n_left
        self.n = n_entered.sum(axis=1)[:, None]
        self.d = self.count(self.at_leaving[subjects.event > 0])
        survival = np.cumprod(1 - quotient(self.d, self.at_risk), axis=1)
        self.before = np.concatenate([np.ones((self.shape[0], 1)), survival[:, :-1]], axis=1)
        self.unseen = np.where((self.at_risk == 0) & (self.before > NOTHING), self.before, 0.0)

    def count(self, keys: Integers, weights: Floats | None = None) -> Any:
        size = self.shape[0] * self.shape[1]
        return np.bincount(keys, weights, minlength=size).reshape(self.shape)


class Clusters:
    """The order in which clusters change, and sums of their changes over days.

    The influence of a subject on F(t) is a + F(t) b once it has left, and the same k(t) for all
    that are still at risk. So the squared sum of a cluster is a quadratic in F(t) and k(t), whose
    six coefficients change only when a member enters or leaves. Summed over clusters they give the
    variance on all days at once. Subjects come in `in_order`.
    """

    def __init__(self, subjects: Subjects, width: int) -> None:
        self.shape = (subjects.n_groups, width)
        self.late = np.flatnonzero(subjects.entry >= 0)
        entered = subjects.entry[self.late]
        self.late_keys = subjects.group[self.late].astype(np.int64) * width + entered
        group = np.concatenate([subjects.group, subjects.group[self.late]]).astype(np.int64)
        cluster = np.concatenate([subjects.cluster, subjects.cluster[self.late]])
        day = np.concatenate([subjects.leaving, entered + 1])
        is_there = np.concatenate([subjects.entry < 0, np.zeros(len(self.late), bool)])
        change = np.concatenate([-np.ones(len(subjects.group)), np.ones(len(self.late))])
        self.order: Any = np.lexsort((day, cluster, group)) if len(self.late) else slice(None)
        group, cluster, day = group[self.order], cluster[self.order], day[self.order]
        self.keys = group * width + day
        self.starts = starts_of(group, cluster)
        self.lengths = np.diff(self.starts, append=len(group))
        of_group = group[self.starts]
        self.n = np.bincount(of_group, minlength=self.shape[0])[:, None]
        at_start = np.add.reduceat(is_there[self.order], self.starts, dtype=float)
        self.at_risk = self.running(change, at_start)
        squared = np.bincount(of_group, at_start**2, minlength=self.shape[0])
        self.at_risk_squared = squared[:, None] + self.summed(self.at_risk, self.at_risk)

    def running(self, change: Floats, at_start: Any = 0.0) -> tuple[Floats, Floats]:
        """Of each cluster, the value before and after each change."""
        change = change[self.order]
        total = np.cumsum(change)
        begin = total[self.starts] - change[self.starts] - at_start
        after = total - np.repeat(begin, self.lengths)
        return after - change, after

    def summed(self, one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> Floats:
        """Per group and day, the sum over clusters of the product of two of their values."""
        change = one[1] * other[1] - one[0] * other[0]
        size = self.shape[0] * self.shape[1]
        by_day = np.bincount(self.keys, change, minlength=size).reshape(self.shape)
        return np.asarray(np.cumsum(by_day, axis=1))


class Sum:
    """Expected sum of marks of the events by each day, and what each subject adds to it.

    `mark`: what each subject's leaving counts for; 1 for an event and 0 for all else gives F. The
    influence of a subject on the total of a day is `constant` + total · `slope` (once it has left;
    see `Clusters`), and for one that entered late `entered` of its day of entry more.
    """

    def __init__(self, grid: Grid, mark: Floats) -> None:
        self.grid = grid
        step = grid.before * quotient(grid.count(grid.at_leaving, mark), grid.at_risk)
        self.total = np.cumsum(step, axis=1)
        survivors = grid.at_risk - grid.d
        greenwood = quotient(quotient(grid.d, grid.at_risk), survivors)
        self.ac = np.cumsum(quotient(step, grid.at_risk) + self.total * greenwood, axis=1)
        self.b = np.cumsum(greenwood, axis=1)
        there, has_event = grid.at_leaving, grid.subjects.event > 0
        survived = quotient(1.0, survivors)
        self.constant = mark * quotient(grid.before, grid.at_risk).ravel()[there]
        self.constant += has_event * (self.total * survived).ravel()[there] - self.ac.ravel()[there]
        self.slope = self.b.ravel()[there] - has_event * survived.ravel()[there]

    def entered(self, keys: Integers) -> tuple[Floats, Floats]:
        return self.ac.ravel()[keys], -self.b.ravel()[keys]

    def influence_at(self, last_day: int) -> Floats:
        """Of each subject on the total of the last day, by which all have left."""
        subjects = self.grid.subjects
        total = self.total[subjects.group, last_day]
        influence = self.constant + total * self.slope
        late = np.flatnonzero(subjects.entry >= 0)
        keys = subjects.group[late].astype(np.int64) * (last_day + 1) + subjects.entry[late]
        constant, slope = self.entered(keys)
        influence[late] += constant + total[late] * slope
        return np.asarray(influence)
