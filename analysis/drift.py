"""Whether a stage still converts as it did: a trend in what its stays come to.

Belongs here: the test, the table conversion_drift.
Does not belong here: what is done about it (outlook).

In each stage and class of deals two causes compete, moving forward and being lost. For each a Cox
model with the day of entry as its covariate, counted from a year ago on (one step from none: the
score over the information, at each age over those still there), so that neither censoring nor late
entry looks like a trend. What is tested is the difference of the two slopes, forward less lost: a
company that has become faster in both has not changed what it wins. Its variance is summed over
accounts (Lin & Wei 1989, JASA 84, 1074–1078).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from analysis.intervals import Floats, Integers, quotient, t_quantile
from analysis.renewal import LAST_AGE, Ages
from analysis.stays import LOST, Stays

# How often an unchanged company is told that it has changed. Set to 3 %, it was 6 % of
# 200 companies of 300 deals a year.
FALSE_ALARMS = 0.02
# With fewer moves of either kind nothing is tested.
MIN_MOVES = 20
YEAR = 365.25
# What came before is all alike: over five years a fall within the last one was found in 69 % of 16
# companies of 300 deals a year, so in 94 %.
RECENT = 1.0


@dataclass(frozen=True)
class Drift:
    """Per state, and last of all states together: how many moves of both kinds; by how much the
    logarithm of the odds, forward to lost, has grown in the last year; its standard error, and the
    chance of so much without a trend; nan where nothing can be told.
    """

    n: Integers
    slope: Floats
    error: Floats
    chance: Floats
    n_accounts: int

    @classmethod
    def of(cls, stays: Stays, ages: Ages) -> "Drift":
        rows = ages.rows
        n_states, n_classes = len(stays.states), len(stays.classes)
        state = stays.state[rows]
        years = (stays.entered[rows] - stays.as_of).astype(np.int64) / YEAR
        years = np.maximum(years, -RECENT)
        causes = (stays.is_forward[rows], stays.to[rows] == LOST)
        cell = state * n_classes + stays.kind[rows]
        grid = _Grid(cell, n_states * n_classes, ages, years)
        found = [grid.influence(cause) for cause in causes]
        accounts, account = np.unique(stays.account[rows], return_inverse=True)
        groups = [state == number for number in range(n_states)]
        groups.append(np.ones(len(rows), dtype=bool))
        n, slope, error = [], [], []
        for group in groups:
            moves = [int((cause & group).sum()) for cause in causes]
            n.append(sum(moves))
            information = [float(info[group].sum()) for _, info in found]
            if min(moves) < MIN_MOVES or min(information) <= 0:
                slope.append(np.nan)
                error.append(np.nan)
                continue
            difference = sum(
                sign * influence[group] / info
                for sign, (influence, _), info in zip((1, -1), found, information, strict=True)
            )
            by_account = np.bincount(account[group], difference, len(accounts))
            slope.append(float(by_account.sum()))
            error.append(float(np.sqrt((by_account**2).sum())))
        freedom = max(len(accounts) - 1, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            t = np.abs(np.array(slope) / np.array(error))
        chance = 2 * stdtr(freedom, -t)
        return cls(np.array(n), np.array(slope), np.array(error), chance, len(accounts))

    def tilt(self, stays: Stays, ages: Ages) -> Floats:
        """What the move that ended each followed stay counts for, so that all together tell of what
        enters now: the slope of all states, drawn to none by its error, takes the odds of each stay
        from its day of entry to the last one.
        """
        rows = ages.rows
        slope, error = self.slope[-1], self.error[-1]
        slope = slope * max(0.0, 1 - (error / slope) ** 2)
        years = np.minimum((stays.as_of - stays.entered[rows]).astype(np.int64) / YEAR, RECENT)
        forward, lost = stays.is_forward[rows], stays.to[rows] == LOST
        n, k = (
            np.bincount(stays.state[rows[which]], minlength=len(stays.states))
            for which in (forward | lost, forward)
        )
        share = quotient(k, n)[stays.state[rows]]
        # Of odds that grow by a slope the chance grows by its part that is not there yet.
        part = np.where(forward, 1 - share, np.where(lost, -share, 0.0))
        return np.asarray(np.exp(slope * years * part))

    @property
    def is_drifting(self) -> bool:
        """Of all states together."""
        return bool(self.chance[-1] < FALSE_ALARMS) if len(self.chance) else False

    @property
    def of_states(self) -> NDArray[np.bool_]:
        """Of each state, the false alarms being those of all states together."""
        chance = self.chance[:-1]
        n_tested = max(int((~np.isnan(chance)).sum()), 1)
        return np.asarray(chance < FALSE_ALARMS / n_tested)

    def bounds(self) -> tuple[Floats, Floats]:
        """Of the slopes, 95 %."""
        half = t_quantile(max(self.n_accounts - 1, 1)) * self.error
        return self.slope - half, self.slope + half


class _Grid:
    """Those at risk by cell and age, and the mean and variance of their covariate."""

    def __init__(self, cell: Integers, n_cells: int, ages: Ages, years: Floats) -> None:
        self.width = LAST_AGE + 2
        self.shape = (n_cells, self.width)
        self.years = years
        first = cell * self.width
        self.begin, self.end = first + ages.late, first + ages.end
        self.n = self._there(np.ones(len(cell)))
        self.mean = quotient(self._there(years), np.round(self.n))
        self.variance = np.maximum(
            quotient(self._there(years**2), np.round(self.n)) - self.mean**2, 0
        )

    def _there(self, weight: Floats) -> Floats:
        size = self.shape[0] * self.shape[1]
        entered = np.bincount(self.begin + 1, weight, size)
        left = np.bincount(self.end + 1, weight, size)
        return np.asarray(np.cumsum((entered - left).reshape(self.shape), axis=1))

    def influence(self, cause: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Of each stay, what it adds to the score, and to the information."""
        events = np.bincount(self.end[cause], minlength=self.shape[0] * self.shape[1])
        step = quotient(events.reshape(self.shape), np.round(self.n))
        hazard = np.cumsum(step, axis=1).ravel()
        mean = np.cumsum(step * self.mean, axis=1).ravel()
        passed = hazard[self.end] - hazard[self.begin]
        of_mean = mean[self.end] - mean[self.begin]
        score = np.where(cause, self.years - self.mean.ravel()[self.end], 0.0)
        score = score - self.years * passed + of_mean
        information = np.where(cause, self.variance.ravel()[self.end], 0.0)
        return score, information
