"""Two arms of an experiment: the difference of their means, with bounds by account.

Belongs here: estimators, bounds for one look and for every look, whether assignment was as planned.
Does not belong here: tables and words (experiments), how many units are needed (plans).

An account's units are no independent trials: each adds its part of the estimating equation, and
those sums are squared (linearised variance; as a cluster-robust regression on the arm has it).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, stdtrit

from analysis.intervals import LEVEL, Floats, Integers

# At about this many accounts bounds for every look are tightest. They hold whatever it is, and it
# is fixed before anything was seen: at a tenth or ten times as many they are 27 and 7 % wider.
TIGHTEST_AT = 300


@dataclass(frozen=True)
class Effect:
    """Mean of the variant less that of the control, its standard error, degrees of freedom, and the
    accounts seen. nan where an arm has fewer than two accounts.
    """

    difference: float
    error: float
    freedom: float
    n_accounts: int

    def bounds(self, level: float = LEVEL) -> tuple[float, float]:
        """For one look, on a day that was fixed before the start (Student's t)."""
        half = float(stdtrit(self.freedom, (1 + level) / 2)) * self.error
        return self.difference - half, self.difference + half

    def bounds_of_every_look(self, level: float = LEVEL) -> tuple[float, float]:
        """For as many looks as anybody takes, at any time."""
        half = multiplier(self.n_accounts, level) * self.error
        return self.difference - half, self.difference + half


def multiplier(n: int, level: float = LEVEL) -> float:
    """Standard errors that bounds for every look go to either side after `n` accounts.

    The asymptotic confidence sequence of a normal mixture (Waudby-Smith, Arbour, Sinha, Kennedy &
    Ramdas 2024, Annals of Statistics 52, 2613-2640, theorem 2.2 and appendix B.2).
    """
    alpha = 1 - level
    scale = -2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)
    informed = max(n, 1) * scale / TIGHTEST_AT
    return float(np.sqrt((1 + 1 / informed) * np.log((informed + 1) / alpha**2)))


def effect(value: Floats, is_variant: NDArray[np.bool_], account: Integers) -> Effect:
    """Of units with these values, in one arm or the other, at accounts numbered from 0."""
    accounts, of_unit = np.unique(account, return_inverse=True)
    parts = np.zeros(len(accounts))
    means, n_accounts = [], []
    for side, sign in ((is_variant, 1.0), (~is_variant, -1.0)):
        n = int(side.sum())
        mean = float(value[side].mean()) if n else np.nan
        means.append(mean)
        n_accounts.append(len(np.unique(of_unit[side])))
        if n:
            parts += sign * np.bincount(of_unit[side], value[side] - mean, len(accounts)) / n
    fewer = min(n_accounts)
    n_all = len(accounts)
    if fewer < 2:
        return Effect(means[0] - means[1], np.nan, np.nan, n_all)
    # Each arm's own mean takes a degree of freedom.
    error = float(np.sqrt((parts**2).sum() * n_all / (n_all - 2))) if n_all > 2 else np.nan
    return Effect(means[0] - means[1], error or np.nan, float(fewer - 1), n_all)


def without_what_was_known(
    value: Floats, arm: Integers, known: NDArray[np.float64]
) -> tuple[Floats, float]:
    """Values less what follows from `known` (units by columns), and the part of their variance that
    takes away; the mean over all units stays.

    Slopes are those within arms (CUPED: Deng, Xu, Kohavi & Walker 2013, WSDM, 123-132). Only what
    was known before the assignment may be given.
    """
    arms, of_unit = np.unique(arm, return_inverse=True)
    n = np.bincount(of_unit, minlength=len(arms))

    def within(column: Floats) -> Floats:
        return np.asarray(column - (np.bincount(of_unit, column, len(arms)) / n)[of_unit])

    centred = np.column_stack([within(column) for column in known.T])
    slopes = np.linalg.lstsq(centred, within(value), rcond=None)[0]
    adjusted = value - (known - known.mean(axis=0)) @ slopes
    before, after = (float((within(x) ** 2).sum()) for x in (value, adjusted))
    return adjusted, 1 - after / before if before > 0 else 0.0


def mismatch(assigned: Integers, shares: Floats) -> float:
    """p of the units assigned to each variant, were they assigned with these shares (chi-squared).

    Of accounts that are assigned as a whole give the accounts, not their units.
    """
    expected = assigned.sum() * shares / shares.sum()
    if not assigned.sum():
        return np.nan
    # As scipy.stats.chisquare, whose import takes 0.4 s of every command.
    return float(chdtrc(len(shares) - 1, ((assigned - expected) ** 2 / expected).sum()))
