"""Cumulative incidence with competing events, many groups at once, on a grid of whole days.

Belongs here: the Aalen–Johansen estimator, its variance clustered by account, its intervals.
Does not belong here: what a group or an event is (conversion), tables.

Aalen & Johansen (1978), Scand. J. Statist. 5, 141–150: F(t) = Σ S(u−) d₁(u)/Y(u), over days u ≤ t,
where Y is the number at risk, d₁ those with the event, S the product of 1 − d/Y over all events.
Ties are exact: whoever leaves on day u was at risk on day u, whatever for. No library at hand does
that for competing events: lifelines 0.30 breaks ties by random noise.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

Floats = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]

LEVEL = 0.95
# Below this a share of deals is none: what is left of 1 after subtractions that should give 0.
NOTHING = 1e-12


@dataclass(frozen=True)
class Incidence:
    """Estimates per group and day, arrays of shape (groups, days + 1); day 0 is the entry.

    `rate` is nan from the day on which nobody was left to follow (or, with late entries, before
    anybody was). `n_events` counts events by the day. `effective_n` is the size of the sample of
    complete, independent follow-ups that would be as precise.
    """

    rate: Floats
    variance: Floats
    n_events: NDArray[np.int64]
    effective_n: Floats


def wilson(rate: Any, n: Any, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Bounds of a proportion seen in `n` (Wilson 1927, JASA 22, 209–212); nan where n is not > 0.

    `n` need not be whole. Pointwise: not a band, which would hold on all days at once.
    """
    rate, n = np.asarray(rate, dtype=float), np.asarray(n, dtype=float)
    z = ndtri((1 + level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(n > 0, z * z / n, np.nan)
        centre = (rate + share / 2) / (1 + share)
        half = np.sqrt(share * (rate * (1 - rate) + share / 4)) / (1 + share)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


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

    def until(self, last_day: int) -> "Subjects":
        """The same, cut after `last_day`."""
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
    subjects = subjects.until(last_day)
    grid = _Grid(subjects, last_day + 1)
    clusters = _Clusters(subjects, last_day + 1)
    return [_estimate(grid, clusters, which) for which in wanted]


def event_masses(subjects: Subjects, last_day: int, which: int) -> Floats:
    """The part of F(last_day) that each subject's event makes up: S(u−)/Y(u); 0 without one.

    So sums of masses over some of the subjects estimate the share that had the event and are like
    them, with censoring taken care of (Satten & Datta 2001, The American Statistician 55, 207–210).
    """
    subjects = subjects.until(last_day)
    grid = _Grid(subjects, last_day + 1)
    mass = _divided(grid.before, grid.at_risk).ravel()[grid.at_leaving]
    return np.where(subjects.event == which, mass, 0.0)


class _Grid:
    """Subjects counted per group and day: at risk, leaving with an event; S before the day."""

    def __init__(self, subjects: Subjects, width: int) -> None:
        self.shape = (subjects.n_groups, width)
        self.event = subjects.event
        first = subjects.group.astype(np.int64) * width
        self.at_leaving = first + subjects.leaving
        # Who enters on the last day or later is never at risk.
        begins = subjects.entry + 1
        n_entered = self.count((first + begins)[begins < width])
        n_left = self.count(self.at_leaving[begins < width])
        self.at_risk = np.cumsum(n_entered, axis=1) - np.cumsum(n_left, axis=1) + n_left
        self.n = n_entered.sum(axis=1)[:, None]
        self.d = self.count(self.at_leaving[subjects.event > 0])
        survival = np.cumprod(1 - _divided(self.d, self.at_risk), axis=1)
        self.before = np.concatenate([np.ones((self.shape[0], 1)), survival[:, :-1]], axis=1)

    def count(self, keys: Integers) -> NDArray[np.int64]:
        return np.bincount(keys, minlength=self.shape[0] * self.shape[1]).reshape(self.shape)


class _Clusters:
    """The order in which clusters change, and sums of their changes over days.

    The influence of a subject on F(t) is a + F(t) b once it has left, and the same k(t) for all
    that are still at risk. So the squared sum of a cluster is a quadratic in F(t) and k(t), whose
    six coefficients change only when a member enters or leaves. Summed over clusters they give the
    variance on all days at once.
    """

    def __init__(self, subjects: Subjects, width: int) -> None:
        self.shape = (subjects.n_groups, width)
        group, cluster = subjects.group.astype(np.int64), subjects.cluster
        self.late = np.flatnonzero(subjects.entry >= 0)
        self.entered = np.minimum(subjects.entry[self.late], width - 1)
        self.late_keys = group[self.late] * width + self.entered
        day = np.concatenate([subjects.leaving, np.minimum(self.entered + 1, width - 1)])
        owner = group * (int(cluster.max(initial=0)) + 1) + cluster
        owner = np.concatenate([owner, owner[self.late]])
        self.order = np.argsort(owner * width + day)
        owner = owner[self.order]
        of_group = np.concatenate([group, group[self.late]])[self.order]
        self.keys = of_group * width + day[self.order]
        self.starts = np.flatnonzero(np.diff(owner, prepend=-1))
        self.lengths = np.diff(self.starts, append=len(owner))
        self.n = np.bincount(of_group[self.starts], minlength=self.shape[0])[:, None]
        is_there = np.concatenate([subjects.entry < 0, np.zeros(len(self.late), bool)])
        at_start = np.add.reduceat(is_there[self.order], self.starts, dtype=float)
        change = np.concatenate([-np.ones(len(group)), np.ones(len(self.late))])[self.order]
        self.at_risk = self.running(change, at_start)
        squared = np.bincount(of_group[self.starts], at_start**2, minlength=self.shape[0])
        self.at_risk_squared = squared[:, None] + self.summed(self.at_risk, self.at_risk)

    def running(self, change: Floats, at_start: Any = 0.0) -> tuple[Floats, Floats]:
        """Of each cluster, the value before and after each change."""
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


def _estimate(grid: _Grid, clusters: _Clusters, which: int) -> Incidence:
    d1 = grid.count(grid.at_leaving[grid.event == which])
    step = grid.before * _divided(d1, grid.at_risk)
    rate = np.cumsum(step, axis=1)
    survivors = grid.at_risk - grid.d
    greenwood = _divided(_divided(grid.d, grid.at_risk), survivors)
    ac = np.cumsum(_divided(step, grid.at_risk) + rate * greenwood, axis=1)
    b = np.cumsum(greenwood, axis=1)
    constant, slope = _influences(grid, clusters, which, rate, survivors, ac, b)
    k = rate * b - ac
    variance = (
        clusters.summed(constant, constant)
        + rate**2 * clusters.summed(slope, slope)
        + k**2 * clusters.at_risk_squared
        + 2 * rate * clusters.summed(constant, slope)
        + 2 * k * clusters.summed(constant, clusters.at_risk)
        + 2 * rate * k * clusters.summed(slope, clusters.at_risk)
    )
    variance *= _divided(clusters.n, clusters.n - 1) * _divided(grid.n - 1, grid.n)
    unseen = (grid.at_risk == 0) & (grid.before > NOTHING)
    rate = np.where(np.cumsum(unseen, axis=1) == 0, rate, np.nan)
    effective_n = _effective_n(grid, clusters, rate, variance)
    return Incidence(rate, variance, np.cumsum(d1, axis=1), effective_n)


def _influences(
    grid: _Grid,
    clusters: _Clusters,
    which: int,
    rate: Floats,
    survivors: Integers,
    ac: Floats,
    b: Floats,
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """The running a and b of each cluster (see `_Clusters`), before and after each change."""
    there, has_event = grid.at_leaving, grid.event > 0
    survived = _divided(1.0, survivors)
    constant = (grid.event == which) * _divided(grid.before, grid.at_risk).ravel()[there]
    constant += has_event * (rate * survived).ravel()[there] - ac.ravel()[there]
    slope = b.ravel()[there] - has_event * survived.ravel()[there]
    constant = np.concatenate([constant, ac.ravel()[clusters.late_keys]])
    slope = np.concatenate([slope, -b.ravel()[clusters.late_keys]])
    return clusters.running(constant[clusters.order]), clusters.running(slope[clusters.order])


def _effective_n(grid: _Grid, clusters: _Clusters, rate: Floats, variance: Floats) -> Floats:
    """F (1 − F) / V, at most all subjects, and fewer where few clusters tell how large V is.

    Where nothing or everything has happened there is no V, and it is the smallest number at risk
    in terms of those who entered, Y / S. The clusters behind that number give the degrees of
    freedom d: times (t(n − 1) / t(d − 1))², after Korn & Graubard (1998), Survey Methodology 24,
    193–201. Without it intervals of 30 half-followed deals covered 93 %, with it 96.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        n = rate * (1 - rate) / variance
        followed = np.where(grid.before > NOTHING, grid.at_risk / grid.before, np.inf)
    least = np.minimum.accumulate(followed, axis=1)
    has_none = (rate <= NOTHING) | (rate >= 1 - NOTHING) | ~(variance > 0)
    n = np.minimum(np.where(has_none, least, n), grid.n)
    clusters_left = np.minimum(least, grid.n) * _divided(clusters.n, grid.n)
    return np.asarray(n * (_t(grid.n - 1) / _t(clusters_left - 1)) ** 2)


# One over the degrees of freedom, in which the quantiles of Student's t are nearly a line.
_RECIPROCAL = np.linspace(1e-9, 1, 1_000)
_QUANTILES = stdtrit(1 / _RECIPROCAL, (1 + LEVEL) / 2)


def _t(freedom: Any) -> Floats:
    """Quantiles of Student's t, from a table: exact ones would take longest of all here."""
    return np.asarray(np.interp(1 / np.maximum(freedom, 1), _RECIPROCAL, _QUANTILES))


def _divided(numerator: Any, denominator: Any) -> Floats:
    """Quotient, 0 where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, 0.0)
