"""Cumulative incidence with competing events, many groups at once, on a grid of whole days.

Belongs here: the Aalen–Johansen estimator and its variance clustered by account.
Does not belong here: what a group or an event is (entries), tables.

Aalen & Johansen (1978), Scand. J. Statist. 5, 141–150: F(t) = Σ S(u−) d₁(u)/Y(u), over days u ≤ t,
where Y is the number at risk, d₁ those with the event, S the product of 1 − d/Y over all events.
Ties are exact: whoever leaves on day u was at risk on day u, whatever for. No library at hand does
that for competing events: lifelines 0.30 breaks ties by random noise.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.intervals import LEVEL, NOTHING, Floats, Integers, quotient, t_quantile, wilson

# A share of deals still open on the last day that anybody was followed that does not forbid to tell
# what became of the others; it widens the interval. Without it a stage from which nearly all deals
# go within months told nothing of a year, for the sake of one that was not followed so long.
REMAINDER = 0.02


@dataclass(frozen=True)
class Incidence:
    """Estimates per group and day, arrays of shape (groups, days + 1); day 0 is the entry.

    `rate` is nan from the day on which nobody was left to follow (or, with late entries, before
    anybody was) if more than REMAINDER were still open; if fewer, they are `unknown`: the rate may
    be higher by that. `n_events` counts events by the day. `effective_n` is the size of the sample
    of complete, independent follow-ups that would be as precise.
    """

    rate: Floats
    unknown: Floats
    variance: Floats
    n_events: NDArray[np.int64]
    effective_n: Floats

    def bounds(self, days: Any, level: Any = LEVEL) -> tuple[Floats, Floats]:
        """Of the rate on `days`, each day alone."""
        rate, n = self.rate[:, days], self.effective_n[:, days]
        highest = np.minimum(rate + self.unknown[:, days], 1)
        return wilson(rate, n, level)[0], wilson(highest, n, level)[1]


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
        """The same, dimension after `last_day`."""
        event = np.where(self.leaving > last_day, 0, self.event)
        leaving = np.minimum(self.leaving, last_day)
        return Subjects(self.group, self.n_groups, self.cluster, self.entry, leaving, event)


def cumulative_incidence(
    subjects: Subjects, last_day: int, wanted: tuple[int, ...]
) -> list[Incidence]:
    """Incidence of each of the `wanted` events in each group, up to `last_day`.

    The variance is the sum over clusters of squared influences, the infinitesimal jackknife
    (T. Therneau, R package survival, vignette "Methods"), times G / (G − 1) · (n − 1) / n for G
    clusters of n subjects. Without censoring and clusters it is the binomial F (1 − F) / n.
    """
    subjects = subjects.take(_order(subjects, last_day))
    grid = _Grid(subjects.until(last_day), last_day + 1)
    clusters = _Clusters(grid.subjects, last_day + 1)
    incidences = []
    for which in wanted:
        mark = (grid.subjects.event == which).astype(float)
        rate, variance = _estimate(grid, clusters, mark)
        n_events = np.cumsum(grid.count(grid.at_leaving, mark), axis=1).astype(np.int64)
        n = _effective_n(grid, clusters.n, rate, rate * (1 - rate), variance)
        unknown = np.where(np.isnan(rate), np.nan, grid.unseen)
        incidences.append(Incidence(rate, unknown, variance, n_events, n))
    return incidences


def incidence_on(
    subjects: Subjects, days: tuple[int, ...], wanted: tuple[int, ...]
) -> list[Incidence]:
    """`cumulative_incidence` on these days alone (ascending), arrays of shape (groups, days).

    Only the days on which something happens to a group count in it: so work grows with subjects,
    not with groups times days (43,000 groups of 14 over a year: 1 s instead of 9).
    """
    width = days[-1] + 2
    subjects = subjects.take(np.flatnonzero(subjects.entry < days[-1])).until(days[-1])
    first = np.arange(subjects.n_groups) * np.int64(width)
    own = first[subjects.group]
    late = np.flatnonzero(subjects.entry >= 0)
    moments = [own + subjects.leaving, own[late] + subjects.entry[late] + 1]
    # Where some enter late, the fewest at risk may be between two of these.
    moments += [np.minimum(own + subjects.leaving + 1, own + days[-1])] if len(late) else []
    moments += [np.add.outer(first, (0, *days)).ravel()]
    moment = np.sort(np.concatenate(moments))  # np.unique takes three times as long
    moment = moment[np.diff(moment, prepend=-1) > 0]
    begin = np.searchsorted(moment, first)
    rank = np.searchsorted(moment, own + subjects.leaving) - begin[subjects.group]
    entered = np.searchsorted(moment, own + subjects.entry + 1) - begin[subjects.group] - 1
    ranked = Subjects(
        subjects.group,
        subjects.n_groups,
        subjects.cluster,
        np.where(subjects.entry >= 0, entered, -1),
        rank,
        subjects.event,
    )
    places = np.searchsorted(moment, np.add.outer(first, days)) - begin[:, None]
    last = int(places.max(initial=0))
    return [
        Incidence(*(np.take_along_axis(array, places, axis=1) for array in vars(found).values()))
        for found in cumulative_incidence(ranked, last, wanted)
    ]


def event_masses(subjects: Subjects, last_day: int, which: int) -> Floats:
    """The part of F(last_day) that each subject's event makes up: S(u−)/Y(u); 0 without one.

    So sums of masses over some of the subjects estimate the share that had the event and are like
    them, with censoring taken care of (Satten & Datta 2001, The American Statistician 55, 207–210).
    """
    order = _order(subjects, last_day)
    grid = _Grid(subjects.take(order).until(last_day), last_day + 1)
    of_event = quotient(grid.before, grid.at_risk).ravel()[grid.at_leaving]
    mass: Floats = np.zeros(len(subjects.group))
    mass[order] = np.where(grid.subjects.event == which, of_event, 0.0)
    return mass


def share_precision(
    subjects: Subjects, last_day: int, which: int, is_such: NDArray[np.bool_], share: float
) -> Floats:
    """Effective n, per group, of the share of those with the event by `last_day` that are such.

    The share is a ratio of two sums of masses, near `share`; its variance is that of the sum of
    (is_such − share), divided by the squared incidence of the event. nan without events.
    """
    order = _order(subjects, last_day)
    subjects = subjects.take(order).until(last_day)
    grid = _Grid(subjects, last_day + 1)
    event = (subjects.event == which).astype(float)
    rate = _Sum(grid, event).total[:, last_day]
    total = _Sum(grid, event * (is_such[order] - share))
    influence = total.influence_at(last_day)
    starts = _starts(subjects.group, subjects.cluster)
    owner = subjects.group[starts]
    squared = np.add.reduceat(influence, starts) ** 2 if len(starts) else influence
    n_clusters = np.bincount(owner, minlength=subjects.n_groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.bincount(owner, squared, subjects.n_groups) / rate**2
    variance *= quotient(n_clusters, n_clusters - 1) * quotient(grid.n - 1, grid.n)[:, 0]
    n = _effective_n(
        grid,
        n_clusters[:, None],
        np.full(grid.shape, share),
        share * (1 - share),
        variance[:, None],
    )
    n_events = np.bincount(subjects.group, event, subjects.n_groups)
    return np.asarray(np.where(rate > 0, np.minimum(n[:, last_day], n_events), np.nan))


def _order(subjects: Subjects, last_day: int) -> Integers:
    """By group, cluster and day of leaving, without those never at risk by the last day."""
    if subjects.n_groups < 65_536 and not (subjects.entry >= 0).any():
        width = np.int64(subjects.leaving.max(initial=0)) + 1
        first = subjects.cluster * width + subjects.leaving
        if (first[1:] >= first[:-1]).all():
            # Sorting small whole numbers takes a tenth of the time.
            return np.argsort(subjects.group.astype(np.uint16), kind="stable")
    order = np.lexsort((subjects.leaving, subjects.cluster, subjects.group))
    return order[subjects.entry[order] < last_day]


def _starts(group: Integers, cluster: Integers) -> Integers:
    """Where the clusters of each group begin, both in order."""
    is_first = (np.diff(cluster, prepend=-1) != 0) | (np.diff(group, prepend=-1) != 0)
    return np.flatnonzero(is_first)


class _Grid:
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


class _Clusters:
    """The order in which clusters change, and sums of their changes over days.

    The influence of a subject on F(t) is a + F(t) b once it has left, and the same k(t) for all
    that are still at risk. So the squared sum of a cluster is a quadratic in F(t) and k(t), whose
    six coefficients change only when a member enters or leaves. Summed over clusters they give the
    variance on all days at once. Subjects come in `_order`.
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
        self.starts = _starts(group, cluster)
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


