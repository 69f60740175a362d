"""How many attempts are needed for so many effects, with so much certainty.

Belongs here: the number and its method. Does not belong here: the rates it starts from.
"""

import numpy as np
from scipy.special import gammaln

from analysis.intervals import Floats, Integers

# Beyond this nobody can try.
MOST = 10_000_000
# One node of so many tells nearly what all of them do.
EVERY = 10


def needed(effects: int, certainty: float, successes: Floats, failures: Floats) -> Floats:
    """The fewest attempts N that give at least `effects` with probability `certainty`, per cell.

    The rate of a cell is beta distributed with parameters `successes` and `failures` (of Jeffreys'
    posterior: k + 1/2 and n - k + 1/2), so that what comes of N attempts is beta-binomial: the
    rate's own uncertainty is part of the answer. Parameters of shape (nodes, cells) are mixtures of
    equally likely nodes. nan where more than MOST are needed, or a parameter is.
    """
    a, b = np.atleast_2d(successes).astype(float), np.atleast_2d(failures).astype(float)
    answer = np.full(a.shape[1], np.nan)
    cells = np.flatnonzero(np.isfinite(a).all(axis=0) & np.isfinite(b).all(axis=0))
    a, b = a[:, cells], b[:, cells]
    begun = gammaln(a + b) - gammaln(b)
    too_few, enough = np.full(len(cells), effects - 1), np.full(len(cells), effects)
    p_too_few, p_enough = np.zeros((2, len(cells)))

    def chance(numbers: Integers, of: Integers) -> Floats:
        """Of the cells `of`: nearly all of the time goes into those still looked for."""
        return _probability(effects, numbers, a[:, of], b[:, of], begun[:, of])

    left = np.arange(len(cells))
    if len(a) > EVERY:
        # Half of all that is computed, spared.
        near = np.nan_to_num(needed(effects, certainty, a[::EVERY], b[::EVERY]), nan=MOST)
        below = np.maximum(0.97 * near, effects - 1).astype(np.int64)
        found = chance(below, left)
        reached = found >= certainty
        enough = np.where(reached, np.maximum(below, effects), (1.03 * near).astype(np.int64) + 1)
        enough = np.minimum(enough, MOST)
        too_few = np.where(reached, too_few, below)
        p_too_few = np.where(reached, 0.0, found)
    while len(left):
        p_enough[left] = chance(enough[left], left)
        left = left[p_enough[left] < certainty]
        too_few[left], p_too_few[left] = enough[left], p_enough[left]
        left = left[enough[left] < MOST]
        enough[left] = np.minimum(enough[left] * 2, MOST)
    is_out, step = too_few == MOST, 0
    while len(left := np.flatnonzero(~is_out & (enough - too_few > 1))):
        step += 1
        width = enough[left] - too_few[left]
        share = (certainty - p_too_few[left]) / (p_enough[left] - p_too_few[left])
        # On a line between both, which is nearly there; now and then in the middle, as lines lag.
        inside = (width * share).astype(np.int64) if step % 3 else width // 2
        middle = too_few[left] + np.clip(inside, 1, width - 1)
        found = chance(middle, left)
        reached = found >= certainty
        for place, probability, is_new in (
            (enough, p_enough, reached),
            (too_few, p_too_few, ~reached),
        ):
            place[left[is_new]], probability[left[is_new]] = middle[is_new], found[is_new]
    answer[cells] = np.where(is_out, np.nan, enough)
    return answer


def _probability(effects: int, attempts: Integers, a: Floats, b: Floats, begun: Floats) -> Floats:
    """That `attempts` of a cell give at least `effects`: 1 less the first terms of the mass, each
    from the one before. `begun` is log gamma(a + b) / gamma(b).
    """
    n = attempts.astype(float)
    mass = np.exp(gammaln(b + n) - gammaln(a + b + n) + begun)
    fewer = mass.copy()
    for x in range(effects - 1):
        mass *= np.maximum(n - x, 0) * (x + a) / ((x + 1) * np.maximum(n - x - 1 + b, 0.1))
        fewer += mass
    return np.asarray(1 - fewer.mean(axis=0))
