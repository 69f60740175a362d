"""How many units an experiment needs, and whether the present volume can settle it.

Belongs here: numbers before the start. Does not belong here: reading out (experiments).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtri

from analysis.intervals import LEVEL
from analysis.randomised import multiplier

POWER = 0.8
HALF_YEAR_WEEKS = 26


@dataclass(frozen=True)
class Baseline:
    """A row of experiment_baselines: units contacted in half a year, those with the outcome, and
    the sums over accounts that tell how alike units of one account are.
    """

    n_accounts: int
    n_units: int
    n_events: int
    n_units_squared: int
    n_units_by_events: int
    n_events_squared: int

    @property
    def rate(self) -> float:
        return self.n_events / self.n_units

    @property
    def design_effect(self) -> float:
        """Variance of the rate by account over that of independent units; at least 1 (Kish)."""
        p = self.rate
        by_account = self.n_events_squared - 2 * p * self.n_units_by_events
        by_account += p**2 * self.n_units_squared
        return max(by_account / (self.n_units * p * (1 - p)), 1.0)

    @property
    def units_per_week(self) -> float:
        return self.n_units / HALF_YEAR_WEEKS

    @property
    def units_per_account(self) -> float:
        return self.n_units / self.n_accounts


@dataclass(frozen=True)
class Plan:
    """`n_units` and `weeks` of assignment that settle a difference of `effect` with 80 %, the
    window after them not counted; `smallest` is the difference that a year of them settles.
    """

    # An experiment that takes longer settles nothing that anybody still asks.
    MAX_WEEKS: ClassVar[int] = 52

    n_units: int
    weeks: float
    smallest: float

    @property
    def can_be_settled(self) -> bool:
        return self.weeks <= self.MAX_WEEKS


def plan(baseline: Baseline, shares: list[float], effect: float) -> Plan:
    """For bounds of every look, between the control (the first share) and the smallest variant.

    Raises ValueError where nothing or everything had the outcome, or the effect leaves [0, 1].
    """
    if not 0 < baseline.n_events < baseline.n_units:
        raise ValueError("of the units contacted in half a year none, or all, had the outcome")
    if not 0 < baseline.rate + effect < 1 or effect == 0:
        raise ValueError(f"from {100 * baseline.rate:.1f} % the rate cannot move by so much")
    n = 10.0
    while _smallest(baseline, shares, n, baseline.rate + effect) > abs(effect):
        n *= 1.01
    in_a_year = baseline.units_per_week * Plan.MAX_WEEKS
    smallest = _smallest(baseline, shares, in_a_year, baseline.rate)
    return Plan(int(np.ceil(n)), n / baseline.units_per_week, smallest)


def _smallest(baseline: Baseline, shares: list[float], n: float, rate: float) -> float:
    """The difference that `n` units settle with a probability of POWER."""
    level = 1 - (1 - LEVEL) / (len(shares) - 1)
    variance = baseline.rate * (1 - baseline.rate) / shares[0]
    variance += rate * (1 - rate) / min(shares[1:])
    error = np.sqrt(baseline.design_effect * variance / n)
    n_accounts = int(n / baseline.units_per_account * (shares[0] + min(shares[1:])))
    return float((multiplier(n_accounts, level) + ndtri(POWER)) * error)
