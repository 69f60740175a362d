"""Cumulative incidence with competing events, many groups at once, on a grid of whole days.

Belongs here: the Aalen–Johansen estimator and its variance clustered by account.
Does not belong here: who is at risk and what each adds (risk_sets), tables.

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
from analysis.risk_sets import Clusters, Grid, Subjects, Sum, in_order, parts_of, starts_of

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


def cumulative_incidence(
    subjects: Subjects, last_day: int, wanted: tuple[int, ...]
) -> list[Incidence]:
    """Incidence of each of the `wanted` events in each group, up to `last_day`.

    The variance is the sum over clusters of squared influences, the infinitesimal jackknife
    (T. Therneau, R package survival, vignette "Methods"), times G / (G − 1) · (n − 1) / n for G
    clusters of n subjects. Without censoring and clusters it is the binomial F (1 − F) / n.
    """
    parts = parts_of(subjects.take(in_order(subjects, last_day)), last_day + 1)
    return _joined([_incidences(part, last_day, wanted) for part in parts])


def _incidences(subjects: Subjects, last_day: int, wanted: tuple[int, ...]) -> list[Incidence]:
    """Of subjects in `in_order`."""
    grid = Grid(subjects.until(last_day), last_day + 1)
    clusters = Clusters(grid.subjects, last_day + 1)
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
    parts = parts_of(subjects.take(in_order(subjects, days[-1])), len(days))
    return _joined([_incidences_on(part, days, wanted) for part in parts])


def _incidences_on(
    subjects: Subjects, days: tuple[int, ...], wanted: tuple[int, ...]
) -> list[Incidence]:
    """Of subjects in `in_order`: days become ranks among those on which something happens."""
    width, subjects = days[-1] + 2, subjects.until(days[-1])
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
        for found in _incidences(ranked, last, wanted)
    ]


def _joined(parts: list[list[Incidence]]) -> list[Incidence]:
    """Of each event, the groups of all parts."""
    return [
        Incidence(*map(np.concatenate, zip(*(vars(part).values() for part in found), strict=True)))
        for found in zip(*parts, strict=True)
    ]


def event_masses(subjects: Subjects, last_day: int, which: int) -> Floats:
    """The part of F(last_day) that each subject's event makes up: S(u−)/Y(u); 0 without one.

    So sums of masses over some of the subjects estimate the share that had the event and are like
    them, with censoring taken care of (Satten & Datta 2001, The American Statistician 55, 207–210).
    """
    order = in_order(subjects, last_day)
    grid = Grid(subjects.take(order).until(last_day), last_day + 1)
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
    order = in_order(subjects, last_day)
    subjects = subjects.take(order).until(last_day)
    grid = Grid(subjects, last_day + 1)
    event = (subjects.event == which).astype(float)
    rate = Sum(grid, event).total[:, last_day]
    total = Sum(grid, event * (is_such[order] - share))
    influence = total.influence_at(last_day)
    starts = starts_of(subjects.group, subjects.cluster)
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


def _estimate(grid: Grid, clusters: Clusters, mark: Floats) -> tuple[Floats, Floats]:
    """The incidence of what is marked, nan once nobody is left to follow; and its variance."""
    summed = Sum(grid, mark)
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
    grid: Grid, n_clusters: Integers, rate: Floats, of_one: Any, variance: Floats
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