class _Sum:
    """Expected sum of marks of the events by each day, and what each subject adds to it.

    `mark`: what each subject's leaving counts for; 1 for an event and 0 for all else gives F. The
    influence of a subject on the total of a day is `constant` + total · `slope` (once it has left;
    see `_Clusters`), and for one that entered late `entered` of its day of entry more.
    """

    def __init__(self, grid: _Grid, mark: Floats) -> None:
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


def _estimate(grid: _Grid, clusters: _Clusters, mark: Floats) -> tuple[Floats, Floats]:
    """The incidence of what is marked, nan once nobody is left to follow; and its variance."""
    summed = _Sum(grid, mark)
    late_constant, late_slope = summed.entered(clusters.late_keys)
    constant = clusters.running(np.concatenate([summed.constant, late_constant]))
    slope = clusters.running(np.concatenate([summed.slope, late_slope]))
    rate, k = summed.total, summed.total * summed.b - summed.ac
    variance = (
        clusters.summed(constant, constant)
        + rate**2 * clusters.summed(slope, slope)
        + k**2 * clusters.at_risk_squared
        + 2 * rate * clusters.summed(constant, slope)
        + 2 * k * clusters.summed(constant, clusters.at_risk)
        + 2 * rate * k * clusters.summed(slope, clusters.at_risk)
    )
    variance *= quotient(clusters.n, clusters.n - 1) * quotient(grid.n - 1, grid.n)
    is_reportable = np.maximum.accumulate(grid.unseen, axis=1) <= REMAINDER
    return np.where(is_reportable, rate, np.nan), variance


def _effective_n(
    grid: _Grid, n_clusters: Integers, rate: Floats, of_one: Any, variance: Floats
) -> Floats:
    """`of_one` / V, at most all subjects, and fewer where few clusters tell how large V is.

    `of_one` is the variance of one follow-up, F (1 − F). Where nothing or everything has happened
    there is no V, and it is the clusters behind the smallest number at risk, that in terms of those
    who entered: Y / S. They also give the degrees of freedom d: times (t(n − 1) / t(d − 1))², after
    Korn & Graubard (1998), Survey Methodology 24, 193–201. Without it intervals of 30 half-followed
    deals covered 93 %, with it 96.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        n = of_one / variance
        followed = np.where(grid.before > REMAINDER, grid.at_risk / grid.before, np.inf)
    least = np.minimum.accumulate(followed, axis=1)
    # Of two accounts that end alike, subtractions may leave a variance of 1e-34, or none.
    has_none = (rate <= NOTHING) | (rate >= 1 - NOTHING) | ~(variance > NOTHING)
    clusters_left = np.minimum(least, grid.n) * quotient(n_clusters, grid.n)
    n = np.minimum(np.where(has_none, clusters_left, n), grid.n)
    return np.asarray(n * (t_quantile(grid.n - 1) / t_quantile(clusters_left - 1)) ** 2)
